"""The environments that a run needs: told where they lack, and built where that is allowed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from isolation.distributions import write_adapter

import massgen_bridge
from massgen_bridge import Team
from massgen_bridge.api import prepare
from massgen_bridge.errors import EnvironmentFailed
from massgen_bridge.runtime.provision import (
    environments_lacking,
    environments_needed,
    provide_environments,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tiny_wheels import MakeWheel


def _team(*agents: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "version": 1,
        "agents": [{"id": name, "backend": backend} for name, backend in agents],
    }


@pytest.fixture
def _wheels(make_wheel: MakeWheel) -> None:
    for name in ("anyio", "pluggy", "pydantic"):
        make_wheel(name, "99.0")
    make_wheel("fancy_framework", "1.7")


def test_agents_that_need_the_same_share_an_environment(site: Path) -> None:
    write_adapter(site, "fancy", "fancy-framework>=1.2")
    write_adapter(site, "plain")
    inner = _team(("eve", {"type": "fancy"}), ("bob", {"type": "plain"}))["agents"]
    config = _team(
        ("ada", {"type": "fancy"}),
        ("ian", {"type": "plain", "isolation": "environment"}),
        ("sue", {"type": "team", "agents": inner}),
        ("tom", {"type": "scripted"}),
    )
    found = environments_needed(prepare(config))
    assert [(one.agents, one.kind) for one in found] == [
        (("ada", "sue/eve"), "fancy"),
        (("ian",), "plain"),
    ]
    assert found[0].request.wording == "fancy-framework>=1.2"


def test_a_run_without_such_agents_needs_none() -> None:
    assert environments_needed(prepare(_team(("tom", {"type": "scripted"})))) == ()


@pytest.mark.usefixtures("_wheels")
def test_one_that_lacks_is_built_once(site: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_adapter(site, "fancy", "fancy-framework>=1.2")
    prepared = prepare(_team(("ada", {"type": "fancy"})))
    assert len(environments_lacking(prepared)) == 1
    with caplog.at_level(logging.INFO, "massgen_bridge.isolation"):
        provide_environments(prepared, create=True)
    assert "building the environment for fancy-framework>=1.2" in caplog.text
    assert environments_lacking(prepared) == ()
    provide_environments(prepared, create=False)


def test_a_program_is_told_what_to_call(site: Path, tmp_path: Path) -> None:
    write_adapter(site, "fancy", "fancy-framework>=1.2")
    file = tmp_path / "team.yaml"
    file.write_text("version: 1\nagents:\n  - id: ada\n    backend: {type: fancy}\n")
    told = (
        r"agent 'ada' of kind 'fancy' needs an environment of its own, with fancy-framework>=1\.2,"
        r" which is not built yet: allow it with `create_environments=True`, or run"
        rf" `massgen-bridge env sync {file}`$"
    )
    with pytest.raises(EnvironmentFailed, match=told):
        massgen_bridge.run(file, "Hello", keep=False)
    with pytest.raises(EnvironmentFailed, match=r"`create_environments=True`$"):
        Team().add("ada", "fancy").run("Hello", keep=False)


@pytest.mark.usefixtures("links")
def test_one_that_cannot_be_built_is_an_error_before_the_run(site: Path) -> None:
    write_adapter(site, "fancy", "fancy-framework>=1.2")
    with pytest.raises(EnvironmentFailed, match="fancy-framework"):
        massgen_bridge.run(
            _team(("ada", {"type": "fancy"})), "Hello", keep=False, create_environments=True
        )
