"""Where an agent runs: what is chosen for it, and what cannot be had."""

from __future__ import annotations

import json
import platform
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest
from isolation.distributions import write_adapter, write_distribution

from massgen_bridge import AdapterSpec, Team, hookimpl
from massgen_bridge.config import load_config
from massgen_bridge.errors import ConfigError
from massgen_bridge.isolation.choice import place, usual_mode
from massgen_bridge.isolation.locking import request_of
from massgen_bridge.isolation.packages import Packages
from massgen_bridge.plugins import AdapterOrigin, PluginHost
from massgen_bridge.runtime.planning import prepare_run

if TYPE_CHECKING:
    from pathlib import Path

    from massgen_bridge.isolation.placement import Isolation, Placement

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def _spec(**more: Any) -> AdapterSpec:
    return AdapterSpec(kind="fancy", summary="", factory=lambda _context: None, **more)  # type: ignore[arg-type, return-value]


def _place(
    spec: AdapterSpec, isolation: Isolation = "auto", *, options: Any = None, **origin: Any
) -> Placement:
    found = {"source": "entry point", "target": "bridge_fancy", "module": "bridge_fancy"}
    return place(
        spec,
        options,
        isolation,
        origin=AdapterOrigin(**{**found, **origin}),
        packages=Packages(),
        variables=("A_VARIABLE",),
    )


def _refused(spec: AdapterSpec, isolation: Isolation = "auto", **origin: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        _place(spec, isolation, **origin)
    return str(caught.value)


def test_an_agent_whose_framework_is_installed_stays_in_the_process(site: Path) -> None:
    write_distribution(site, "fancy-framework", "1.5")
    chosen = _place(_spec(requires=("fancy-framework>=1.2,<2",)))
    assert (chosen.mode, chosen.is_remote, chosen.variables) == ("none", False, ())
    assert "installed here" in chosen.reason


def test_an_agent_whose_framework_is_missing_gets_an_environment(site: Path) -> None:
    spec = _spec(requires=("fancy-framework>=1.2,<2", "a-helper>=3"), python=">=3.11")
    chosen = _place(spec)
    assert (chosen.mode, chosen.module) == ("environment", "bridge_fancy")
    assert chosen.variables == ("A_VARIABLE",)
    assert {"a-helper>=3", "fancy-framework<2,>=1.2"} <= set(chosen.requirements)
    assert "fancy-framework>=1.2,<2 (not installed)" in chosen.reason
    write_distribution(site, "fancy-framework", "2.1")
    assert "fancy-framework>=1.2,<2 (installed: 2.1)" in _place(spec).reason


def test_an_environment_holds_what_a_worker_needs_itself() -> None:
    request = request_of(_place(_spec(requires=("no-such-framework>=1",)), "environment"))
    names = {one.rstrip("<>=.,0123456789") for one in request.requirements}
    assert {"anyio", "pluggy", "pydantic", "no-such-framework"} <= names
    assert not names & {"typer", "rich", "massgen-bridge"}


def test_an_agent_that_cannot_be_stopped_within_a_process_gets_one() -> None:
    chosen = _place(_spec(own_process=True))
    assert (chosen.mode, chosen.requirements) == ("process", ())
    assert _place(_spec(own_process=True), "none").mode == "none"


def test_an_agent_whose_models_are_redirected_gets_a_process() -> None:
    spec = _spec(redirects=bool)
    assert _place(spec, options=False).mode == "none"
    chosen = _place(spec, options=True)
    assert (chosen.mode, chosen.redirected) == ("process", True)
    assert "'auto' or 'process'" in _refused(spec, "none", options=True)


def test_what_the_configuration_asks_for_is_done() -> None:
    spec = _spec()
    assert _place(spec, "process").mode == "process"
    assert _place(spec, "environment").mode == "environment"


def test_a_framework_that_is_not_there_cannot_be_used_from_here() -> None:
    spec = _spec(requires=("no-such-framework>=1",))
    modes: tuple[Isolation, ...] = ("none", "process")
    for isolation in modes:
        told = _refused(spec, isolation)
        assert told.startswith(f"'{isolation}' is ")
        assert "no-such-framework>=1 (not installed)" in told
        assert "'auto' or 'environment'" in told


def test_a_framework_for_another_python_gets_an_environment() -> None:
    chosen = _place(_spec(python=f"<{HERE}"))
    assert (chosen.mode, chosen.python) == ("environment", f"<{HERE}")
    assert platform.python_version() in chosen.reason
    assert f"Python <{HERE}" in _refused(_spec(python=f"<{HERE}"), "process")


def test_an_agent_made_of_objects_stays_in_the_process() -> None:
    objects: dict[str, Any] = {"source": "code", "target": "Mine", "module": None}
    assert _place(_spec(own_process=True), **objects).mode == "none"
    told = _refused(_spec(), "process", **objects)
    assert "what makes them is an object of this process" in told
    assert "this one alone" in _refused(_spec(redirects=bool), options=True, **objects)


def test_the_adapter_of_a_configurations_own_plugin_stays_in_the_process() -> None:
    own: dict[str, Any] = {"source": "configuration", "target": "./mine.py", "module": None}
    assert "own plugin './mine.py'" in _refused(_spec(), "environment", **own)


def test_the_usual_place_is_known_without_options(site: Path) -> None:
    assert usual_mode(_spec(requires=("fancy-framework>=1",)), Packages()) == "environment"
    write_distribution(site, "fancy-framework", "1.5")
    assert usual_mode(_spec(requires=("fancy-framework>=1",)), Packages()) == "none"
    spec = _spec(requires=("fancy-framework>=1",), own_process=True)
    assert usual_mode(spec, Packages()) == "process"


# --- of a configuration ---------------------------------------------------------------------------


def _planned(backend: dict[str, Any], host: PluginHost, **environ: str) -> Placement:
    agents = [{"id": "ada", "backend": backend}]
    config = load_config({"version": 1, "agents": agents}, host)
    return prepare_run(config, host=host, environ=environ).plan.agents[0].setup.place


def test_an_adapter_of_anybodys_can_run_elsewhere(site: Path) -> None:
    write_adapter(site, "fancy", "fancy-framework>=1", own_process=True)
    host = PluginHost()
    chosen = _planned({"type": "fancy"}, host)
    assert (chosen.mode, chosen.module) == ("environment", "bridge_fancy")
    write_distribution(site, "fancy-framework", "1.5")
    chosen = _planned({"type": "fancy", "env": ["A_KEY"]}, host, A_KEY="1")
    assert (chosen.mode, chosen.variables) == ("process", ("A_KEY",))
    chosen = _planned({"type": "fancy", "isolation": "environment"}, host)
    assert chosen.mode == "environment"


@pytest.mark.parametrize("kind", ["python", "scripted"])
def test_built_in_kinds_can_have_a_process(kind: str) -> None:
    backend = {"type": kind, "isolation": "process"}
    if kind == "python":
        backend["function"] = "a:b"
    chosen = _planned(backend, PluginHost())
    assert (chosen.mode, chosen.module) == ("process", f"massgen_bridge.kinds.{kind}")


def test_packages_of_an_agents_own_are_required_like_those_of_its_kind(tmp_path: Path) -> None:
    backend = {"type": "python", "function": "own:answer", "packages": ["no-such-package>=1"]}
    config = {"version": 1, "agents": [{"id": "ada", "backend": backend}]}
    file = tmp_path / "team.yaml"
    file.write_text(json.dumps(config))
    lock = tmp_path / "pylock.team-python-ada.toml"
    lock.write_text("")  # of this agent alone, for others may name other packages
    host = PluginHost()
    (agent,) = prepare_run(load_config(file, host), host=host, environ={}).plan.agents
    place = agent.setup.place
    assert place.mode == "environment"
    assert "no-such-package>=1" in place.requirements
    assert place.lock == str(lock)
    backend["packages"] = ["pydantic>=2"]  # which is installed here
    assert _planned(backend, host).mode == "none"
    asked = _planned({**backend, "isolation": "environment"}, host)
    assert "pydantic>=2" in asked.requirements


@pytest.mark.parametrize(
    ("backend", "place", "problem"),
    [
        ({"type": "python", "packages": ["crewai"]}, "packages[0]", "'crewai' has no lowest"),
        ({"type": "python", "packages": ["a>=1", "a b"]}, "packages[1]", "no pip requirement"),
        ({"type": "python", "packages": "a>=1"}, "packages", "expected a list"),
        (
            {"type": "python", "packages": ["no-such-package>=1"], "isolation": "process"},
            "isolation",
            "no-such-package>=1 (not installed)",
        ),
        (
            {"type": "human", "packages": ["a>=1"]},
            "",
            "agents of kind 'human' run in this process alone, without packages of their own",
        ),
    ],
)
def test_packages_that_cannot_be_had_are_told_with_their_place(
    backend: dict[str, Any], place: str, problem: str
) -> None:
    own = {"function": "own:answer"} if backend["type"] == "python" else {}
    config = {"version": 1, "agents": [{"id": "ada", "backend": {**backend, **own}}]}
    with pytest.raises(ConfigError, match=re.escape(problem)) as caught:
        load_config(config, PluginHost())
    assert f"agents[0].backend{'.' if place else ''}{place}: " in str(caught.value)


def test_a_variable_that_is_not_set_is_told_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "team.yaml"
    file.write_text(
        "version: 1\nagents:\n  - id: ada\n    backend:\n      type: scripted\n"
        "      isolation: process\n      env: [HOME, MY_KYE]\n"
    )
    host = PluginHost()
    with pytest.raises(ConfigError) as caught:
        prepare_run(load_config(file, host), host=host, environ={"HOME": "/", "MY_KEY": "1"})
    assert (caught.value.file, caught.value.line, caught.value.column) == (str(file), 7, 19)
    told = "agent 'ada': the environment variable 'MY_KYE' is not set; did you mean 'MY_KEY'?"
    assert caught.value.message == told


def test_a_replay_needs_no_variable() -> None:
    host = PluginHost()
    backend = {"type": "scripted", "isolation": "process", "env": ["NOT_SET"]}
    config = load_config({"version": 1, "agents": [{"id": "ada", "backend": backend}]}, host)
    assert prepare_run(config, host=host, environ={}, hosts={}).plan.agents


def test_what_cannot_be_had_is_told_with_its_place(site: Path, tmp_path: Path) -> None:
    write_adapter(site, "fancy", "fancy-framework>=1")
    file = tmp_path / "team.yaml"
    file.write_text(
        "version: 1\nagents:\n  - id: ada\n    backend:\n      type: fancy\n"
        "      isolation: process\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_config(file, PluginHost())
    assert (caught.value.file, caught.value.line) == (str(file), 6)
    assert "fancy-framework>=1 (not installed)" in caught.value.message


def test_an_adapter_that_was_registered_as_an_object_cannot_move() -> None:
    class Own:
        @hookimpl
        def bridge_adapters(self) -> list[AdapterSpec]:
            return [_spec()]

    host = PluginHost()
    host.register(Own())
    assert _planned({"type": "fancy"}, host).mode == "none"
    with pytest.raises(ConfigError, match="is an object of this process"):
        _planned({"type": "fancy", "isolation": "process"}, host)


def test_a_function_or_an_object_of_a_program_cannot_move() -> None:
    team = Team(strategy="single").add("ada", lambda task: f"{task}!", isolation="process")
    told = "agents of kind 'object' run in this process alone: what makes them is an object"
    with pytest.raises(ConfigError, match=told):
        team.run("Hello", keep=False)


def test_an_agent_of_a_framework_that_may_ask_a_person_runs_in_a_process_all_the_same() -> None:
    spec = _spec(requires=("pydantic>=2",), own_process=True, needs_person=lambda _options: False)
    assert _place(spec).mode == "process"
    assert "a person is asked" in _refused(_spec(needs_person=lambda _options: False), "process")
