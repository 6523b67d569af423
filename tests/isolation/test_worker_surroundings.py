"""What a worker finds around it: few variables, folders of its own, and nothing of the host."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from isolation.workers import launch, unruly

from massgen_bridge.isolation.launching import launch_of
from massgen_bridge.isolation.placement import Placement
from massgen_bridge.isolation.surroundings import worker_variables
from massgen_bridge.testing.agents import collect, turn

pytestmark = pytest.mark.anyio

CANARY = "sk-canary-5f1d0c"


async def _environment(workspace: Path) -> dict[str, str]:
    async with unruly(workspace) as agent:
        result = await agent.run(turn("environment"), collect())
    found: dict[str, str] = json.loads(result.text)
    return found


async def test_no_key_and_nothing_unknown_reaches_a_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "SOMETHING_OWN", "PYTHONPATH"):
        monkeypatch.setenv(name, CANARY)
    monkeypatch.setenv("LC_TIME", "C.UTF-8")
    found = await _environment(tmp_path)
    assert CANARY not in json.dumps(found)
    assert (found["PATH"], found["LC_TIME"]) == (os.environ["PATH"], "C.UTF-8")
    known = {"CREWAI_DISABLE_TELEMETRY": "true", "LANGSMITH_TRACING": "false"}
    assert known.items() <= found.items()


async def test_home_and_temporary_files_are_the_workers_own_and_go_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASSGEN_BRIDGE_CACHE", str(tmp_path / "cache"))
    found = await _environment(tmp_path)
    home = Path(found["HOME"])
    assert home.parent == Path(found["TMPDIR"]).parent
    assert home != Path.home()
    assert not home.parent.exists()
    assert found["XDG_CACHE_HOME"] == str(tmp_path / "cache" / "workers" / "unruly")
    assert (tmp_path / "cache" / "workers" / "unruly").is_dir()


async def test_nothing_is_inherited_but_what_leads_to_the_host(tmp_path: Path) -> None:
    with (tmp_path / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)  # noqa: FBT003 - it takes no name
        async with unruly(tmp_path) as agent:
            result = await agent.run(turn("descriptors"), collect())
    found: dict[str, str] = json.loads(result.text)
    others = [link for number, link in found.items() if int(number) > 2]
    # Beside the event loop's own there is one socket, and stdin leads nowhere.
    assert found["0"] == "/dev/null"
    assert str(tmp_path / "open") not in others
    own = ("anon_inode:", "socket:", "pipe:", "/proc/")
    assert [link for link in others if not link.startswith(own)] == []


def test_named_variables_pass_and_win() -> None:
    environ = {"LANG": "C", "SEARCH_KEY": "k", "OTEL_SDK_DISABLED": "false", "OTHER": "x"}
    found = worker_variables(environ, ["SEARCH_KEY", "OTEL_SDK_DISABLED", "NOT_SET"])
    assert (found["SEARCH_KEY"], found["OTEL_SDK_DISABLED"]) == ("k", "false")
    assert {"OTHER", "NOT_SET"}.isdisjoint(found)


def test_the_host_is_reached_without_a_proxy() -> None:
    found = worker_variables({"https_proxy": "http://proxy:3128", "NO_PROXY": "intra"})
    assert found["https_proxy"] == "http://proxy:3128"
    assert found["no_proxy"] == found["NO_PROXY"] == "intra,127.0.0.1,localhost,::1"


def test_a_process_has_the_hosts_python_and_its_paths() -> None:
    found = launch_of(Placement(mode="process", module="any"), "any", {"GIVEN": "1"})
    assert found.python == sys.executable
    assert found.paths == tuple(os.path.abspath(path) for path in sys.path)  # noqa: PTH100 - links stay
    assert (found.variables["GIVEN"], found.keeps_paths) == ("1", False)


async def test_what_the_host_gives_a_worker_reaches_it(tmp_path: Path) -> None:
    def given(variables: dict[str, str]) -> object:
        return launch({**variables, "GIVEN": "yes"})

    async with unruly(tmp_path, launch=given) as agent:
        result = await agent.run(turn("environment"), collect())
    assert json.loads(result.text)["GIVEN"] == "yes"
