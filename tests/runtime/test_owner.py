"""Whether the process that owns a run still lives."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

from massgen_bridge.runtime.owner import Owner


def test_this_process_lives() -> None:
    assert not Owner.this_process().is_gone


def test_a_process_that_ended_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()

    assert Owner(host=socket.gethostname(), pid=process.pid).is_gone


def test_a_later_process_with_the_same_number_is_not_the_owner() -> None:
    earlier = Owner.this_process().model_copy(update={"born": "1"})

    assert earlier.is_gone


def test_of_another_machine_nothing_is_known() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()

    assert not Owner(host="another.example", pid=process.pid).is_gone


def test_an_owner_written_down_is_the_same_when_read_back() -> None:
    owner = Owner.this_process()

    assert Owner.model_validate_json(owner.model_dump_json()) == owner


def test_a_process_that_was_killed_is_gone_before_its_parent_has_noticed() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        owner = Owner(host=socket.gethostname(), pid=process.pid)
        assert not owner.is_gone
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it stays what it is
        assert owner.is_gone
