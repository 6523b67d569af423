"""What a model server was sent, the same for every wire protocol."""

# ruff: noqa: S101 - tests assert

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from massgen_bridge.testing.servers import ModelRequest, ModelServer

__all__ = ["asked", "conversation", "texts"]


def asked(server: ModelServer, number: int = -1) -> ModelRequest:
    """What a request asked of the model; the last one, if no other is wanted.

    Args:
        server: The server.
        number: Which of its requests, from 0.
    """
    found = server.requests[number].asked
    assert found is not None, "the server refused the request"
    return found


def conversation(server: ModelServer, number: int = -1) -> list[tuple[str, str]]:
    """Role and text of the messages of a request, in order."""
    return [(message.role, message.text) for message in asked(server, number).messages]


def texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text in a JSON value, with the key that it stands under."""
    match value:
        case str():
            yield key, value
        case dict():
            for name, inner in value.items():
                yield from texts(inner, name)
        case list():
            for inner in value:
                yield from texts(inner, key)
        case _:
            pass
