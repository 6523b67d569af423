"""The view of a run follows its records."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from display.scenes import START, Scene, real_run
from hypothesis import given
from hypothesis import strategies as st

from massgen_bridge.agent import AnswerRef, Usage
from massgen_bridge.display.agent_view import Phase
from massgen_bridge.display.state import RunView
from massgen_bridge.display.words import phase_of
from massgen_bridge.events import (
    Abstained,
    AnswerInfo,
    AnswerRejected,
    BallotSpoiled,
    Event,
    HostedToolCall,
    ImprovementPromised,
    LogLine,
    ModelCallStarted,
    ModelRetried,
    Purpose,
    ReasoningDelta,
    Record,
    RunFinished,
    TextDelta,
    ToolCallFinished,
    ToolCallStarted,
    TurnCancelled,
    TurnFailed,
    TurnLost,
    VoteInfo,
)
from massgen_bridge.messages import ToolCall, ToolResult

OWN = {"agent_id": "a1", "turn_id": "a1.1"}


@pytest.mark.parametrize(
    ("event", "phase"),
    [
        (BallotSpoiled(problem="no vote", **OWN), "spoiled"),
        (AnswerRejected(reason="too short", **OWN), "rejected"),
        (ImprovementPromised(**OWN), "improving"),
        (Abstained(**OWN), "abstained"),
        (TurnLost(kind="auth", message="no key", **OWN), "failed"),
        (TurnFailed(kind="auth", message="no key"), "failed"),
        (TurnCancelled(reason="the end"), "stopped"),
    ],
)
def test_what_comes_of_a_turn_is_the_agents_phase(event: Event, phase: Phase) -> None:
    view = Scene().start("a1.1").add(event, "a1.1").view

    assert (view.agents["a1"].phase, view.agents["a2"].phase) == (phase, "waiting")


def test_an_agent_goes_through_its_phases() -> None:
    scene = Scene()
    steps: list[Callable[[], Scene]] = [
        lambda: scene.start("a1.1"),
        lambda: scene.answer("a1.1", "first"),
        lambda: scene.start("a1.2", "evaluate", 1),
        lambda: scene.start("a1.3", "improve", 1),
        lambda: scene.answer("a1.3", "second"),
        lambda: scene.start("a1.4", "repair", 2),
        lambda: scene.vote("a1.4", "agent2"),
    ]
    phases = [step().view.agents["a1"].phase for step in steps]

    assert phases[:4] == ["answering", "answered", "evaluating", "improving"]
    assert phases[4:] == ["improved", "repairing", "voted"]
    assert (scene.view.agents["a1"].answer, scene.view.round) == ("second", 2)


def test_a_retry_drops_what_the_failed_call_wrote_and_nothing_else() -> None:
    scene = Scene().start("a1.1").say("a1.1", "whole ")
    scene.add(ModelCallStarted(model="m"), "a1.1").say("a1.1", "void", " void")
    scene.add(ModelRetried(attempt=1, delay_s=2, kind="server", message="503"), "a1.1")

    agent = scene.view.agents["a1"]
    assert agent.text.text == "whole "
    assert agent.activity == "attempt 1 failed, next in 2.0 s (server: 503)"
    scene.add(ModelCallStarted(model="m"), "a1.1").say("a1.1", "again")
    assert scene.view.agents["a1"].text.text == "whole again"
    assert scene.view.agents["a1"].activity is None


def test_a_fallback_that_is_asked_instead_is_named() -> None:
    scene = Scene().start("a1.1")
    told = {"attempt": 2, "delay_s": 0, "kind": "server", "message": "503", "fallback": "spare"}
    scene.add(ModelRetried.model_validate(told), "a1.1")
    activity = scene.view.agents["a1"].activity
    assert activity == "attempt 2 failed, spare is asked instead (server: 503)"


def test_a_new_turn_begins_with_an_empty_page() -> None:
    scene = Scene().start("a1.1").say("a1.1", "first").answer("a1.1", "first")

    assert scene.start("a1.2", "evaluate", 1).view.agents["a1"].text.text == ""


def test_deltas_of_another_turn_are_not_taken_for_those_of_this_one() -> None:
    scene = Scene().start("a1.1").start("a1.2").say("a1.1", "late").say("a1.2", "new")

    assert scene.view.agents["a1"].text.text == "new"


def test_inner_members_of_a_group_are_told_apart() -> None:
    scene = Scene().start("a1.1")
    for source, text in (("ed", "one"), ("ed", " two"), ("flo", "three"), (None, "four")):
        scene.add(TextDelta(text=text, source=source), "a1.1")

    assert scene.view.agents["a1"].text.text == "[ed] one two\n[flo] three\nfour"


def test_reasoning_logs_and_tool_calls_are_kept_apart_from_the_text() -> None:
    call = ToolCall(call_id="c", name="search")
    scene = Scene().start("a1.1").add(ReasoningDelta(text="hm"), "a1.1")
    scene.add(LogLine(stream="stderr", text="a line"), "a1.1")
    scene.add(ToolCallStarted(call=call), "a1.1")

    agent = scene.view.agents["a1"]
    assert (agent.reasoning.text, agent.log, agent.activity) == ("hm", "a line", "calls search")
    assert agent.text.length == 0
    scene.add(ToolCallFinished(result=ToolResult(call_id="c", name="search", content="")), "a1.1")
    assert scene.view.agents["a1"].activity is None


def test_a_tool_of_the_provider_is_what_an_agent_does_until_it_answers() -> None:
    scene = Scene().start("a1.1").add(ModelCallStarted(model="m"), "a1.1")
    scene.add(HostedToolCall(name="web_search", source="ed"), "a1.1")

    assert scene.view.agents["a1"].activity == "ed: has the provider call web_search"
    scene.add(TextDelta(text="Tea."), "a1.1")
    assert scene.view.agents["a1"].activity is None


def test_time_is_that_of_the_turns_alone() -> None:
    scene = Scene().start("a1.1").answer("a1.1", "x").start("a1.2", "evaluate", 1)

    agent = scene.view.agents["a1"]
    assert agent.busy_s == 1.5
    assert agent.started_at == START + 3
    assert agent.elapsed_s(START + 5) == 3.5
    assert agent.elapsed_s(START - 9) == 1.5  # a clock that was set back


def test_tokens_are_counted_as_in_the_result() -> None:
    records = real_run({"answers": ["one two"]}, {"answers": ["three"]})
    view = RunView(records)
    assert isinstance(records[-1].event, RunFinished)
    result = records[-1].event.result

    assert view.used() == result.used
    assert result.usage != Usage()


def test_votes_count_for_all_authors_of_an_answer_and_only_in_their_round() -> None:
    scene = Scene(3).listed("agent1", "a1", "a2").listed("agent3", "a3")
    for agent_id, label in (("a1", "agent1"), ("a2", "agent1"), ("a3", "agent3")):
        scene.start(f"{agent_id}.2", "evaluate", 1).vote(f"{agent_id}.2", label)

    assert scene.view.votes() == {"a1": 2, "a2": 2, "a3": 1}
    assert scene.view.agents["a2"].same_as == "a1"
    scene.start("a1.3", "evaluate", 2)
    assert scene.view.votes() == {}


def test_a_label_is_mapped_to_its_agent_even_where_no_answer_was_listed() -> None:
    scene = Scene().start("a1.1", "evaluate", 1).vote("a1.1", "agent2")

    assert scene.view.votes() == {"a2": 1}


def test_the_result_has_the_last_word_on_the_votes() -> None:
    scene = Scene().start("a1.1", "evaluate", 1).vote("a1.1", "agent2")
    scene.start("a2.1", "evaluate", 1).vote("a2.1", "agent2")
    vote = VoteInfo(voter="a2", author="a1", label="agent1", version=1, reason="r")
    scene.finish(status="answered", votes=(vote,))

    assert scene.view.votes() == {"a1": 1}
    assert scene.view.agents["a1"].ballot is None


def test_the_winning_answer_is_found_among_several_of_one_author() -> None:
    answers = tuple(
        AnswerInfo(label="agent1", version=version, authors=("a1", "a2"), text=text)
        for version, text in ((1, "old"), (2, "new"))
    )
    view = Scene().finish(status="answered", winner="a1", answer="new", answers=answers).view

    assert view.winning == answers[1]
    assert Scene().view.winning is None
    assert Scene().finish(status="failed").view.winning is None


def test_a_view_without_the_first_record_knows_the_agents_that_it_meets() -> None:
    scene = Scene().start("a1.1").say("a1.1", "hello")
    view = RunView(scene.records[1:])

    assert view.started is None
    assert view.agents["a1"].text.text == "hello"


def test_late_news_of_an_earlier_turn_changes_nothing() -> None:
    scene = Scene().start("a1.1").start("a1.2")
    scene.add(TurnCancelled(reason="late"), "a1.1")
    scene.add(TurnLost(agent_id="a1", turn_id="a1.1", kind="server", message="late"), "a1.1")

    assert scene.view.agents["a1"].phase == "answering"


def test_another_run_begins_a_new_view() -> None:
    first = Scene().start("a1.1").answer("a1.1", "x").finish(status="answered")
    view = first.view
    for record in Scene(3).records:
        view.apply(record)

    assert list(view.agents) == ["a1", "a2", "a3"]
    assert view.result is None
    assert view.votes() == {}


@given(st.data())
def test_records_in_any_order_and_with_any_missing_break_nothing(data: st.DataObject) -> None:
    scene = Scene().start("a1.1").say("a1.1", "x").answer("a1.1", "x").listed("agent1", "a1")
    scene.start("a2.1", "evaluate", 1).vote("a2.1", "agent1")
    scene.add(ModelRetried(attempt=1, delay_s=0, kind="server", message="m"), "a1.1")
    scene.add(TurnFailed(kind="server", message="m"), "a2.1")
    scene.finish(status="answered", winner="a1", answer="x")
    mixed = data.draw(st.permutations(scene.records))
    kept = data.draw(st.integers(0, len(mixed)))

    view = RunView(mixed[:kept])
    assert view.version >= kept
    assert set(view.votes()) <= {"a1", "a2", "agent1"}


def test_a_delta_costs_the_same_however_much_text_is_there() -> None:
    scene = Scene().start("a1.1")
    view = scene.view
    delta = Record(
        run_id="run-1",
        seq=99,
        at=START,
        agent_id="a1",
        turn_id="a1.1",
        event=TextDelta(text="word "),
    )

    def seconds_for_20_000() -> float:
        began = time.thread_time()
        for _ in range(20_000):
            view.apply(delta)
        return time.thread_time() - began

    first, *_, last = [seconds_for_20_000() for _ in range(5)]
    assert last < 4 * first
    assert view.agents["a1"].text.length == 500_000


def test_an_answers_authors_are_those_it_was_listed_with() -> None:
    view = Scene().listed("agent1", "a1", "a2", version=2).view

    assert view.authors_of(AnswerRef(label="agent1", version=2)) == ("a1", "a2")
    assert view.authors_of(AnswerRef(label="nobody", version=1)) == ()


@pytest.mark.parametrize(
    ("purpose", "said"),
    [
        ("evaluate", "evaluating round 2"),
        ("debate", "debating round 2"),
        ("speak", "speaking"),
        ("chair", "chairing"),
    ],
)
def test_a_round_is_told_where_agents_go_through_rounds(purpose: Purpose, said: str) -> None:
    view = RunView(Scene().start("a1.1", purpose, 2).records)

    assert phase_of(view.agents["a1"]) == said
