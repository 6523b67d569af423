"""A run that dies with a picture in hand goes on with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from pictures import png

from massgen_bridge.events import Answered, TurnDone
from massgen_bridge.runtime.index import RunIndex
from massgen_bridge.runtime.journal import read_run
from massgen_bridge.testing.servers import HostedCall, ModelServer, Text

if TYPE_CHECKING:
    from cli.conftest import Shell

# It is asked what to do with an answer once the turn is done, and before the answer is there; by
# then, nothing waits for the disk, so it does.
DIES_ONCE = """
import os
import signal
import time
from pathlib import Path

from massgen_bridge import hookimpl
from massgen_bridge.runtime.index import RunIndex
from massgen_bridge.runtime.journal import read_run


def _is_kept(index):
    (row,) = index.list()
    return any(one.event.type == "turn_done" for one in read_run(index.path(row.run_id)))


@hookimpl
def bridge_answer(text):
    died, index = Path(__file__).with_name("died"), RunIndex()
    if died.exists():
        return
    died.touch()
    while not _is_kept(index):
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_picture_that_was_paid_for_is_neither_lost_nor_made_again(shell: Shell) -> None:
    red = png()
    painted = Text("Here it is.", hosted=(HostedCall("image_generation", image=red),))
    (shell.home / "dies.py").write_text(DIES_ONCE)
    config, index = shell.home / "team.yaml", RunIndex(shell.home / "data")
    given = ("--trust", "--output", "json", "--display", "none")
    with ModelServer(painted) as server:
        config.write_text(
            "version: 1\n"
            "plugins: [dies.py]\n"
            "strategy: single\n"
            "models:\n"
            "  paints: {provider: vllm, protocol: responses, model: m, inputs: [image],\n"
            f"    base_url: '{server.base_url('responses')}'}}\n"
            "agents:\n"
            "  - id: ada\n"
            "    backend: {type: openai, model: paints, image_generation: true}\n"
        )
        died = shell("run", config, "Paint!", *given)
        assert died.returncode == -9, died.stderr
        (row,) = index.list()
        kinds = [type(one.event) for one in read_run(index.path(row.run_id))]
        assert TurnDone in kinds
        assert Answered not in kinds
        done = shell("runs", "resume", row.run_id, *given)
        assert server.calls == 1
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["answer"], result["calls"]) == ("Here it is.", 1)
    (picture,) = result["media"]
    assert Path(picture["path"]).read_bytes() == red
