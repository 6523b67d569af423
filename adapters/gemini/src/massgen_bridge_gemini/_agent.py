"""An agent that is one model behind the Gemini API."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import urlsplit

import httpx2
from google.genai import errors

from massgen_bridge import (
    AgentContext,
    ConfigError,
    Connection,
    Emit,
    ToolResult,
    Turn,
    UnsupportedContent,
)
from massgen_bridge.adapting import ModelLoop, check_room, gemini_merged
from massgen_bridge_gemini._clients import CLIENTS, GeminiClient, streamed
from massgen_bridge_gemini._convert import conversation, declarations, tool_results
from massgen_bridge_gemini._files import ROOM, Files, inline_media
from massgen_bridge_gemini._options import GeminiOptions, ImageGeneration
from massgen_bridge_gemini._stream import Answer, Reading

__all__ = ["GeminiAgent"]

# Models before Gemini 3 take fewer things together.
_OLD = re.compile(r"(models/)?gemini-[12](\.|-|$)")
_VERTEX = "aiplatform.googleapis.com"


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
        self._files = Files(
            lambda: self.client_for(self.connection), ready_s=self.connection.timeout_s
        )
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
        request: dict[str, Any] = {"contents": contents}
        if system:
            request["systemInstruction"] = {"role": "user", "parts": [{"text": system}]}
        if generation := self._generation(turn):
            request["generationConfig"] = generation
        hosted = [] if self._decides(turn) else list(self._hosted_tools())
        if turn.tools:
            request["tools"] = [declarations(turn.tools), *hosted]
            if hosted:
                request["toolConfig"] = {"includeServerSideToolInvocations": True}
        elif hosted:
            request["tools"] = hosted
        return request

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
        """Send one request and read its answer, where need be by further requests.

        Of a long answer the provider may give a part alone, or a part at a time, with a token by
        which it goes on.
        """
        body = gemini_merged(request, connection.sampling.extra)
        reading = Reading(emit)
        while True:
            try:
                async with streamed(client, connection, body) as chunks:
                    await reading.read(chunks)
            except (errors.APIError, httpx2.HTTPError):
                if not reading.goes_on():
                    raise
            else:
                if not reading.goes_on():
                    return await reading.finished()
            body = {**body, "continuationToken": reading.token}

    def go_on(self, request: dict[str, Any], answer: Answer, results: Sequence[ToolResult]) -> None:
        """Add the model's content and the results of its calls."""
        given = list(tool_results(results, answer.call_ids, beside=self._is_old))
        request["contents"] += [
            {"role": "model", "parts": list(answer.parts)},
            {"role": "user", "parts": given},
        ]

    async def aclose(self) -> None:
        """Delete what was sent to the provider, and give back the clients."""
        await self._files.aclose()
        await super().aclose()

    def _generation(self, turn: Turn) -> dict[str, Any]:
        """How the answer is made, as far as anything is said of it."""
        sampling, options = self.connection.sampling, self._options
        thinking = {
            "thinkingLevel": options.reasoning_effort and options.reasoning_effort.upper(),
            "thinkingBudget": options.thinking_budget,
            "includeThoughts": options.reasoning_summary,
        }
        settings: dict[str, Any] = {
            "temperature": sampling.temperature,
            "topP": sampling.top_p,
            "seed": sampling.seed,
            "maxOutputTokens": turn.limits.max_output_tokens or sampling.max_output_tokens,
            "thinkingConfig": _given(thinking) or None,
        }
        if turn.output_schema is not None:
            settings["responseMimeType"] = "application/json"
            settings["responseJsonSchema"] = turn.output_schema
        if options.media_resolution is not None:
            settings["mediaResolution"] = f"MEDIA_RESOLUTION_{options.media_resolution.upper()}"
        if options.image_generation:
            settings["responseModalities"] = ["TEXT", "IMAGE"]
        if isinstance(options.image_generation, ImageGeneration):
            image = options.image_generation
            settings["imageConfig"] = _given(
                {"aspectRatio": image.aspect_ratio, "imageSize": image.size}
            )
        return _given(settings)

    def _hosted_tools(self) -> Iterator[dict[str, Any]]:
        """The provider's own tools that are asked for."""
        options = self._options
        if options.web_search:
            yield {"googleSearch": {}}
        if options.code_execution:
            yield {"codeExecution": {}}
        if options.url_context:
            yield {"urlContext": {}}
        if options.file_search is not None:
            search = options.file_search
            wanted = {"fileSearchStoreNames": search.stores, "topK": search.top_k}
            yield {"fileSearch": _given(wanted)}

    def _decides(self, turn: Turn) -> bool:
        """Whether a model before Gemini 3 leaves the provider's tools out, as in votes."""
        ends = bool(turn.tools) and all(tool.ends_turn for tool in turn.tools)
        return self._is_old and (ends or turn.output_schema is not None)

    def _check_together(self, turn: Turn) -> None:
        """Refuse what models before Gemini 3 do not take together."""
        if not self._is_old:
            return
        hosted = [
            f"{name!r}"
            for name in ("web_search", "code_execution", "url_context", "file_search")
            if getattr(self._options, name) and not self._decides(turn)
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


def _given(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None}
