"""What a stream of Chat Completions gives, put together."""

from __future__ import annotations

from typing import TypeAlias

import pytest

from massgen_bridge.errors import ProtocolFailed, ServerFailed, Truncated
from massgen_bridge.messages import ToolCall
from massgen_bridge.models.chat_answers import StreamedToolCalls, check_finish

Piece: TypeAlias = tuple[int | None, str | None, str | None, str | None]


def _joined(*pieces: Piece) -> tuple[ToolCall, ...]:
    calls = StreamedToolCalls()
    for index, call_id, name, arguments in pieces:
        calls.take(index=index, call_id=call_id, name=name, arguments=arguments)
    return calls.joined()


def _call(call_id: str, **arguments: int) -> ToolCall:
    return ToolCall(call_id=call_id, name="look", arguments=dict(arguments))


BOTH = (_call("c1", a=1), _call("c2", b=2))
STREAMS: dict[str, list[Piece]] = {
    "in-turn": [
        (0, "c1", "look", ""),
        (0, None, None, '{"a":'),
        (0, None, None, "1}"),
        (1, "c2", "look", '{"b":2}'),
    ],
    "interleaved": [
        (0, "c1", "look", '{"a":'),
        (1, "c2", "look", '{"b":'),
        (0, None, None, "1}"),
        (1, None, None, "2}"),
    ],
    "one-index-for-all": [(0, "c1", "look", '{"a":1}'), (0, "c2", "look", '{"b":2}')],
    "without-index": [
        (None, "c1", "look", '{"a":'),
        (None, None, None, "1}"),
        (None, "c2", "look", '{"b":2}'),
    ],
    "id-repeated": [
        (0, "c1", "look", '{"a":'),
        (0, "c1", "look", "1}"),
        (1, "c2", "look", '{"b":2}'),
    ],
    "id-changed": [
        (0, "c1", "look", '{"a":'),
        (0, "other", None, "1}"),
        (1, "c2", "look", '{"b":2}'),
    ],
}


@pytest.mark.parametrize("pieces", STREAMS.values(), ids=STREAMS)
def test_the_pieces_of_each_call_come_together(pieces: list[Piece]) -> None:
    assert _joined(*pieces) == BOTH


@pytest.mark.parametrize("arguments", [None, "", " \n", "{}"])
def test_a_call_may_have_no_arguments(arguments: str | None) -> None:
    assert _joined((0, "c1", "look", arguments)) == (_call("c1"),)


@pytest.mark.parametrize("arguments", ['{"a":', "[1]", "null", "look!"])
def test_arguments_that_are_no_object_are_kept_as_they_came(arguments: str) -> None:
    (call,) = _joined((0, "c1", "look", arguments))
    assert call.malformed == arguments
    assert call.arguments == {}


def test_calls_without_an_id_get_one_each() -> None:
    first, second = _joined((0, None, "look", "{}"), (1, "", "look", "{}"))
    assert first.call_id
    assert second.call_id
    assert first.call_id != second.call_id


def test_a_call_without_a_name_is_no_call() -> None:
    with pytest.raises(ProtocolFailed, match="without a name"):
        _joined((0, "c1", None, "{}"))


def test_no_pieces_are_no_calls() -> None:
    assert _joined() == ()


def test_a_stream_needs_a_reason_to_end() -> None:
    assert check_finish("stop") == "stop"
    with pytest.raises(Truncated):
        check_finish(None)


@pytest.mark.parametrize("finish", ["abort", "cancelled", "error", "insufficient_system_resource"])
def test_a_server_that_gave_up_has_failed(finish: str) -> None:
    with pytest.raises(ServerFailed, match=finish):
        check_finish(finish)
