"""What a model said, decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from massgen_bridge.errors import ProtocolFailed
from massgen_bridge.models.answers import structured_answer

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
