"""Replies by model name, for clients that can choose nothing but the model."""

from __future__ import annotations

import re
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from massgen_bridge.testing.servers.answers import Refusal, Text
from massgen_bridge.testing.servers.script import (
    AutoToolCall,
    ContextOverflow,
    Disconnect,
    Drip,
    Echo,
    EndsEarly,
    ErrorEvent,
    Hang,
    HttpError,
    MalformedSSE,
    QuotaExhausted,
    Reply,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_bridge.testing.servers.model_request import ModelRequest

__all__ = ["COUNTED", "SCENARIOS", "reply_by_model"]

SCENARIOS: Mapping[str, Reply] = MappingProxyType(
    {
        "context-overflow": ContextOverflow(),
        "disconnect": Disconnect(),
        "disconnect-midway": Disconnect(after=2),
        "drip": Drip(),
        "echo": Echo(),
        "ends-early": EndsEarly(),
        "error-event": ErrorEvent(),
        "hang": Hang(),
        "hang-midway": Hang(after=2),
        "http-400": HttpError(status=400),
        "http-401": HttpError(status=401),
        "http-403": HttpError(status=403),
        "http-404": HttpError(status=404),
        "http-413": HttpError(status=413),
        "http-429": HttpError(status=429, retry_after=1),
        "http-500": HttpError(status=500),
        "http-502": HttpError(status=502),
        "http-503": HttpError(status=503, retry_after=1),
        "http-504": HttpError(status=504),
        "http-529": HttpError(status=529),
        "insufficient-quota": QuotaExhausted(),
        "length": Text("cut off in the", finish_reason="length"),
        "malformed-sse": MalformedSSE(),
        "overloaded-event": ErrorEvent(error=HttpError(status=529)),
        "reasoning": Text(
            "Tea is the better choice.",
            reasoning="Coffee wakes people up. Tea does so, too, and for longer.",
        ),
        "refusal": Refusal("That is not something to help with."),
        "reset": Disconnect(after=2, reset=True),
        "tool-call": AutoToolCall(),
        "tool-call-forever": AutoToolCall(again=True),
    }
)
"""Model names and what they stand for."""

COUNTED: Mapping[str, str] = MappingProxyType(
    {
        "tokens-N": "an answer of N tokens",
        "huge-N": "an answer of N MiB, in large pieces",
    }
)
"""Model names with a number in place of N, and what they stand for."""

_TOKENS = re.compile(r"tokens-([0-9]{1,6})")
_HUGE = re.compile(r"huge-([0-9]{1,2})")
_PIECE = "0123456789abcde " * 4096  # 64 KiB
_PIECES_PER_MIB = 16


def reply_by_model(request: ModelRequest) -> Reply | None:
    """The reply that the model's name stands for; None where it stands for none."""
    counted = _TOKENS.fullmatch(request.model)
    if counted is not None:
        return _text_of_tokens(int(counted.group(1)))
    huge = _HUGE.fullmatch(request.model)
    if huge is not None:
        chunks = (_PIECE,) * (_PIECES_PER_MIB * int(huge.group(1)))
        return Text("".join(chunks), chunks=chunks)
    return SCENARIOS.get(request.model)


@lru_cache(maxsize=64)
def _text_of_tokens(count: int) -> Text:
    return Text.of_tokens(count)
