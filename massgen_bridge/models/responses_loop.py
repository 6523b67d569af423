"""Turns of a model behind a Responses endpoint, by OpenAI's SDK."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from massgen_bridge.errors import UnsupportedContent
from massgen_bridge.models.model_loop import ModelLoop
from massgen_bridge.models.openai_files import INLINE_BYTES, LentFiles, fetch_made, inline_documents
from massgen_bridge.models.responses_forms import (
    responses_format,
    responses_settings,
    responses_tools,
)
from massgen_bridge.models.responses_items import carried_back
from massgen_bridge.models.responses_messages import responses_input, responses_results
from massgen_bridge.models.responses_stream import ResponsesAnswer, read_responses_answer
from massgen_bridge.models.sdk_errors import error_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from massgen_bridge.agent import Emit, Turn
    from massgen_bridge.connection import Connection
    from massgen_bridge.messages import ToolResult
    from massgen_bridge.models.chat_sdk import ChatSdk
    from massgen_bridge.specs import AgentContext

__all__ = ["ResponsesLoop"]

_SEALED = "reasoning.encrypted_content"
# Models that do not reason refuse to be asked for it; others are found out by asking.
_NEVER_SEALED = re.compile(r"(chatgpt-4|gpt-3|gpt-4)")
# A value that fits a schema is no place for a picture.
_NOT_WITH_SCHEMA = frozenset({"image_generation"})
_NOT_SEALED = re.compile(r"encrypted|\binclude\b", re.IGNORECASE)


class ResponsesLoop(ModelLoop[Any, ResponsesAnswer]):
    """One model, asked by Responses.

    Nothing is stored at the provider: while a turn goes on, all that the model has said goes back
    to it, its reasoning in encrypted form.

    Args:
        context: What the agent is made of; its connection is needed.
        sdk: OpenAI's SDK as the adapter uses it.
        settings: Further fields of every request.
        hosted: Tools of the provider's own, as the protocol has them.
        searched: Files to be uploaded for the tool `file_search`.
        parallel_tool_calls: Whether the model may call several tools at once; None leaves it to
            the provider.
    """

    sdk: ClassVar[str] = "openai"

    def __init__(
        self,
        context: AgentContext,
        sdk: ChatSdk,
        *,
        settings: Mapping[str, Any] | None = None,
        hosted: Sequence[Mapping[str, Any]] = (),
        searched: Sequence[Path] = (),
        parallel_tool_calls: bool | None = None,
    ) -> None:
        super().__init__(context, sdk.clients)
        self._sdk = sdk
        self._settings = dict(settings or {})
        self._hosted = hosted
        self._searched = searched
        self._parallel_tool_calls = parallel_tool_calls
        self._request_options = sdk.request_options(self.connection)
        self._lent = LentFiles(
            sdk.openai, self._lending_client, self._request_options.get("headers", {})
        )
        name = self.connection.model.rpartition("/")[2]
        self._sealed = _NEVER_SEALED.match(name) is None

    def first_request(self, turn: Turn) -> dict[str, Any]:
        """The body of the turn's first model call; the input grows with the turn.

        Raises:
            UnsupportedContent: The protocol has no form for a part of the history, or for a setting
                of the connection.
        """
        connection = self.connection
        request: dict[str, Any] = {
            **responses_settings(connection, max_output_tokens=turn.limits.max_output_tokens),
            **self._settings,
            "input": responses_input(turn.messages, connection.traits.inputs),
        }
        if self._sealed:
            request["include"] = [_SEALED]
        hosted = [
            tool
            for tool in self._hosted
            if turn.output_schema is None or tool["type"] not in _NOT_WITH_SCHEMA
        ]
        if tools := [*responses_tools(turn.tools), *hosted]:
            request["tools"] = tools
        if turn.tools and self._parallel_tool_calls is not None:
            request["parallel_tool_calls"] = self._parallel_tool_calls
        if turn.output_schema is not None:
            form = responses_format(turn.output_schema)
            request["text"] = {**self._settings.get("text", {}), "format": form}
        return request | connection.sampling.extra

    async def send_ahead(self, request: dict[str, Any], connection: Connection) -> None:
        """Upload large documents, and files to search.

        Raises:
            UnsupportedContent: There are files to search, and the host's gateway, which has no
                place for files, stands before the provider.
        """
        is_direct = connection is self.connection
        if self._searched and not is_direct:
            raise UnsupportedContent(
                "the files of 'file_search' can be uploaded only by an agent in the run's own "
                "process: set 'isolation: none', or give 'vector_store_ids'"
            )
        if self._searched:
            store = await self._lent.store(self._searched)
            request["tools"] = [_searching(tool, store) for tool in request["tools"]]
        if is_direct:
            await self._lent.send_ahead(inline_documents(request["input"]), room=INLINE_BYTES)

    async def aclose(self) -> None:
        """Delete what was uploaded, and give back the clients."""
        await self._lent.aclose()
        await super().aclose()

    async def ask(
        self, client: Any, request: dict[str, Any], emit: Emit, connection: Connection
    ) -> ResponsesAnswer:
        """Send one request and read its answer."""
        options = self._options(connection)
        structured = "format" in (request.get("text") or {})
        async with await self._stream(client, request, options) as events:
            answer = await read_responses_answer(events, emit, structured=structured)
        if not answer.files:
            return answer
        made = await fetch_made(
            client,
            answer.files,
            emit,
            headers=options.get("headers", {}),
            failed=self._sdk.openai.OpenAIError,
        )
        return replace(answer, media=(*answer.media, *made))

    def go_on(
        self, request: dict[str, Any], answer: ResponsesAnswer, results: Sequence[ToolResult]
    ) -> None:
        """Add all that the model said, and the results of its calls."""
        told = responses_results(results, self.connection.traits.inputs)
        request["input"] += [*carried_back(answer.items), *told]

    async def _stream(self, client: Any, request: dict[str, Any], options: Any) -> Any:
        try:
            return await self._sdk.stream(client, request, options, path="/responses")
        except self._sdk.openai.BadRequestError as error:
            include = request.get("include") or []
            if _SEALED not in include or not _NOT_SEALED.search(error_text(error)):
                raise
            self._sealed = False
            request["include"] = [name for name in include if name != _SEALED]
            if not request["include"]:
                del request["include"]
        return await self._sdk.stream(client, request, options, path="/responses")

    def _options(self, connection: Connection) -> Any:
        if connection is self.connection:
            return self._request_options
        return self._sdk.request_options(connection, own_key=True)

    async def _lending_client(self) -> Any:
        # Uploads are repeated by the SDK: nothing is told of them, and nobody waits for a token.
        return (await self.client_for(self.connection)).with_options(max_retries=2)


def _searching(tool: dict[str, Any], store: str) -> dict[str, Any]:
    named = tool.get("vector_store_ids", ())
    if tool.get("type") != "file_search" or store in named:
        return tool
    return {**tool, "vector_store_ids": [*named, store]}
