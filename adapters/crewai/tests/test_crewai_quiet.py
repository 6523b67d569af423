"""CrewAI reports home, traces and stores under the user's home by default: here it does not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import os, socket, sys, threading
from pathlib import Path

asked = []

def watch(event, arguments):
    if event in {"socket.connect", "socket.getaddrinfo", "socket.sendto"}:
        asked.append((event, str(arguments)))

sys.addaudithook(watch)

import anyio
from massgen_bridge_crewai import bridge_adapters
assert "crewai" not in sys.modules, "importing the adapter imports no framework"

from dataclasses import replace
from massgen_bridge.testing.agents import collect, connection_to, make_agent, turn
from massgen_bridge.testing.servers import ModelServer, Text

async def main():
    (spec,) = bridge_adapters()
    with ModelServer(Text("Yes."), strict=False) as server:
        for options in ({}, {"agents": sys.argv[1], "tasks": sys.argv[2]}):
            agent = await anyio.to_thread.run_sync(
                lambda: make_agent(spec, options, connection_to(server))
            )
            await agent.run(turn("So?"), collect())
            await agent.aclose()

anyio.run(main)
away = [one for one in asked if "127.0.0.1" not in one[1] and "localhost" not in one[1]]
assert away == [], away
home = Path(os.environ["HOME"])
# Wherever it is told to store, CrewAI makes one key there, for a login that it does not have.
left = sorted(path.name for path in home.rglob("*") if path.is_file())
assert left in ([], ["secret.key"]), left
"""


def test_nothing_leaves_the_machine_and_nothing_is_printed_or_left_behind(tmp_path: Path) -> None:
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    home.mkdir()
    temporary.mkdir()
    crew = Path(__file__).parent / "crew"
    environment = {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "TMPDIR": str(temporary),
        "XDG_DATA_HOME": str(home / "data"),
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(crew / "agents.yaml"), str(crew / "tasks.yaml")],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert sorted(path.name for path in temporary.iterdir()) == []


def test_what_the_user_has_set_stays(tmp_path: Path) -> None:
    script = (
        "from massgen_bridge_crewai._prepare import prepare; import os; "
        "from pathlib import Path; prepare(lambda: Path('elsewhere')); "
        "print(os.environ['CREWAI_TRACING_ENABLED'], os.environ['CREWAI_STORAGE_DIR'], "
        "os.environ['CREWAI_DISABLE_TELEMETRY'])"
    )
    environment = {**os.environ, "CREWAI_TRACING_ENABLED": "true", "CREWAI_STORAGE_DIR": "mine"}
    environment.pop("CREWAI_DISABLE_TELEMETRY", None)
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["true", "mine", "true"]
