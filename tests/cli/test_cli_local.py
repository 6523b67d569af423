"""`massgen-bridge local`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from cli.conftest import Shell


def test_status_shows_the_weights_that_are_there(shell: Shell) -> None:
    done = shell("local", "status", "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["ready"], found["problem"]) == (0, True, None)
    assert found["weights"].startswith(str(shell.home))
    assert shell("local", "status").stdout.endswith("ready\n")


def test_status_exits_with_1_where_there_are_none(shell: Shell, tmp_path: Path) -> None:
    done = shell("local", "status", MASSGEN_BRIDGE_CACHE=str(tmp_path))
    assert done.returncode == 1
    assert "massgen-bridge local install" in done.stdout


def test_install_is_content_with_what_is_there(shell: Shell) -> None:
    done = shell("local", "install")
    assert done.returncode == 0
    assert str(shell.home) in done.stdout


def test_install_without_a_network_says_what_to_do(shell: Shell, tmp_path: Path) -> None:
    nowhere = {
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "UV_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_RETRIES": "0",
        "UV_HTTP_RETRIES": "0",
        "MASSGEN_BRIDGE_CACHE": str(tmp_path),
    }
    done = shell("local", "install", **nowhere)
    assert done.returncode == 1
    assert "check the network" in done.stderr
    assert "Traceback" not in done.stderr
