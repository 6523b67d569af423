"""The display suits the streams: panels on a capable terminal, lines elsewhere."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import TextIO

import pytest
from display.scenes import Terminal

from massgen_bridge.display import DisplayMode, choose_display
from massgen_bridge.display.base import QuietDisplay
from massgen_bridge.display.live import LiveDisplay
from massgen_bridge.display.plain import PlainDisplay
from massgen_bridge.events import RunResult

XTERM = {"TERM": "xterm-256color"}


class OldTerminal(Terminal):
    encoding = "latin-1"


@pytest.mark.parametrize(
    ("mode", "stderr", "environ", "display"),
    [
        ("auto", Terminal(), XTERM, LiveDisplay),
        ("auto", Terminal(), {**XTERM, "CI": ""}, LiveDisplay),
        ("auto", Terminal(), {**XTERM, "CI": "false"}, LiveDisplay),
        ("auto", Terminal(), {**XTERM, "CI": "true"}, PlainDisplay),
        ("auto", Terminal(), {**XTERM, "CI": "1"}, PlainDisplay),
        ("auto", Terminal(), {"TERM": "dumb"}, PlainDisplay),
        ("auto", Terminal(), {"TERM": "unknown"}, PlainDisplay),
        ("auto", OldTerminal(), XTERM, PlainDisplay),
        ("auto", io.StringIO(), XTERM, PlainDisplay),
        ("rich", Terminal(), {**XTERM, "CI": "true"}, LiveDisplay),
        ("rich", Terminal(), {"TERM": "dumb"}, PlainDisplay),
        ("rich", io.StringIO(), XTERM, PlainDisplay),
        ("plain", Terminal(), XTERM, PlainDisplay),
        ("none", Terminal(), XTERM, QuietDisplay),
    ],
)
def test_mode_terminal_and_environment_decide(
    mode: DisplayMode, stderr: TextIO, environ: dict[str, str], display: type
) -> None:
    chosen = choose_display(mode, stdout=io.StringIO(), stderr=stderr, environ=environ)

    assert type(chosen) is display


@pytest.mark.skipif(sys.platform == "win32", reason="Windows terminals set no TERM")
def test_a_terminal_without_a_name_gets_lines() -> None:
    chosen = choose_display("auto", stdout=Terminal(), stderr=Terminal(), environ={})

    assert type(chosen) is PlainDisplay


@pytest.mark.parametrize("mode", ["auto", "rich", "plain", "none"])
def test_every_display_keeps_stdout_for_the_answer(mode: DisplayMode) -> None:
    for answer, written in ((True, "the answer\n"), (False, "")):
        stdout = io.StringIO()
        display = choose_display(
            mode, stdout=stdout, stderr=Terminal(), environ=XTERM, answer=answer
        )
        with display:
            display.progress("Fetching")(1, 2)
            display.finish(RunResult(run_id="r", status="answered", answer="the answer"))
        assert stdout.getvalue() == written


def test_without_a_live_display_rich_is_not_imported() -> None:
    code = (
        "import sys, io, massgen_bridge.display as d;"
        "d.choose_display('auto', stdout=io.StringIO(), stderr=io.StringIO(), environ={});"
        "sys.exit('rich' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
