"""What agents were asked and said, from records alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from massgen_bridge.agent import AnswerRef, ShownAnswer, Turn, TurnResult
from massgen_bridge.events import (
    ModelCallStarted,
    ModelRetried,
    Record,
    TextDelta,
    TurnCancelled,
    TurnDone,
    TurnStarted,
    Voted,
)
from massgen_bridge.messages import assistant, user
from massgen_bridge.runtime.histories import Histories

if TYPE_CHECKING:
    from massgen_bridge.events import Event

SHOWN = (ShownAnswer(label="agent1", version=1, text="One."),)
CHOICE = AnswerRef(label="agent1", version=1)
VOTED = Voted(agent_id="ada", turn_id="ada.2", choice=CHOICE, reason="clear")


def begun(turn_id: str = "ada.2", **about: Any) -> TurnStarted:
    shown = about.pop("shown", SHOWN)
    turn = Turn(run_id="r", turn_id=turn_id, agent_id="ada", messages=(user(turn_id),), shown=shown)
    return TurnStarted(**{"purpose": "evaluate", "round": 1, "turn": turn, **about})


def done(text: str) -> TurnDone:
    return TurnDone(result=TurnResult(message=assistant(text)))


def after(*events: Event, turn_id: str = "ada.2", to: Histories | None = None) -> Histories:
    histories = to or Histories()
    for seq, event in enumerate(events, 1):
        histories.add(
            Record(run_id="r", seq=seq, at=0, agent_id="ada", turn_id=turn_id, event=event)
        )
    return histories


def said(*events: Event) -> str | None:
    follow = after(*events).of("ada.2")
    return None if follow is None else follow.said


def test_a_finished_turn_is_what_was_asked_and_said() -> None:
    follow = after(begun(), TextDelta(text="ignored"), done("better")).of("ada.2")

    assert follow is not None
    assert follow.before == (user("ada.2"), assistant("better"))
    assert (follow.shown, follow.finished) == ((CHOICE,), True)


def test_a_vote_by_tool_is_put_in_words_beside_what_was_said() -> None:
    vote = "I vote for agent1: clear"

    assert said(begun(ballot="tools"), done(""), VOTED) == vote
    assert said(begun(ballot="tools"), done("Hm."), VOTED) == f"Hm.\n\n{vote}"


def test_a_ballot_that_is_text_says_the_vote_itself() -> None:
    assert said(begun(ballot="text"), done("my ballot"), VOTED) == "my ballot"
    assert said(begun(ballot="schema"), done("{}"), VOTED) == "{}"


def test_of_a_turn_that_was_stopped_stands_what_was_said_until_then() -> None:
    events = (
        begun(),
        TextDelta(text="I th"),
        TextDelta(text="ink"),
        TextDelta(text="x", source="b"),
    )
    follow = after(*events, TurnCancelled(reason="a new answer came in")).of("ada.2")

    assert follow is not None
    assert (follow.said, follow.finished) == ("I think", False)


def test_what_a_retried_call_had_said_is_void() -> None:
    call = ModelCallStarted(model="m")
    again = ModelRetried(attempt=1, delay_s=0, kind="server", message="down")

    assert said(begun(), call, TextDelta(text="gone"), again, TextDelta(text="kept")) == "kept"


def test_where_nothing_was_said_the_turn_before_counts() -> None:
    histories = after(begun(), done("first"))
    after(begun("ada.3", follows="ada.2"), turn_id="ada.3", to=histories)
    follow = histories.of("ada.3")

    assert follow is not None
    assert follow.said == "first"
    assert after(begun()).of("ada.2") is None
    assert histories.of("ada.9") is None


def test_turns_that_nobody_goes_on_from_are_not_kept() -> None:
    assert said(begun(shown=()), done("an answer")) is None
    assert said(begun(purpose="rank"), done("a ranking")) is None


def test_a_turn_that_is_started_again_is_told_anew() -> None:
    assert said(begun(), TextDelta(text="lost with the process"), begun(attempt=2)) is None
