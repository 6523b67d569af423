"""What a model said, decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from massgen_bridge.errors import ProtocolFailed
from massgen_bridge.models.answers import structured_answer, tool_call_from_json

if TYPE_CHECKING:
    from massgen_bridge.agent import StopReason


@pytest.mark.parametrize(("text", "value"), [('{"a": [1]}', {"a": [1]}), (" 7\n", 7)])
def test_a_structured_answer_is_the_value_that_its_text_says(text: str, value: object) -> None:
    found = structured_answer(text, stop_reason="end", where="'here'", agent_id="ann")
    assert found == value


@pytest.mark.parametrize(
    ("stop_reason", "said"),
    [("end", "but is not: "), ("length", "but is not and was cut off by the output limit: ")],
)
def test_what_is_no_json_is_no_structured_answer(stop_reason: StopReason, said: str) -> None:
    with pytest.raises(ProtocolFailed) as caught:
        structured_answer('{"a"', stop_reason=stop_reason, where="'here'", agent_id="ann")
    assert str(caught.value).startswith(f"'here': the answer had to be JSON, {said}")
    assert caught.value.agent_id == "ann"


_NO_JSON = ('{"a": NaN}', '{"a": -Infinity}', '{"a": 1e999}', '{"a": ' + "[" * 100_000)


@pytest.mark.parametrize("text", _NO_JSON, ids=["nan", "infinity", "too-large", "too-deep"])
def test_what_cannot_be_sent_on_as_json_is_none(text: str) -> None:
    call = tool_call_from_json(call_id="1", name="lookup", arguments=text)
    assert (call.arguments, call.malformed) == ({}, text)
    with pytest.raises(ProtocolFailed, match="the answer had to be JSON, but is not: "):
        structured_answer(text, stop_reason="end", where="'here'", agent_id="ann")


def test_numbers_keep_their_value() -> None:
    call = tool_call_from_json(call_id="1", name="lookup", arguments='{"a": [1, 0.1, -2.5e3]}')
    assert call.arguments == {"a": [1, 0.1, -2500.0]}
