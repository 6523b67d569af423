"""The OpenAI Responses protocol."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from massgen_bridge.testing.servers import responses_answers
from massgen_bridge.testing.servers.chat_completions import ChatCompletions
from massgen_bridge.testing.servers.model_request import ModelRequest, OfferedTool
from massgen_bridge.testing.servers.protocol import RefusedRequest, Rendered
from massgen_bridge.testing.servers.responses_history import items_of, last_text, read_messages
from massgen_bridge.testing.servers.responses_rules import check_request
from massgen_bridge.testing.servers.script import ContextOverflow, HttpError, QuotaExhausted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_bridge.testing.servers.answers import Answer
    from massgen_bridge.testing.servers.files import FileStore
    from massgen_bridge.testing.servers.http_request import HttpRequest

__all__ = ["OpenAIResponses"]

_SERVER_ERROR = 500


class OpenAIResponses:
    """Speaks Responses; errors of HTTP are those of Chat Completions.

    Args:
        files: The files that requests can name.
        strict: whether requests that OpenAI refuses are refused here, too, such as a tool's
            result that answers no call.
    """

    name = "responses"
    path = "/v1/responses"
    headers: tuple[tuple[str, str], ...] = ()

    def __init__(self, files: FileStore, *, strict: bool = True) -> None:
        self._files = files
        self._strict = strict
        self._errors = ChatCompletions(strict=strict)

    def parse(self, body: Mapping[str, Any], request: HttpRequest, number: int) -> ModelRequest:
        """What the request asks for.

        Raises:
            RefusedRequest: it is not well formed.
        """
        fault = check_request(body, self._files.by_id) if self._strict else None
        if fault is not None:
            raise RefusedRequest(HttpError(status=400, message=fault))
        items = items_of(body)
        return ModelRequest(
            number=number,
            protocol=self.name,
            model=body["model"],
            stream=body.get("stream") is True,
            last_text=last_text(items),
            ends_with_tool_result=items[-1].get("type") == "function_call_output",
            tools=_tools(body),
            output_schema=_output_schema((body.get("text") or {}).get("format")),
            max_tokens=body.get("max_output_tokens"),
            headers=request.headers,
            body=body,
            read_messages=partial(read_messages, uploaded=self._content_of),
        )

    def _content_of(self, file_id: str) -> bytes | None:
        found = self._files.by_id.get(file_id)
        return None if found is None else found.data

    def render(self, request: ModelRequest, answer: Answer) -> Rendered:
        """The answer to the request, as a stream or a document, as the request wants it."""
        return responses_answers.render(request, answer)

    def speaks(self, headers: Mapping[str, str]) -> bool:
        """Whether a request comes from a client of the protocol, as far as its headers tell."""
        return self._errors.speaks(headers)

    def error_of(self, reply: ContextOverflow | QuotaExhausted) -> HttpError:
        """The HTTP error that stands for the reply."""
        return self._errors.error_of(reply)

    def error_document(self, error: HttpError) -> bytes:
        """The body of an HTTP error."""
        return self._errors.error_document(error)

    def error_event(self, error: HttpError) -> bytes:
        """An error in the middle of a stream: a failed response, or what precedes there being one.

        The provider fails a response that it has begun for reasons of its own; what stands before
        it, such as an overload, is told as an error.
        """
        told = self._errors.error_of_status(error)
        if error.status == _SERVER_ERROR:
            return responses_answers.failed_event(told["code"] or told["type"], told["message"])
        return responses_answers.event(
            "error", 0, code=told["code"], message=told["message"], param=None
        )

    def malformed_event(self, data: str) -> bytes:
        """An event that carries the data as it is."""
        return b"event: response.output_text.delta\ndata: " + data.encode() + b"\n\n"

    def models_document(self, models: tuple[str, ...]) -> bytes:
        """The answer to a request for the list of models."""
        return self._errors.models_document(models)


def _tools(body: Mapping[str, Any]) -> tuple[OfferedTool, ...]:
    """The tools that the client runs; those of the provider are none of a script's business."""
    if body.get("tool_choice") == "none":
        return ()
    return tuple(
        OfferedTool(
            name=tool["name"],
            description=tool.get("description"),
            parameters=tool.get("parameters") or {},
        )
        for tool in body.get("tools") or ()
        if tool.get("type") == "function"
    )


def _output_schema(wanted: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    match wanted:
        case {"type": "json_schema", "schema": schema}:
            found: Mapping[str, Any] = schema
            return found
        case {"type": "json_object"}:
            return {"type": "object"}
        case _:
            return None
