"""`massgen-bridge adapters`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from extension_package.installing import install

if TYPE_CHECKING:
    from pathlib import Path

    from cli.conftest import Shell


def adapters(shell: Shell, **env: str) -> dict[str, dict[str, Any]]:
    found = json.loads(shell("adapters", "--json", **env).stdout)["adapters"]
    return {one["kind"]: one for one in found}


def test_every_kind_is_listed_with_its_state(shell: Shell) -> None:
    found = adapters(shell)
    assert found["scripted"]["state"] == "installed"
    assert found["openai"]["capabilities"]["streaming"] is True
    assert {one["state"] for one in found.values()} <= {"installed", "installable", "planned"}


def test_a_broken_one_is_listed_with_its_reason(shell: Shell, tmp_path: Path) -> None:
    install(tmp_path, "broken")
    found = adapters(shell, PYTHONPATH=str(tmp_path))["broken"]
    assert found["state"] == "broken"
    assert found["problem"]
    done = shell("adapters", PYTHONPATH=str(tmp_path))
    assert done.returncode == 0
    assert f"broken is broken: {found['problem']}" in done.stdout


def test_a_plugin_that_is_not_there_comes_with_what_to_do(shell: Shell) -> None:
    # An allow-list without it leaves it out, as if it were not installed.
    found = adapters(shell, MASSGEN_BRIDGE_PLUGINS="")["openai"]
    assert found["state"] != "installed"
    done = shell("adapters", MASSGEN_BRIDGE_PLUGINS="")
    assert found["problem"] or found["install"]
    assert (found["problem"] or found["install"]) in done.stdout
