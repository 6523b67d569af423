"""What a Responses request is made of beside its input, for every adapter that makes some."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from massgen_bridge.errors import UnsupportedContent
from massgen_bridge.models.chat_forms import chat_response_format

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from massgen_bridge.agent import ToolDefinition
    from massgen_bridge.connection import Connection

__all__ = ["responses_format", "responses_settings", "responses_tools"]


def responses_settings(
    connection: Connection, *, max_output_tokens: int | None = None
) -> dict[str, Any]:
    """What every streamed request of a connection says beside its input and tools.

    Nothing is stored at the provider. What the connection has as `sampling.extra` is not in it:
    that goes over everything else.

    Args:
        connection: The model.
        max_output_tokens: The turn's limit; None for the connection's own.

    Raises:
        UnsupportedContent: The connection has a setting that the protocol has no place for.
    """
    sampling = connection.sampling
    if sampling.seed is not None:
        raise UnsupportedContent(
            f"{connection.name!r} (model {connection.model!r}): Responses has no 'seed'; leave it "
            "out of the connection, or give what the server has instead in 'extra_body'"
        )
    settings: dict[str, Any] = {"model": connection.model, "stream": True, "store": False}
    limit = max_output_tokens or sampling.max_output_tokens
    if limit is not None:
        settings["max_output_tokens"] = limit
    for name in ("temperature", "top_p"):
        value = getattr(sampling, name)
        if value is not None:
            settings[name] = value
    return settings


def responses_tools(tools: Iterable[ToolDefinition]) -> list[dict[str, Any]]:
    """Tools as Responses takes them.

    It makes every parameter a required one unless it is told not to be strict.
    """
    return [
        {
            "type": "function",
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.input_schema,
            "strict": False,
        }
        for tool in tools
    ]


def responses_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON Schema as the form that the answer must have; strict as in Chat Completions."""
    return {"type": "json_schema", **chat_response_format(schema)["json_schema"]}
