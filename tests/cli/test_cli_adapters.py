"""`massgen-bridge adapters`."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from extension_package.installing import install
from isolation.distributions import write_adapter, write_distribution

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
    assert {one["state"] for one in found.values()} <= {"installed", "bundled", "planned"}


def test_each_kind_tells_where_it_comes_from_and_what_it_runs_on(shell: Shell) -> None:
    found = adapters(shell)
    openai = found["openai"]
    assert (openai["source"], openai["isolation"]) == ("entry point", "none")
    assert (openai["framework"], openai["framework_version"]) == ("openai", version("openai"))
    scripted = found["scripted"]
    assert (scripted["source"], scripted["framework_version"]) == ("built-in", None)
    (line,) = (one for one in shell("adapters").stdout.splitlines() if one.startswith("openai "))
    assert line.split()[:5] == ["openai", "installed", "in", "process", "openai"]
    assert version("openai") in line


def test_a_kind_whose_framework_is_missing_runs_in_an_environment(
    shell: Shell, tmp_path: Path
) -> None:
    write_adapter(tmp_path, "fancy", "fancy-framework>=1", framework="fancy-framework")
    env = {"PYTHONPATH": str(tmp_path), "MASSGEN_BRIDGE_CACHE": str(tmp_path / "cache")}
    fancy = adapters(shell, **env)["fancy"]
    assert (fancy["isolation"], fancy["environment"]) == ("environment", "missing")
    assert (fancy["framework"], fancy["framework_version"]) == ("fancy-framework", None)
    assert "in its own environment, to be built" in shell("adapters", **env).stdout
    checks = json.loads(shell("doctor", "--json", **env).stdout)["checks"]
    (told,) = (one for one in checks if (one["group"], one["name"]) == ("frameworks", "fancy"))
    assert told["state"] == "info"
    assert "(fancy-framework>=1); `massgen-bridge env sync CONFIG` builds it" in told["detail"]
    write_distribution(tmp_path, "fancy-framework", "1.5")
    fancy = adapters(shell, **env)["fancy"]
    assert (fancy["isolation"], fancy["framework_version"]) == ("none", "1.5")


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
