"""An agent that is one model behind the Gemini API."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar
from urllib.parse import urlsplit

from google.genai import types

from massgen_bridge import (
    AgentContext,
    ConfigError,
    Connection,
    Emit,
    ToolResult,
    Turn,
    UnsupportedContent,
)
from massgen_bridge.adapting import ModelLoop, check_room
from massgen_bridge_gemini._clients import CLIENTS, GeminiClient, own_options, streamed
from massgen_bridge_gemini._convert import conversation, declarations, tool_results
from massgen_bridge_gemini._files import ROOM, Files, inline_media
from massgen_bridge_gemini._options import GeminiOptions, ImageGeneration
from massgen_bridge_gemini._stream import Answer, read_answer

__all__ = ["GeminiAgent"]

# Models before Gemini 3 take fewer things together.
_OLD = re.compile(r"(models/)?gemini-[12](\.|-|$)")
_VERTEX = "aiplatform.googleapis.com"
_JSON = "application/json"


class GeminiAgent(ModelLoop[GeminiClient, Answer]):
    """One model, asked by the Gemini API."""

    sdk: ClassVar[str] = "google"

    def __init__(self, context: AgentContext) -> None:
        super().__init__(context, CLIENTS)
        host = urlsplit(self.connection.base_url).hostname or ""
        if host.endswith(_VERTEX):
            raise ConfigError(
                f"{self.where}: {host!r} is Vertex AI, which the kind 'gemini' does not speak: "
                "expected the Gemini API, at 'https://generativelanguage.googleapis.com', with a "
                "key of its own"
            )
        self._options: GeminiOptions = context.options
        self._files = Files(lambda: self.client_for(self.connection))
        self._is_old = _OLD.match(self.connection.model) is not None

    def first_request(self, turn: Turn) -> dict[str, Any]:
        """The turn's first model call; the contents grow with the turn.

        Raises:
            UnsupportedContent: The API has no form for a part of the history, or does not take
                together what is wanted.
        """
        connection = self.connection
        self._check_together(turn)
        system, contents = conversation(
            turn.messages, connection.traits.inputs, beside=self._is_old
        )
        sampling = connection.sampling
        settings: dict[str, Any] = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
            "max_output_tokens": turn.limits.max_output_tokens or sampling.max_output_tokens,
            "system_instruction": system or None,
        }
        config = {name: value for name, value in settings.items() if value is not None}
        config |= self._settings()
        if turn.output_schema is not None:
            config["response_mime_type"] = _JSON
            config["response_json_schema"] = turn.output_schema
        hosted = list(self._hosted_tools())
        if turn.tools:
            config["tools"] = [declarations(turn.tools), *hosted]
            # The host calls tools; the SDK would say that it cannot.
            config["automatic_function_calling"] = {"disable": True}
            if hosted:
                config["tool_config"] = types.ToolConfig(include_server_side_tool_invocations=True)
        elif hosted:
            config["tools"] = hosted
        return {"contents": contents, "config": config}

    async def send_ahead(self, request: dict[str, Any], connection: Connection) -> None:
        """Upload media that a request has no room for.

        Raises:
            UnsupportedContent: The host's gateway stands before the provider.
        """
        media = inline_media(request["contents"])
        if connection is self.connection:
            await self._files.send_ahead(media, room=ROOM)
        else:
            check_room(media, ROOM)

    async def ask(
        self, client: GeminiClient, request: dict[str, Any], emit: Emit, connection: Connection
    ) -> Answer:
        """Send one request and read its answer."""
        options = None if connection is self.connection else own_options(connection)
        if extra := connection.sampling.extra:
            options = (options or types.HttpOptions()).model_copy(update={"extra_body": extra})
        given = request["config"]
        config: types.GenerateContentConfig | None = None
        if given or options is not None:  # what there is, the SDK copies more than once
            config = types.GenerateContentConfig(**given, http_options=options)
        async with streamed(
            client,
            model=connection.model,
            contents=request["contents"],
            config=config,
        ) as responses:
            return await read_answer(responses, emit)

    def go_on(self, request: dict[str, Any], answer: Answer, results: Sequence[ToolResult]) -> None:
        """Add the model's content and the results of its calls."""
        given = list(tool_results(results, answer.call_ids, beside=self._is_old))
        request["contents"] += [
            types.Content(role="model", parts=list(answer.parts)),
            types.Content(role="user", parts=given),
        ]

    async def aclose(self) -> None:
        """Delete what was sent to the provider, and give back the clients."""
        await self._files.aclose()
        await super().aclose()

    def _settings(self) -> dict[str, Any]:
        options = self._options
        settings: dict[str, Any] = {}
        thinking = {
            "thinking_level": options.reasoning_effort and options.reasoning_effort.upper(),
            "thinking_budget": options.thinking_budget,
            "include_thoughts": options.reasoning_summary,
        }
        if any(value is not None for value in thinking.values()):
            settings["thinking_config"] = thinking
        if options.media_resolution is not None:
            settings["media_resolution"] = f"MEDIA_RESOLUTION_{options.media_resolution.upper()}"
        if options.image_generation:
            settings["response_modalities"] = ["TEXT", "IMAGE"]
        if isinstance(options.image_generation, ImageGeneration):
            settings["image_config"] = types.ImageConfig(
                aspect_ratio=options.image_generation.aspect_ratio,
                image_size=options.image_generation.size,
            )
        return settings

    def _hosted_tools(self) -> Iterator[types.Tool]:
        """The provider's own tools that are asked for."""
        options = self._options
        if options.web_search:
            yield types.Tool(google_search=types.GoogleSearch())
        if options.code_execution:
            yield types.Tool(code_execution=types.ToolCodeExecution())
        if options.url_context:
            yield types.Tool(url_context=types.UrlContext())
        if options.file_search is not None:
            yield types.Tool(
                file_search=types.FileSearch(
                    file_search_store_names=options.file_search.stores,
                    top_k=options.file_search.top_k,
                )
            )

    def _check_together(self, turn: Turn) -> None:
        """Refuse what models before Gemini 3 do not take together."""
        if not self._is_old:
            return
        hosted = [
            f"{name!r}"
            for name in ("web_search", "code_execution", "url_context", "file_search")
            if getattr(self._options, name)
        ]
        wanted = {
            f"the provider's own tools ({', '.join(hosted)})": bool(hosted),
            "tools of the run": bool(turn.tools),
            "an output schema": turn.output_schema is not None,
        }
        together = [what for what, is_wanted in wanted.items() if is_wanted]
        if len(together) > 1:
            raise UnsupportedContent(
                f"{self.where} does not take together: {' and '.join(together)}; choose a model "
                "of Gemini 3 or newer, or leave one of them out",
                agent_id=self.agent_id,
            )
