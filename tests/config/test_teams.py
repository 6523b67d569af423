"""Teams within a configuration: the same checks, places of errors, trust and schema as for any."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from massgen_bridge.config import InvalidConfig, code_references, load_config, open_config
from massgen_bridge.config.schema import json_schema
from massgen_bridge.config.trust import content_hash
from massgen_bridge.errors import TrustRequired
from massgen_bridge.plugins import PluginHost

HOST = PluginHost(entry_points=False)

OUTER = """\
version: 1
agents:
  - id: solo
    backend: {type: scripted}
  - id: critics
    backend: {type: team, config: inner/critics.yaml}
"""
INNER = """\
version: 1
agents:
  - id: ann
    backend: {type: scripted}
"""


def written(folder: Path, inner: str = INNER, outer: str = OUTER) -> Path:
    (folder / "inner").mkdir(exist_ok=True)
    (folder / "inner" / "critics.yaml").write_text(inner)
    (folder / "team.yaml").write_text(outer)
    return folder / "team.yaml"


def problems(source: Any) -> list[str]:
    with pytest.raises(InvalidConfig) as caught:
        load_config(source, HOST)
    return [str(one) for one in caught.value.problems]


def test_a_team_of_a_file_is_a_checked_configuration_of_its_own(tmp_path: Path) -> None:
    config = load_config(written(tmp_path), HOST)
    team = config.teams["critics"]
    assert [agent.id for agent in team.agents] == ["ann"]
    assert (team.base_dir, team.file) == (tmp_path / "inner", str(tmp_path / "inner/critics.yaml"))
    assert list(config.tree()) == [config, team]


def test_mistakes_in_the_file_of_a_team_are_told_with_its_own_lines(tmp_path: Path) -> None:
    inner = f"{INNER}    limit: 3\n  - id: ben\n    backend: {{type: scriptd}}\nstrategy: singel\n"
    outer = OUTER.replace("type: scripted}", "type: scripted, answer: x}")
    found = problems(written(tmp_path, inner, outer))
    critics = tmp_path / "inner" / "critics.yaml"
    assert [one.split(": ")[0] for one in found] == [
        f"{tmp_path}/team.yaml:4:31",
        f"{critics}:5:5",
        f"{critics}:7:21",
        f"{critics}:8:11",
    ]
    assert "agents[1].backend.type: unknown agent kind 'scriptd'" in found[2]


def test_a_team_written_out_has_its_places_in_the_file_around_it(tmp_path: Path) -> None:
    outer = """\
version: 1
agents:
  - id: critics
    backend:
      type: team
      strategy: {type: consensus, max_rouns: 2}
      agents:
        - id: ann
          backend: {type: scripted, delay_s: soon}
        - id: ann
          backend: {type: scripted}
"""
    found = problems(written(tmp_path, outer=outer))
    at = f"{tmp_path}/team.yaml"
    assert [one.split(": ")[:2] for one in found] == [
        [f"{at}:6:35", "agents[0].backend.strategy.max_rouns"],
        [f"{at}:9:46", "agents[0].backend.agents[0].backend.delay_s"],
        [f"{at}:10:15", "agents[0].backend.agents[1].id"],
    ]


def test_a_file_that_is_not_there_or_no_yaml_is_told_where_it_is_named(tmp_path: Path) -> None:
    (found,) = problems(written(tmp_path, outer=OUTER.replace("critics.yaml", "crits.yaml")))
    assert found.startswith(f"{tmp_path}/team.yaml:6:35: agents[1].backend.config: cannot read")
    assert "inner/crits.yaml'" in found
    (found,) = problems(written(tmp_path, outer=OUTER.replace("critics.yaml", "critics.txt")))
    assert "expected a file that ends with .yaml, .yml or .json" in found
    (found,) = problems(written(tmp_path, inner="version: 1\nagents: [\n"))
    assert found.startswith(f"{tmp_path}/inner/critics.yaml:3:1: not YAML")


def test_a_team_cannot_contain_itself(tmp_path: Path) -> None:
    back = INNER.replace("{type: scripted}", "{type: team, config: ../team.yaml}")
    (found,) = problems(written(tmp_path, inner=back))
    assert found == (
        f"{tmp_path}/inner/critics.yaml:4:35: agents[0].backend.config: a team cannot be part of"
        " itself: team.yaml → critics.yaml → team.yaml"
    )
    own = INNER.replace("{type: scripted}", "{type: team, config: critics.yaml}")
    (found,) = problems(written(tmp_path, inner=own))
    assert "critics.yaml → critics.yaml" in found


def test_so_many_teams_may_stand_within_each_other() -> None:
    backend: dict[str, Any] = {"type": "scripted"}
    for _ in range(5):
        backend = {"type": "team", "agents": [{"id": "a", "backend": backend}]}
    config = {"version": 1, "agents": [{"id": "a", "backend": backend}]}
    assert len(list(load_config(config, HOST).tree())) == 6
    deeper = {"type": "team", "agents": config["agents"]}
    (found,) = problems({"version": 1, "agents": [{"id": "a", "backend": deeper}]})
    assert "more than 5 teams stand within each other" in found


@pytest.mark.parametrize(
    ("backend", "said"),
    [
        ({}, "a team needs 'config', a file, or 'agents'"),
        ({"config": "x.yaml", "agents": []}, "'agents' stands in there"),
        ({"config": "x.yaml", "strategy": "single"}, "'strategy' stands in there"),
        ({"agents": []}, "agents: expected at least one item"),
        ({"agents": [{"id": "a"}]}, "the key 'backend' is missing"),
        ({"agents": [], "member": 1}, "unknown key"),
        ({"agents": [{"id": "a", "backend": {"type": "scripted"}}], "model": "local"}, "no model"),
    ],
)
def test_what_is_no_team_is_told(backend: dict[str, Any], said: str) -> None:
    config = {"version": 1, "agents": [{"id": "t", "backend": {"type": "team", **backend}}]}
    assert any(said in one for one in problems(config))


def test_what_a_team_as_a_whole_cannot_have_is_told() -> None:
    backend = {"type": "team", "agents": [{"id": "a", "backend": {"type": "scripted"}}]}
    agent = {"id": "t", "limits": {"max_model_calls": 3, "idle_s": 5}, "ballot": "text"}
    found = problems({"version": 1, "agents": [{**agent, "backend": backend}]})
    assert any("limits.max_model_calls: give it to the team's own agents" in one for one in found)
    assert any("ballot: agents of kind 'team' vote by 'schema'" in one for one in found)
    assert not any("idle_s" in one for one in found)


def test_connections_of_the_file_around_are_those_of_a_team_written_out() -> None:
    python = {"type": "python", "function": "own.py:answer"}
    inner = {"id": "a", "backend": {**python, "model": "shared"}}
    other = {"id": "b", "backend": {**python, "model": "own"}}
    own = {"own": {"provider": "ollama", "model": "b"}}
    backend = {"type": "team", "agents": [inner, other], "models": own}
    models = {"shared": {"provider": "ollama", "model": "a"}}
    config = {"version": 1, "models": models, "agents": [{"id": "t", "backend": backend}]}
    team = load_config(config, HOST).teams["t"]
    assert {name: one.model for name, one in team.models.items()} == {"shared": "a", "own": "b"}
    del config["models"]
    assert any("agents[0].backend.agents[0].backend.model" in one for one in problems(config))


def test_variables_stand_in_the_models_of_a_team_as_well() -> None:
    own = {"own": {"provider": "openai", "model": "m", "api_key": "${KEY}"}}
    agents = [{"id": "a", "backend": {"type": "scripted", "reason": "${KEY}"}}]
    backend = {"type": "team", "agents": agents, "models": own}
    (found,) = problems({"version": 1, "agents": [{"id": "t", "backend": backend}]})
    assert "agents[0].backend.agents[0].backend.reason: environment variables" in found


PYTHON = INNER.replace("{type: scripted}", "{type: python, function: 'own.py:answer'}")


def test_code_of_a_team_asks_for_trust_and_is_part_of_what_was_trusted(tmp_path: Path) -> None:
    file = written(tmp_path, PYTHON)
    own = tmp_path / "inner" / "own.py"
    own.write_text("def answer(question): return question\n")
    config = load_config(file, HOST)
    (reference,) = code_references(config, HOST)
    assert str(reference) == (
        "agents[1].backend.config.agents[0].backend.function imports 'own.py:answer'"
    )
    assert reference.files == (own,)
    with pytest.raises(TrustRequired, match=r"own\.py:answer"):
        open_config(file, HOST)
    before = content_hash(config, HOST)
    own.write_text("def answer(question): return 'changed'\n")
    assert content_hash(config, HOST) != before
    trusted = content_hash(config, HOST)
    written(tmp_path, f"{PYTHON}# changed\n")
    assert content_hash(load_config(file, HOST), HOST) != trusted


def test_plugins_of_a_team_are_loaded_for_the_whole_run(tmp_path: Path) -> None:
    inner = INNER.replace("{type: scripted}", "{type: echo}") + "plugins: [./echo.py]\n"
    file = written(tmp_path, inner)
    (tmp_path / "inner" / "echo.py").write_text(
        "from massgen_bridge import AdapterSpec, hookimpl\n"
        "@hookimpl\n"
        "def bridge_adapters():\n"
        "    return [AdapterSpec(kind='echo', summary='Echo.', factory=lambda context: None)]\n"
    )
    host = PluginHost(entry_points=False)
    assert load_config(file, host).unchecked == (
        ("agents", 1, "backend", "config", "agents", 0, "backend", "type"),
    )
    opened = open_config(file, host, trust=True)
    assert opened.teams["critics"].agents[0].backend.type == "echo"
    assert opened.unchecked == ()


def test_the_schema_knows_what_stands_in_a_team() -> None:
    schema = json_schema(HOST)
    branches = schema["$defs"]["BackendConfig"]["anyOf"]
    (team,) = [one for one in branches if one["properties"]["type"].get("const") == "team"]
    properties = team["properties"]
    assert properties["agents"]["items"] == {"$ref": "#/$defs/AgentConfig"}
    assert properties["strategy"]["$ref"] == "#/$defs/StrategyConfig"
    assert properties["models"]["additionalProperties"] == {"$ref": "#/$defs/ModelConfig"}
