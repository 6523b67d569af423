"""Which recorded call a request is, and what is said where it is none."""

from __future__ import annotations

from typing import Any

import pytest

from massgen_bridge.models.tape import Caller
from massgen_bridge.runtime.cassette.lines import Call
from massgen_bridge.runtime.cassette.matching import Calls, TapedStep, fits

ADA = Caller(agent="ada", turn="ada.1")


def _calls(*requests: Any, agent: str = "ada", turns: tuple[str, ...] = ()) -> Calls:
    return Calls(
        TapedStep(
            call=Call(
                agent=agent,
                call=number,
                turn=turns[number - 1] if turns else "ada.1",
                path="/p",
                request=request,
            ),
            line=number + 1,
            step=number,
        )
        for number, request in enumerate(requests, 1)
    )


def _said(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], "model": "m"}


def test_equal_requests_are_answered_in_their_order() -> None:
    calls = _calls(_said("a"), _said("a"))
    found = [calls.take(ADA, "/p", _said("a")) for _ in range(3)]
    assert [one and one.call.call for one in found] == [1, 2, None]


def test_a_call_of_the_same_turn_comes_first() -> None:
    calls = _calls(_said("a"), _said("a"), turns=("ada.1", "ada.2"))
    found = calls.take(Caller(agent="ada", turn="ada.2"), "/p", _said("a"))
    assert found is not None
    assert found.call.call == 2


def test_what_was_masked_may_have_been_anything() -> None:
    calls = _calls(_said("key [secret]!"))
    assert calls.take(ADA, "/p", _said("key abc?")) is None
    assert calls.take(ADA, "/p", _said("key abc!")) is not None


def test_calls_of_other_agents_do_not_count() -> None:
    calls = _calls(_said("a"), agent="lin")
    assert calls.take(ADA, "/p", _said("a")) is None
    assert calls.difference(ADA, "/p", _said("a")) == "the cassette has no call of this agent"


@pytest.mark.parametrize(
    ("recorded", "asked", "told"),
    [
        (
            _said("Where is it?"),
            _said("Where was it?"),
            "at character 7 of messages[0].content: asked 'Where was it?', recorded 'Where is it?'",
        ),
        (_said("a"), {**_said("a"), "seed": 1}, "it has no 'seed': asked 1"),
        (
            {**_said("a"), "seed": 1},
            _said("a"),
            "it has 'seed', which is not asked: recorded 1",
        ),
        (
            {**_said("a"), "seed": 1},
            {**_said("a"), "seed": 2},
            "the first difference is seed: asked 2, recorded 1",
        ),
        (
            _said("x" * 80 + "a" + "y" * 80),
            _said("x" * 80 + "b" + "y" * 80),
            f"asked '…{'x' * 30}b{'y' * 29}…', recorded '…{'x' * 30}a{'y' * 29}…'",
        ),
    ],
)
def test_the_first_difference_is_named(recorded: Any, asked: Any, told: str) -> None:
    calls = _calls({"other": True}, recorded)
    text = calls.difference(ADA, "/p", asked)
    assert text.startswith("the nearest is call 2 (line 3); ")
    assert text.endswith(told)


def test_another_endpoint_is_told() -> None:
    text = _calls(_said("a")).difference(ADA, "/embeddings", _said("a"))
    assert text.endswith("which went to '/p', not to '/embeddings'")


def test_calls_that_are_all_used_are_told() -> None:
    calls = _calls(_said("a"))
    calls.take(ADA, "/p", _said("a"))
    text = calls.difference(ADA, "/p", _said("a"))
    assert text == "all 1 recorded calls of this agent are used"
    assert calls.unused() == []


@pytest.mark.parametrize(
    ("recorded", "given", "fitting"),
    [
        ("a", "a", True),
        ("a", "b", False),
        ("a [secret]", "a b\nc", True),
        ("[secret] a", "b", False),
    ],
)
def test_a_masked_text_fits_what_it_stands_for(recorded: str, given: str, *, fitting: bool) -> None:
    assert fits(recorded, given) is fitting
