"""Plain lines: one for each thing that happens, the same for the same records."""

from __future__ import annotations

import io
import re
import time
from typing import get_args

import pytest
from display.scenes import HOSTILE, Scene, Terminal, real_run

from massgen_bridge.agent import AnswerRef
from massgen_bridge.display.plain import PlainDisplay, plain_line
from massgen_bridge.display.state import RunView
from massgen_bridge.events import (
    Abstained,
    AnswerInfo,
    AnswerRejected,
    BallotSpoiled,
    DeadlinePassed,
    ErrorInfo,
    Event,
    HostedToolCall,
    ImprovementPromised,
    ModelRetried,
    ModelWaiting,
    PersonAsked,
    PersonReplied,
    Purpose,
    Record,
    RunFinished,
    RunResult,
    SpeakerChosen,
    TieBroken,
    ToolCallFinished,
    ToolCallJudged,
    ToolCallStarted,
    TurnCancelled,
    TurnLost,
    VoteInfo,
)
from massgen_bridge.messages import ToolCall, ToolResult

OWN = {"agent_id": "a1", "turn_id": "a1.1"}
REF = AnswerRef(label="agent2", version=1)


def lines_of(records: list[Record]) -> list[str]:
    view = RunView()
    lines = []
    for record in records:
        view.apply(record)
        line = plain_line(record, view)
        if line is not None:
            lines.append(line)
    return lines


def shown(records: list[Record], *, answer: bool = True) -> tuple[str, str]:
    """What a plain display writes to stdout and stderr."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with PlainDisplay(stdout=stdout, stderr=stderr, answer=answer, interval_s=0.01) as display:
        for record in records:
            display.listen(record)
        last = records[-1].event
        if isinstance(last, RunFinished):
            display.finish(last.result)
    return stdout.getvalue(), stderr.getvalue()


def test_a_run_line_by_line() -> None:
    scene = Scene().start("a1.1").say("a1.1", "one").start("a2.1").say("a2.1", "two")
    scene.answer("a1.1", "one").answer("a2.1", "two")
    scene.listed("agent1", "a1").listed("agent2", "a2")
    scene.start("a1.2", "evaluate", 1).vote("a1.2", "agent2", "clearer")
    scene.start("a2.2", "evaluate", 1).answer("a2.2", "better").listed("agent2", "a2", version=2)

    assert lines_of(scene.records) == [
        "[   0.0s] run run-1: 2 agents, strategy consensus: Which?",
        "[   0.5s] a1 (agent1): begins its answer",
        "[   2.0s] a2 (agent2): begins its answer",
        "[   4.5s] a1 (agent1): gave its answer",
        "[   6.0s] a2 (agent2): gave its answer",
        "[   6.5s] a1 (agent1): its answer is up for the vote",
        "[   7.0s] a2 (agent2): its answer is up for the vote",
        "[   7.5s] a1 (agent1): weighs the answers, round 1",
        "[   9.5s] a1 (agent1): voted for a2 (agent2): clearer",
        "[  10.0s] a2 (agent2): weighs the answers, round 1",
        "[  12.0s] a2 (agent2): gave a better answer",
        "[  12.5s] a2 (agent2): its answer is up for the vote",
    ]


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (AnswerRejected(reason="too\nshort", **OWN), "its answer was refused: too short"),
        (BallotSpoiled(problem="no label", **OWN), "its ballot does not count: no label"),
        (ImprovementPromised(**OWN), "promises a better answer"),
        (Abstained(reason="no\nidea", **OWN), "abstains: no idea"),
        (Abstained(**OWN), "abstains"),
        (PersonAsked(time_limit_s=90), "the person is asked, with 90 s to reply"),
        (PersonAsked(), "the person is asked"),
        (
            ModelWaiting(model="m", reason="concurrency"),
            "waits for a place among the connection's calls",
        ),
        (
            ModelWaiting(model="m", reason="tokens", delay_s=2),
            "waits for 2.0 s to stay within the connection's tokens a minute",
        ),
        (
            PersonReplied(by_default=True, reason="no reply within 90 s"),
            "no reply within 90 s: the default applies",
        ),
        (SpeakerChosen(label="agent2", **OWN), "gives the floor to a2 (agent2)"),
        (SpeakerChosen(reason="all\nsaid", **OWN), "ends the conversation: all said"),
        (TurnCancelled(reason="the run ended"), "stopped: the run ended"),
        (ToolCallStarted(call=ToolCall(call_id="c", name="search")), "calls the tool search"),
        (HostedToolCall(name="web\nsearch"), "has the provider call its tool web search"),
        (
            ToolCallJudged(call_id="c", action="deny", by="guard", reason="not\nthis"),
            "the call is denied by guard: not this",
        ),
        (
            ToolCallFinished(
                result=ToolResult(call_id="c", name="search", content="", is_error=True)
            ),
            "the tool search failed",
        ),
        (
            TurnLost(kind="auth", message="401: no key", **OWN),
            "failed: auth: 401: no key (what to do: set a valid API key for this agent's provider)",
        ),
        (
            ModelRetried(attempt=2, delay_s=1.25, kind="rate_limit", message="429"),
            "model call 2 failed, next try in 1.2 s: rate_limit: 429",
        ),
    ],
)
def test_what_happens_to_an_agent_is_said_with_its_name(event: Event, said: str) -> None:
    lines = lines_of(Scene().start("a1.1").add(event, "a1.1").records)

    assert lines[-1] == f"[   1.5s] a1 (agent1): {said}"


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (TieBroken(winner=REF, by="order"), "tie: a2 (agent2) wins by order"),
        (DeadlinePassed(after_s=90), "deadline: the 90 s of this run are over"),
    ],
)
def test_what_happens_to_the_run_is_said_too(event: Event, said: str) -> None:
    assert lines_of(Scene().add(event).records)[-1] == f"[   0.5s] {said}"


def test_what_an_agent_begins_is_said_for_every_purpose() -> None:
    said = [lines_of(Scene().start("a1.1", one).records)[-1] for one in get_args(Purpose)]

    assert len(set(said)) == len(get_args(Purpose))
    assert "[   0.5s] a1 (agent1): judges the positions" in said


def test_a_contribution_is_no_better_answer_and_a_kept_position_neither() -> None:
    scene = Scene().start("a1.1", "speak").answer("a1.1", "one").start("a1.2", "speak")
    assert lines_of(scene.answer("a1.2", "two").records)[-1].endswith("has spoken")
    scene = Scene().start("a1.1").answer("a1.1", "one").start("a1.2", "debate", 1)
    assert lines_of(scene.answer("a1.2", "one").records)[-1].endswith("gave its answer")


def test_equal_answers_are_told_with_all_their_authors() -> None:
    lines = lines_of(Scene(3).listed("agent1", "a1", "a2", "a3").records)

    said = "gave the same answer, it is up for the vote"
    assert lines[-1] == f"[   0.5s] a1 (agent1), a2 (agent2) and a3 (agent3): {said}"


def test_every_kind_of_event_is_either_told_or_silent() -> None:
    records = real_run({"votes": ["improve", "agent1"]}, {"answers": ["b"], "fails": "server"}, {})

    assert len(lines_of(records)) > len({record.turn_id for record in records})


def test_the_answer_alone_goes_to_stdout_as_it_is() -> None:
    scene = Scene().start("a1.1").answer("a1.1", HOSTILE)
    info = AnswerInfo(label="agent1", version=1, authors=("a1",), text="\x1b[1mx\x1b[0m\u202e")
    scene.finish(status="answered", winner="a1", answer=info.text, answers=(info,), calls=1)
    stdout, stderr = shown(scene.records)

    assert stdout == "\x1b[1mx\x1b[0m\u202e\n"
    assert stderr.splitlines()[-2:] == [
        "Winner: a1 (agent1)",
        "1 model call · 0 tokens in, 0 out · 0.0 s · run run-1",
    ]
    assert shown(scene.records, answer=False)[0] == ""


def test_a_terminal_gets_the_answer_without_what_it_would_act_on() -> None:
    stdout = Terminal()
    with PlainDisplay(stdout=stdout, stderr=io.StringIO()) as display:
        display.finish(RunResult(run_id="r", status="answered", answer="\x1b[2Jsafe"))

    assert stdout.getvalue() == "safe\n"


def test_hostile_text_stays_on_its_line() -> None:
    scene = Scene().start("a1.1").vote("a1.1", "agent2", HOSTILE)
    scene.add(TurnLost(kind="server", message=HOSTILE, **OWN), "a1.1")
    errors = (ErrorInfo(agent_id="a1", turn_id="a1.1", kind="server", message=HOSTILE),)
    vote = VoteInfo(voter="a1", author="a2", label="agent2", version=1, reason=HOSTILE)
    answer = AnswerInfo(label="agent1", version=1, authors=("a1",), text="x")
    scene.finish(
        status="answered", winner="a1", answer="x", answers=(answer,), votes=(vote,), errors=errors
    )
    _, stderr = shown(scene.records)

    assert len(stderr.splitlines()) == len(stderr.rstrip("\n").split("\n")) == 9
    assert re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", stderr) is None


def test_a_finished_run_is_told_once() -> None:
    records = real_run({}, {})
    assert isinstance(records[-1].event, RunFinished)
    stdout, stderr = io.StringIO(), io.StringIO()
    with PlainDisplay(stdout=stdout, stderr=stderr) as display:
        for record in records:
            display.listen(record)
        display.finish(records[-1].event.result)
        display.finish(records[-1].event.result)

    assert stdout.getvalue() == "An answer.\n"
    assert stderr.getvalue().count("Winner") == 1


def test_two_runs_are_told_one_after_the_other() -> None:
    stdout, stderr = io.StringIO(), io.StringIO()
    with PlainDisplay(stdout=stdout, stderr=stderr) as display:
        for number in (1, 2):
            for record in Scene().finish(status="answered", answer=f"{number}").records:
                display.listen(record.model_copy(update={"run_id": f"run-{number}"}))
            display.finish(RunResult(run_id=f"run-{number}", status="answered", answer=f"{number}"))

    assert stdout.getvalue() == "1\n2\n"
    assert [line for line in stderr.getvalue().splitlines() if "] run" in line] == [
        "[   0.0s] run run-1: 2 agents, strategy consensus: Which?",
        "[   0.0s] run run-2: 2 agents, strategy consensus: Which?",
    ]


def test_a_run_that_was_interrupted_is_summed_up() -> None:
    stderr = io.StringIO()
    scene = Scene().start("a1.1").finish(status="cancelled", message="the run was cancelled")

    def run() -> None:
        with PlainDisplay(stdout=io.StringIO(), stderr=stderr) as display:
            for record in scene.records:
                display.listen(record)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    assert "No answer: the run was cancelled\n" in stderr.getvalue()


def test_progress_is_told_in_steps_of_ten_percent() -> None:
    stderr = io.StringIO()
    display = PlainDisplay(stdout=io.StringIO(), stderr=stderr, interval_s=0.0005)
    with display:
        advance = display.progress("Fetching")
        for done in range(0, 1_001, 5):
            advance(done, 1_000)
            display._look()

    assert stderr.getvalue().splitlines() == [f"Fetching: {n} %" for n in range(0, 101, 10)]


def test_letters_that_the_stream_lacks_become_question_marks() -> None:
    raw = io.BytesIO()
    stdout = io.TextIOWrapper(raw, encoding="ascii")
    with PlainDisplay(stdout=stdout, stderr=stdout) as display:
        display.finish(RunResult(run_id="r", status="answered", answer="日 é"))

    assert b"? ?\n" in raw.getvalue()


def test_a_reader_that_has_left_costs_the_display_and_not_the_run() -> None:
    class Gone(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError

    stdout = io.StringIO()
    with PlainDisplay(stdout=stdout, stderr=Gone()) as display:
        display.listen(Scene().records[0])
        display.finish(RunResult(run_id="r", status="answered", answer="kept"))

    assert stdout.getvalue() == "kept\n"


def test_while_a_person_is_asked_lines_go_where_they_do_not_disturb() -> None:
    stderr, above = io.StringIO(), io.StringIO()
    scene = Scene()
    with PlainDisplay(stdout=io.StringIO(), stderr=stderr, interval_s=0.01) as display:
        for record in scene.records:
            display.listen(record)
        with display.give_way(above):
            before = stderr.getvalue()
            shown = len(scene.records)
            for record in scene.start("a1.1").records[shown:]:
                display.listen(record)
            deadline = time.monotonic() + 10
            while "begins its answer" not in above.getvalue():
                assert time.monotonic() < deadline
                time.sleep(0.01)
        assert stderr.getvalue() == before
        shown = len(scene.records)
        for record in scene.start("a2.1").records[shown:]:
            display.listen(record)

    assert "a2 (agent2): begins its answer" in stderr.getvalue()
    assert "a2" not in above.getvalue()
