"""The live display on a real terminal device: what it writes, and what it leaves behind."""

from __future__ import annotations

import io
import os
import re
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

import pytest
from display.scenes import ANSWER, HOSTILE, Scene, broken_run, real_run

from massgen_bridge.display.live import LiveDisplay
from massgen_bridge.events import Record, RunFinished, RunResult, TextDelta

if TYPE_CHECKING:
    from collections.abc import Iterator

pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"
PATIENCE_S = 10.0
# What the display may write besides text: colours, cursor up, erase line, its own private modes.
OWN_SEQUENCES = re.compile(r"\x1b\[(?:[0-9;]*m|1A|2K|2J|H|\?(?:25|7|2026)[hl])")


class Screen:
    """The master side of a pseudo-terminal; collects what is written to the other side."""

    def __init__(self, master: int) -> None:
        self._master = master
        self._chunks: list[bytes] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while True:
            try:
                chunk = os.read(self._master, 65_536)
            except OSError:
                return
            if not chunk:
                return
            self._chunks.append(chunk)

    @property
    def text(self) -> str:
        return b"".join(self._chunks).decode(errors="replace").replace("\r\n", "\n")

    def wait_for(self, wanted: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while wanted not in self.text:
            assert time.monotonic() < deadline, f"{wanted!r} never came: {self.text[-500:]!r}"
            time.sleep(0.01)

    def settle(self) -> str:
        """Everything, after the other side has been closed."""
        self._thread.join(PATIENCE_S)
        return self.text


@contextmanager
def terminal() -> Iterator[tuple[Screen, TextIO]]:
    master, slave = pty.openpty()
    stream = os.fdopen(slave, "w", encoding="utf-8")
    screen = Screen(master)
    try:
        yield screen, stream
    finally:
        stream.close()
        screen.settle()
        os.close(master)


@contextmanager
def live() -> Iterator[tuple[Screen, LiveDisplay]]:
    with (
        terminal() as (screen, stderr),
        LiveDisplay(stdout=io.StringIO(), stderr=stderr) as display,
    ):
        yield screen, display


def result_of(records: list[Record]) -> RunResult:
    last = records[-1].event
    assert isinstance(last, RunFinished)
    return last.result


def show(records: list[Record], *, piped: bool = True, no_color: bool = False) -> tuple[str, str]:
    """What a live display writes to a piped stdout and to the terminal."""
    stdout = io.StringIO()
    with terminal() as (screen, stderr):
        out = stdout if piped else stderr
        with LiveDisplay(stdout=out, stderr=stderr, no_color=no_color) as display:
            for record in records[:-1]:
                display.listen(record)
            screen.wait_for(HIDE)
            display.listen(records[-1])
            display.finish(result_of(records))
    return stdout.getvalue(), screen.text


def styles_in(written: str) -> set[str]:
    found = re.findall(r"\x1b\[([0-9;]*)m", written)
    return {code for codes in found for code in codes.split(";")}


def assert_restored(written: str) -> None:
    assert written.rindex(SHOW) > written.rindex(HIDE)
    assert written.rindex("\x1b[?7h") > written.rindex("\x1b[?7l")
    assert written.rindex("\x1b[?2026l") > written.rindex("\x1b[?2026h")
    assert "\x1b[?1049h" not in written


def test_panels_come_first_and_the_summary_stays() -> None:
    records = real_run({"answers": ["one"], "votes": ["agent2"]}, {"answers": ["two"]})
    stdout, written = show(records, piped=False)

    assert_restored(written)
    after = OWN_SEQUENCES.sub("", written[written.rindex(SHOW) :])
    assert "a1 (agent1) scripted" in OWN_SEQUENCES.sub("", written)
    assert stdout == ""
    assert after.index("Winner: ") < after.index("answer of ") < after.index(" model calls · ")


def test_a_piped_stdout_holds_the_answer_alone() -> None:
    stdout, written = show(real_run({"answers": ["the answer"]}))

    assert stdout == "the answer\n"
    assert "answer of" not in written
    assert "Winner: a1 (agent1)" in OWN_SEQUENCES.sub("", written)


def test_the_answer_of_a_stream_that_broke_and_came_again_is_printed_once() -> None:
    stdout, written = show(broken_run())
    _, alone = show(broken_run(), piped=False)

    assert stdout == f"{ANSWER}\n"
    assert ANSWER.split()[0] not in written[written.rindex(SHOW) :]
    assert alone[alone.rindex(SHOW) :].count(ANSWER.split()[0]) == 1


def test_a_long_answer_is_printed_whole_and_wrapped() -> None:
    answer = " ".join(f"word{n}" for n in range(2_000))
    _, written = show(real_run({"answers": [answer]}), piped=False)

    after = OWN_SEQUENCES.sub("", written[written.rindex(SHOW) :])
    assert answer in " ".join(after.split())
    assert max(map(len, after.splitlines())) <= 80


def test_nothing_that_an_agent_writes_reaches_the_terminal_as_a_command() -> None:
    scene = Scene().start("a1.1").say("a1.1", HOSTILE).answer("a1.1", HOSTILE)
    scene.finish(status="answered", winner="a1", answer=HOSTILE)
    _, written = show(scene.records, piped=False)

    assert "\x1b" not in OWN_SEQUENCES.sub("", written)
    assert re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\u202e]", written) is None


def test_without_colours_there_are_none() -> None:
    records = real_run({"answers": ["one"]}, {"answers": ["two"], "fails": "auth"})
    _, written = show(records, piped=False, no_color=True)
    _, coloured = show(records, piped=False)

    assert styles_in(written) <= {"0", "1", "2", "3"}
    assert styles_in(coloured) & {"31", "32"}


def test_an_interrupt_gives_the_terminal_back_and_sums_up() -> None:
    scene = Scene().start("a1.1").say("a1.1", "half an ans")
    end = Scene().finish(status="cancelled", message="the run was cancelled").records[-1]

    def run(screen: Screen, stderr: TextIO) -> None:
        with LiveDisplay(stdout=io.StringIO(), stderr=stderr) as display:
            for record in scene.records:
                display.listen(record)
            screen.wait_for("half an ans")
            display.listen(end)
            raise KeyboardInterrupt

    own_stderr = sys.stderr
    with terminal() as (screen, stderr), pytest.raises(KeyboardInterrupt):
        run(screen, stderr)

    assert_restored(screen.text)
    assert "No answer: the run was cancelled" in screen.text[screen.text.rindex(SHOW) :]
    assert sys.stderr is own_stderr


def test_what_others_print_to_stderr_appears_above_the_panels() -> None:
    with live() as (screen, display):
        for record in Scene().records:
            display.listen(record)
        screen.wait_for(HIDE)
        sys.stderr.write("a warning\n")
        screen.wait_for("a warning\n")

    assert_restored(screen.text)


def test_progress_is_drawn_before_a_run_and_leaves_a_line() -> None:
    with live() as (screen, display):
        advance = display.progress("Fetching")
        advance(43, 100)
        screen.wait_for(" 43%")
        advance(100, 100)
        screen.wait_for("Fetching: done")


def test_two_runs_are_shown_one_after_the_other() -> None:
    stdout = io.StringIO()
    with terminal() as (screen, stderr), LiveDisplay(stdout=stdout, stderr=stderr) as display:
        for number in (1, 2):
            records = real_run({"answers": [f"answer {number}"]})
            for record in records:
                display.listen(record)
            display.finish(result_of(records))
            screen.wait_for(f"run {records[0].run_id}")

    assert stdout.getvalue() == "answer 1\nanswer 2\n"


def test_listening_costs_little_beside_making_a_record() -> None:
    delta = TextDelta(text="word ")

    def make() -> Record:
        return Record(run_id="r", seq=1, at=0.0, agent_id="a1", turn_id="a1.1", event=delta)

    with live() as (_, display):
        for record in Scene().start("a1.1").records:
            display.listen(record)
        began = time.thread_time()
        records = [make() for _ in range(100_000)]
        making = time.thread_time() - began
        began = time.thread_time()
        for record in records:
            display.listen(record)
        listening = time.thread_time() - began

    assert listening < making / 2
    assert display.view.agents["a1"].text.length == 500_000


def test_the_panels_make_way_for_a_person_and_come_back() -> None:
    scene = Scene()
    with live() as (screen, display):
        for record in scene.records:
            display.listen(record)
        screen.wait_for(HIDE)
        with display.give_way(io.StringIO()):
            screen.wait_for(SHOW)
            before = len(screen.text)
            shown = len(scene.records)
            for record in scene.start("a1.1").say("a1.1", "meanwhile").records[shown:]:
                display.listen(record)
            time.sleep(0.5)
            assert len(screen.text) == before
        screen.wait_for("meanwhile")

    assert_restored(screen.text)
