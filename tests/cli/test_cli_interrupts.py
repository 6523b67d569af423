"""Ctrl-C and SIGTERM: everything ends, nothing is left, the journal stays."""

from __future__ import annotations

import json
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cli.conftest import DATA

from massgen_bridge.testing.servers import Hang, ModelServer

if TYPE_CHECKING:
    import subprocess

    from cli.conftest import Shell


def wait_for(process: subprocess.Popen[str], event: str) -> dict[str, Any]:
    """The first record of a type that a run with `--output jsonl` prints."""
    assert process.stdout is not None
    for line in process.stdout:
        record: dict[str, Any] = json.loads(line)
        if record["event"]["type"] == event:
            return record
    raise AssertionError(f"there was no {event}: {process.communicate()[1]}")


def children_of(pid: int) -> set[int]:
    """The processes that a process has started, from all of its threads."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        found |= {int(one) for one in (task / "children").read_text().split()}
    return found


def status_of_the_run(shell: Shell) -> str:
    (row,) = json.loads(shell("runs", "list", "--json").stdout)
    return str(row["status"])


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_a_signal_cancels_the_run_and_keeps_its_journal(
    shell: Shell, number: signal.Signals, code: int
) -> None:
    process = shell.start("run", DATA / "slow.yaml", "q", "--output", "jsonl")
    wait_for(process, "text_delta")
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == code
    last = json.loads(stdout.splitlines()[-1])["event"]
    assert (last["type"], last["result"]["status"]) == ("run_finished", "cancelled")
    assert "Traceback" not in stderr
    assert status_of_the_run(shell) == "cancelled"


def test_json_of_a_cancelled_run_is_still_one_object(shell: Shell) -> None:
    with ModelServer(Hang()) as server:
        env = {"MODEL_SERVER": server.url, "HOUSE_KEY": "key"}
        process = shell.start("run", DATA / "three.yaml", "q", "--trust", "--output", "json", **env)
        server.wait_for_calls(3, timeout_s=30)
        process.send_signal(signal.SIGINT)
        stdout, _ = process.communicate(timeout=30)
    found = json.loads(stdout)
    assert (found["status"], found["error"]["kind"]) == ("cancelled", "cancelled")
    assert found["calls"] == 3


def test_the_local_model_ends_with_the_run(shell: Shell) -> None:
    process = shell.start("run", DATA / "local.yaml", "q", "--trust", "--output", "jsonl")
    wait_for(process, "turn_started")
    deadline = time.monotonic() + 30
    while not (children := children_of(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert children
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]


def test_a_download_ends_with_its_command(shell: Shell, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        index = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        process = shell.start(
            "local",
            "install",
            MASSGEN_BRIDGE_CACHE=str(tmp_path),
            PIP_INDEX_URL=index,
            UV_DEFAULT_INDEX=index,
        )
        silent.settimeout(30)
        connection, _ = silent.accept()
        with connection:
            children = children_of(process.pid)
            assert children
            process.send_signal(signal.SIGINT)
            _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    assert [path.name for path in (tmp_path / "models").iterdir()] == [".install.lock"]


def test_an_agent_in_a_thread_that_cannot_be_stopped_is_not_waited_for(shell: Shell) -> None:
    process = shell.start("run", DATA / "thread.yaml", "q", "--trust", "--output", "jsonl")
    wait_for(process, "turn_started")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert status_of_the_run(shell) == "cancelled"


def test_a_second_signal_leaves_at_once(shell: Shell) -> None:
    process = shell.start("run", DATA / "loop.yaml", "q", "--trust", "--display", "plain")
    assert process.stderr is not None
    while "begins" not in process.stderr.readline():
        pass
    time.sleep(0.5)  # now the function blocks the event loop
    process.send_signal(signal.SIGINT)
    while "again to leave at once" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert status_of_the_run(shell) == "interrupted"
