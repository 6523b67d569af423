"""A frame fits into its terminal, whatever it shows."""

from __future__ import annotations

import time

import pytest
from display.scenes import HOSTILE, START, Scene, drawn
from rich.cells import cell_len

from massgen_bridge.display.base import Meter
from massgen_bridge.display.state import RunView
from massgen_bridge.events import (
    AnswerInfo,
    BallotSpoiled,
    LogLine,
    ModelRetried,
    ReasoningDelta,
    TextDelta,
    ToolCallStarted,
    TurnLost,
    VoteInfo,
)
from massgen_bridge.messages import ToolCall


def busy_scene(agents: int, text: str) -> Scene:
    """Agents in all phases, all of them saying the same."""
    scene = Scene(agents)
    for n in range(1, agents + 1):
        turn, own = f"a{n}.1", {"agent_id": f"a{n}", "turn_id": f"a{n}.1"}
        scene.start(turn)
        match n % 8:
            case 0:
                scene.add(ToolCallStarted(call=ToolCall(call_id="c", name=text)), turn)
            case 1:
                scene.say(turn, text, text)
            case 2:
                scene.answer(turn, text)
            case 3:
                scene.vote(turn, "agent1", text)
            case 4:
                scene.add(TurnLost(kind="server", message=text, **own), turn)
            case 5:
                scene.add(ReasoningDelta(text=text), turn)
            case 6:
                scene.add(BallotSpoiled(problem=text, **own), turn)
            case _:
                scene.add(LogLine(stream="stdout", text=text), turn)
                scene.add(ModelRetried(attempt=1, delay_s=1, kind="server", message=text), turn)
    return scene


@pytest.mark.parametrize("text", ["short", "many words " * 200, HOSTILE, "日本語" * 300, "\n" * 50])
@pytest.mark.parametrize("width", [12, 40, 80, 120])
@pytest.mark.parametrize("agents", range(1, 13))
def test_no_line_is_too_wide_and_no_frame_too_high(agents: int, width: int, text: str) -> None:
    view = busy_scene(agents, text).view
    for height in (3, 8, 12, 24, 60):
        lines = drawn(view, width, height)
        assert max(map(cell_len, lines)) <= width
        assert len(lines) < height
        assert "\x1b" not in "".join(lines)


@pytest.mark.parametrize("agents", range(1, 13))
@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_every_agent_has_its_place(agents: int, size: tuple[int, int]) -> None:
    text = "\n".join(drawn(busy_scene(agents, "some words").view, *size))

    assert all(f"a{n} (agent{n})" in text for n in range(1, agents + 1))


def test_a_panel_shows_who_what_and_how_far() -> None:
    scene = Scene(2).start("a1.1").done("a1.1", tokens=600).start("a2.1")
    scene.say("a2.1", "Cats are ", "[bold]better[/bold].")
    lines = drawn(scene.view, 80, 8)

    assert lines[0].rstrip() == "massgen-bridge · consensus · 4 s · 2 model calls · 1.2k tok"
    assert lines[1].startswith("╭─ a1 (agent1) scripted m ─")
    assert "│ Cats are [bold]better[/bold].        │" in lines[2]
    assert "╰─ answering · 2 s · 1.2k tok ─" in lines[-1]
    assert "╰─ answering · 2 s ─" in lines[-1]


def test_streaming_text_shows_its_end_and_a_finished_answer_its_beginning() -> None:
    text = " ".join(f"word{n}" for n in range(400))
    streaming = "\n".join(drawn(Scene(1).start("a1.1").say("a1.1", text).view))
    answered = "\n".join(drawn(Scene(1).start("a1.1").answer("a1.1", text).view))

    assert "word399" in streaming
    assert "word0 " not in streaming
    assert "word0 " in answered
    assert "word399" not in answered


def test_votes_go_to_all_authors_of_a_merged_answer() -> None:
    scene = Scene(3)
    for n in (1, 2, 3):
        scene.start(f"a{n}.1").answer(f"a{n}.1", "same" if n < 3 else "other")
    scene.listed("agent1", "a1", "a2").listed("agent3", "a3")
    scene.start("a3.2", "evaluate", 1).vote("a3.2", "agent1", "shorter")
    lines = drawn(scene.view, 120, 12)

    assert lines[-1].startswith("╰─ answered · 1 vote · ")
    assert "╰─ answered as a1 · 1 vote · " in lines[-1]
    assert "│ voted for a1 and a2: shorter" in lines[2]


def test_the_winner_is_marked_at_the_end() -> None:
    scene = Scene(2).start("a1.1").answer("a1.1", "x").listed("agent1", "a1")
    answer = AnswerInfo(label="agent1", version=1, authors=("a1",), text="x", votes=1)
    vote = VoteInfo(voter="a2", author="a1", label="agent1", version=1)
    scene.finish(status="answered", winner="a1", answer="x", answers=(answer,), votes=(vote,))

    assert "winner · 1 vote" in drawn(scene.view)[-1]


def test_agents_without_room_are_counted() -> None:
    lines = drawn(busy_scene(12, "words").view, 40, 8)

    assert [line.split()[0] for line in lines[1:6]] == ["a1", "a2", "a3", "a4", "a5"]
    assert lines[6].strip() == "and 7 more agents"


def test_progress_stands_above_the_agents_until_it_is_done() -> None:
    meter = Meter("Fetching \x1b[1mthe model")
    meter(43, 100)

    assert drawn(RunView(), meters=(meter,))[0].startswith("Fetching the model ━")
    assert "43%" in drawn(Scene().view, 40, 24, (meter,))[0]
    meter(100, 100)
    assert drawn(RunView(), meters=(meter,)) == []


def test_drawing_takes_no_longer_for_a_long_text_than_for_a_page() -> None:
    def cost(words: int) -> float:
        view = Scene(1).start("a1.1").view
        record = Scene(1).start("a1.1").say("a1.1", "word " * 50).records[-1]
        for _ in range(words // 50):
            view.apply(record)
        view.agents["a1"].answer = "word " * words
        began = time.thread_time()
        for _ in range(10):
            drawn(view)
        return time.thread_time() - began

    cost(2_000)
    assert cost(400_000) < 5 * cost(2_000)


def test_a_frame_needs_no_first_record() -> None:
    scene = Scene(1).start("a1.1").add(TextDelta(text="hello"), "a1.1")

    assert "hello" in "".join(drawn(RunView(scene.records[1:])))
    assert scene.view.last_at >= START


def test_an_agent_that_weighs_the_answers_still_shows_its_own() -> None:
    scene = Scene(1).start("a1.1").answer("a1.1", "its own answer").start("a1.2", "evaluate", 1)

    assert "its own answer" in "\n".join(drawn(scene.view))
