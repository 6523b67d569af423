"""A configuration is read as it stands; each mistake is told with its place and a way out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from extension_package.installing import installed
from hypothesis import given
from hypothesis import strategies as st

from massgen_bridge.agent import Limits
from massgen_bridge.config import (
    AgentConfig,
    BackendConfig,
    Document,
    InvalidConfig,
    RunConfig,
    activate,
    load_config,
)
from massgen_bridge.errors import ConfigError
from massgen_bridge.kinds.scripted import ScriptedOptions
from massgen_bridge.plugins import PluginHost
from massgen_bridge.strategies import ConsensusOptions

HOST = PluginHost()

FULL = """\
# Everything that may stand in a file.
version: 1
models:
  fast:
    provider: openai
    model: gpt-5-mini
    api_key: ${MY_KEY}
    retry: {attempts: 2}
  small: {provider: local}
agents:
  - id: ada
    system_message: |
      Be brief; ${THIS} stays as it is.
    backend:
      type: openai
      model: fast
      parallel_tool_calls: false
    limits: {max_output_tokens: 500, idle_s: 60, wall_s: null}
  - id: bob.2
    backend: {type: openai, model: openrouter/some/model, isolation: none}
    ballot: schema
  - id: eve
    backend: {type: scripted, answers: ["42"], delay_s: 1}
    ballot: tools
strategy: {type: consensus, max_rounds: 2}
timeout_settings: {orchestrator_timeout_seconds: 60}
plugins: []
sinks: []
ui: {display: plain}
"""


def _load(text: str, host: PluginHost = HOST) -> RunConfig:
    return load_config(f"{text}\n", host)


def _team(backend: str = "{type: scripted}", *, more: str = "", top: str = "") -> str:
    return f"version: 1\nagents:\n  - id: ada\n    backend: {backend}\n{more}{top}"


def _problems(source: Any, host: PluginHost = HOST) -> list[str]:
    with pytest.raises(InvalidConfig) as caught:
        load_config(source, host)
    assert str(caught.value).startswith(str(caught.value.problems[0]))
    for problem in caught.value.problems:
        assert "\n" not in str(problem)
        assert problem.line is None or (problem.line, problem.column) >= (1, 1)
    return [str(problem).removeprefix("<text>:") for problem in caught.value.problems]


def _problem(text: str, host: PluginHost = HOST) -> str:
    (problem,) = _problems(f"{text}\n", host)
    return problem


# --- what is right --------------------------------------------------------------------------------


def test_everything_that_may_stand_in_a_file_is_understood() -> None:
    config = _load(FULL)
    ada, bob, eve = config.agents
    assert ada.system_message == "Be brief; ${THIS} stays as it is.\n"
    assert (ada.backend.type, ada.backend.model) == ("openai", "fast")
    assert ada.backend.options == {"parallel_tool_calls": False}
    assert ada.limits == Limits(max_output_tokens=500, idle_s=60, wall_s=None)
    assert (bob.id, bob.ballot, bob.backend.isolation) == ("bob.2", "schema", "none")
    assert config.agent_options["eve"] == ScriptedOptions(answers=("42",), delay_s=1.0)
    assert eve.backend.options == {"answers": ["42"], "delay_s": 1}
    assert config.models["fast"].key_variable == "MY_KEY"
    assert config.models["fast"].retry.attempts == 2
    assert (config.strategy.type, config.strategy.options) == ("consensus", {"max_rounds": 2})
    assert config.strategy_options == ConsensusOptions(max_rounds=2)
    assert config.timeout_settings.orchestrator_timeout_seconds == 60
    assert config.ui.display == "plain"
    assert (config.plugins, config.sinks, config.unchecked) == ((), (), ())


def test_little_is_needed_and_the_rest_has_defaults() -> None:
    config = _load(_team())
    assert config.strategy.type == "consensus"
    assert config.strategy_options == ConsensusOptions()
    assert config.timeout_settings.orchestrator_timeout_seconds == 1800
    assert config.ui.display == "auto"
    assert config.agents[0].limits == Limits()
    assert (config.file, config.base_dir) == (None, Path.cwd())


def test_a_strategy_may_be_a_name_alone() -> None:
    assert _load(_team(top="strategy: single")).strategy.type == "single"


@pytest.mark.parametrize("suffix", [".yaml", ".yml", ".json"])
@pytest.mark.parametrize("as_text", [False, True])
def test_yaml_json_and_python_say_the_same(suffix: str, *, as_text: bool, tmp_path: Path) -> None:
    from_text = _load(FULL)
    data = from_text.source.data
    path = tmp_path / f"team{suffix}"
    path.write_text(json.dumps(data, indent="\t") if suffix == ".json" else FULL)
    from_file = load_config(str(path) if as_text else path, HOST)
    assert from_file.document == from_text.document == load_config(data, HOST).document
    assert (from_file.file, from_file.base_dir) == (str(path), tmp_path)


def test_anchors_and_merges_work() -> None:
    text = (
        "version: 1\nagents:\n"
        "  - id: ada\n    backend: &same {type: scripted, answers: [x], reason: r}\n"
        "  - id: bob\n    backend: {<<: *same, reason: other}\n"
        "  - id: eve\n    backend: {<<: [*same, {delay_s: 1}]}\n"
    )
    options = _load(text).agent_options
    assert options["bob"] == ScriptedOptions(answers=("x",), reason="other")
    assert options["eve"] == ScriptedOptions(answers=("x",), reason="r", delay_s=1.0)


def test_words_of_other_yaml_versions_and_dates_stay_text() -> None:
    config = _load(_team("{type: scripted, answers: [yes, no, on, 2024-05-13, 1:30, 0o17x]}"))
    expected = ("yes", "no", "on", "2024-05-13", "1:30", "0o17x")
    assert config.agent_options["ada"] == ScriptedOptions(answers=expected)


def test_paths_in_values_from_python_are_text(tmp_path: Path) -> None:
    backend = {"type": "python", "function": tmp_path / "x.py:f"}
    config = load_config({"version": 1, "agents": [{"id": "a", "backend": backend}]}, HOST)
    assert config.agents[0].backend.options == {"function": f"{tmp_path}/x.py:f"}


def test_values_from_python_may_change_afterwards() -> None:
    data: dict[str, Any] = {"version": 1, "agents": [{"id": "a", "backend": {"type": "scripted"}}]}
    config = load_config(data, HOST)
    data["agents"][0]["backend"]["answers"] = ["later"]
    assert config.agents[0].backend.options == {}


# --- what it is not ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# nothing\n", "the configuration is empty"),
        ("- 1\n- 2\n", "1:1: expected a mapping, found a list"),
        ("just text\nmore\n", "1:1: expected a mapping, found the text 'just text more'"),
    ],
)
def test_what_is_no_mapping_is_an_error(text: str, expected: str) -> None:
    (problem,) = _problems(text)
    assert expected in problem


def test_a_file_that_is_neither_ours_nor_massgen_s_is_told_how_to_begin() -> None:
    (problem,) = _problems("team:\n  - id: a\nui: {}\n")
    assert problem.startswith("1:1: there is no 'version: 1'")
    assert "begins with the line 'version: 1'" in problem


@pytest.mark.parametrize("version", ["2", "'1'", "true", "1.0"])
def test_another_version_is_an_error(version: str) -> None:
    problem = _problem(_team().replace("version: 1", f"version: {version}"))
    assert problem.startswith("1:10: version: expected the number 1, found ")


# --- what is wrong with it ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # unknown keys
        (
            _team(top="modles: {}"),
            "5:1: modles: unknown key; did you mean 'models'? (known: agents, budget, images,",
        ),
        (
            _team(more="    sytem_message: x\n"),
            "5:5: agents[0].sytem_message: unknown key; did you mean 'system_message'? (known: id,",
        ),
        (
            _team("{type: scripted, anwsers: [x]}"),
            "4:31: agents[0].backend.anwsers: unknown key; did you mean 'answers'? (known: ",
        ),
        (_team("{type: scripted, modell: x}"), "4:31: agents[0].backend.modell: unknown key; did"),
        (_team("{type: scripted, options: {}}"), "4:31: agents[0].backend.options: unknown key"),
        (_team(more="    limits: {idle: 5}\n"), "5:14: agents[0].limits.idle: unknown key; did"),
        (_team(top="ui: {dislay: rich}"), "5:6: ui.dislay: unknown key; did you mean 'display'?"),
        (
            _team(top="strategy: {type: consensus, max_round: 1}"),
            "5:29: strategy.max_round: unknown key; did you mean 'max_rounds'?",
        ),
        (
            _team(top="models:\n  m: {provider: openai, model: x, retry: {atempts: 1}}"),
            "6:43: models.m.retry.atempts: unknown key; did you mean 'attempts'?",
        ),
        # wrong types and values
        (_team(more="    ballot: vote\n"), "5:13: agents[0].ballot: expected 'auto', 'tools', "),
        (_team(more="    tools: search\n"), "5:12: agents[0].tools: expected a list, found the te"),
        (_team(more="    limits: {idle_s: '5'}\n"), "5:22: agents[0].limits.idle_s: expected a n"),
        (_team(more="    limits: {max_model_calls: 1.5}\n"), "5:31: agents[0].limits.max_model_c"),
        (_team(more="    limits: {wall_s: 0}\n"), "5:22: agents[0].limits.wall_s: expected a num"),
        (_team(more="    budget: {wall_s: -1}\n"), "5:22: agents[0].budget.wall_s: expected a num"),
        (_team(more="    budget: {tokens: '5'}\n"), "5:22: agents[0].budget.tokens: expected a w"),
        (_team(more="    budget: {call: 5}\n"), "5:14: agents[0].budget.call: unknown key"),
        (
            _team(top="budget: {model_calls: 0}"),
            "5:23: budget.model_calls: expected a number greater",
        ),
        (_team(top="budget: {model_calls: 1.5}"), "5:23: budget.model_calls: expected a whole num"),
        (_team(top="budget: {model_calls: true}"), "5:23: budget.model_calls: expected a whole nu"),
        (_team(top="budget: {cost_usd: $1}"), "5:20: budget.cost_usd: expected a number, found t"),
        (
            _team("{type: human, default: [1]}"),
            "4:38: agents[0].backend.default[0]: expected text, found the number 1",
        ),
        (_team(top="budget: 5"), "5:9: budget: expected a mapping, found the number 5"),
        (_team(more="    system_message: 5\n"), "5:21: agents[0].system_message: expected text, f"),
        (_team("5"), "4:14: agents[0].backend: expected a mapping, found the number 5"),
        (_team("{type: true}"), "4:21: agents[0].backend.type: expected text, found true"),
        (_team("{type: scripted, delay_s: fast}"), "4:40: agents[0].backend.delay_s: expected a n"),
        (_team("{type: scripted, answers: []}"), "4:40: agents[0].backend.answers: expected at l"),
        (_team(top="models: []"), "5:9: models: expected a mapping, found an empty list"),
        (_team(top="plugins: x.py"), "5:10: plugins: expected a list, found the text 'x.py'"),
        (_team(top="ui:"), "5:1: ui: expected a mapping, found nothing"),
        (_team(top="timeout_settings: {orchestrator_timeout_seconds: -1}"), "5:50: timeout_setti"),
        ("version: 1\nagents: []", "2:9: agents: expected at least one item, found an empty list"),
        # missing keys
        ("version: 1", "1:1: the key 'agents' is missing"),
        (_team().replace("- id: ada\n    ", "- "), "3:5: agents[0]: the key 'id' is missing"),
        ("version: 1\nagents:\n  - id: ada", "3:5: agents[0]: the key 'backend' is missing"),
        (_team("{answers: [x]}"), "4:5: agents[0].backend: the key 'type' is missing"),
        (_team("{type: openai}"), "4:5: agents[0].backend: the key 'model' is missing; agents of"),
        (_team("{type: python}"), "4:5: agents[0].backend: the key 'function' is missing"),
        # names
        (_team("{type: opnai}"), "4:21: agents[0].backend.type: unknown agent kind 'opnai'; did "),
        (
            _team("{type: claude_code}"),
            "4:21: agents[0].backend.type: agent kind 'claude_code' is planned",
        ),
        (_team(top="strategy: consensu"), "5:11: strategy.type: unknown strategy 'consensu'; did"),
        (_team(top="sinks: [jsonl]"), "5:9: sinks[0].type: unknown sink 'jsonl' (known: none)"),
        (_team(more="    tools: [serch]\n"), "5:13: agents[0].tools[0]: unknown tool 'serch'"),
        (_team("{type: openai, model: opnai/x}"), "4:36: agents[0].backend.model: there is no mo"),
        (_team("{type: python, function: 'a:b', model: fst}"), "4:53: agents[0].backend.model: t"),
        (_team("{type: scripted, model: local}"), "4:31: agents[0].backend.model: agents of kin"),
        (
            _team(top="models: {m: {provider: opnai, model: x}}"),
            "5:24: models.m.provider: model connection 'm': there is no provider 'opnai'",
        ),
        (_team(more="  - id: ada\n    backend: {type: scripted}"), "5:9: agents[1].id: the id 'ad"),
        (_team().replace("ada", "a b"), "3:9: agents[0].id: expected text of at most 64 of A-Z a"),
        (_team().replace("ada", "a" * 65), "3:9: agents[0].id: expected text of at most 64 of A-Z"),
        # what agents of a kind cannot do
        (_team("{type: python, function: 'a:b'}", more="    ballot: tools\n"), "5:13: agents[0].b"),
        # environment variables
        (_team("{type: scripted, reason: '${A}'}"), "4:39: agents[0].backend.reason: environment"),
        (_team("{type: scripted, answers: ['${A}']}"), "4:41: agents[0].backend.answers[0]: env"),
        (
            _team(top="models: {m: {provider: openai, model: x, api_key: '${A'}}"),
            "5:51: models.m.api_key: a key does not belong in a file",
        ),
        (
            _team(top="models: {m: {provider: openai, model: x, base_url: '${A B}'}}"),
            "5:52: models.m.base_url: a '${' begins the name of an environment variable",
        ),
        # where an agent runs
        (_team("{type: scripted, isolation: proces}"), "4:42: agents[0].backend.isolation: exp"),
        (
            _team("{type: human, isolation: process}"),
            "4:39: agents[0].backend.isolation: agents of kind 'human' run in this process alone",
        ),
        (
            _team(
                "{type: team, isolation: environment, agents: [{id: a, backend: {type: human}}]}"
            ),
            "4:38: agents[0].backend.isolation: agents of kind 'team' run in this process alone",
        ),
        (
            _team("{type: python, function: 'a:b', isolation: environment}"),
            "4:57: agents[0].backend.isolation: an environment of its own would hold nothing",
        ),
        (
            _team("{type: scripted, env: [HOME]}"),
            "4:31: agents[0].backend.env: the agent runs in this process, which has all variables;",
        ),
        (
            _team("{type: scripted, isolation: process, env: [sk-very-secret]}"),
            "4:57: agents[0].backend.env[0]: expected text of A-Z a-z 0-9 _, beginning with A-Z",
        ),
        (
            _team("{type: scripted, isolation: process, env: {A_KEY: sk-very-secret}}"),
            "4:56: agents[0].backend.env: expected a list, found a mapping",
        ),
        # what comes later
        (_team(top="orchestrator: {}"), "5:1: orchestrator: is not supported yet; take it out"),
        (_team("{type: scripted, mcp_servers: []}"), "4:31: agents[0].backend.mcp_servers: is not"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, expected: str) -> None:
    problem = _problem(text)
    assert problem.startswith(expected)


def test_a_key_that_was_written_as_the_name_of_a_variable_is_not_repeated() -> None:
    problem = _problem(_team("{type: scripted, isolation: process, env: [sk-very-secret]}"))
    assert problem.endswith("found text")


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "team.yaml"
    path.write_text(
        "version: 1\nui: {display: big}\nagents:\n"
        "  - id: a\n    backend: {type: opnai}\n"
        "  - id: a\n    backend: {type: scripted, answers: [1]}\nodd: 1\n"
    )
    problems = _problems(path)
    lines = [int(one.removeprefix(f"{path}:").split(":")[0]) for one in problems]
    assert lines == [2, 5, 6, 7, 8]
    with pytest.raises(InvalidConfig, match=r"ui\.display.* \(and 4 more problems\)$") as caught:
        load_config(path, HOST)
    assert (caught.value.file, caught.value.line, caught.value.column) == (str(path), 2, 15)


def test_values_from_python_are_told_by_their_path() -> None:
    data = {"version": 1, "agents": [{"id": "a", "backend": {"type": "opnai"}}]}
    (problem,) = _problems(data)
    assert problem.startswith("agents[0].backend.type: unknown agent kind 'opnai'")


def test_a_mistake_in_a_json_file_has_a_place_too(tmp_path: Path) -> None:
    path = tmp_path / "team.json"
    path.write_text('{\n\t"version": 1,\n\t"agents": [],\n\t"ui": {"display": "big"}\n}')
    problems = _problems(path)
    assert problems[1].startswith(f"{path}:4:20: ui.display: expected")


def test_what_a_merge_brings_in_is_told_at_the_place_it_is_merged() -> None:
    text = (
        "version: 1\nui: &u {dislay: x}\nagents:\n  - id: a\n    backend: {type: scripted, <<: *u}"
    )
    problems = _problems(f"{text}\n")
    assert problems[1].startswith("5:5: agents[0].backend.dislay: unknown key")


@pytest.mark.parametrize(
    "line",
    [
        "api_key: sk-veryverysecret",
        "api_key: [sk-veryverysecret]",
        "api_key_env: sk-veryverysecret!",
        "headers: {Authorization: Bearer sk-veryverysecret}",
        "headers: {X-Token: {a: sk-veryverysecret}}",
        "headers: sk-veryverysecret",
        "apikey: sk-veryverysecret",
    ],
)
def test_a_secret_that_was_written_by_mistake_is_not_repeated(line: str) -> None:
    text = _team(top=f"models:\n  m:\n    provider: openai\n    model: x\n    {line}\n")
    (problem,) = _problems(text)
    assert problem.startswith(("9:", "8:", "10:"))
    assert "veryverysecret" not in problem


def test_a_kind_that_is_not_installed_is_told_with_the_command_that_installs_it() -> None:
    problem = _problem(_team("{type: openai, model: x}"), PluginHost(entry_points=False))
    assert problem.startswith("4:21: agents[0].backend.type: agent kind 'openai' is not installed")
    assert "pip install 'massgen-bridge[openai]'" in problem


def test_a_broken_and_a_duplicate_kind_are_told_with_their_reasons(tmp_path: Path) -> None:
    with installed(tmp_path, "broken", "first", "second"):
        host = PluginHost()
        assert "no module named 'framework'" in _problem(_team("{type: broken}"), host)
        assert "is registered more than once" in _problem(_team("{type: twin}"), host)


# --- plugins of the configuration's own -----------------------------------------------------------

PLUGIN = """\
from pathlib import Path
from massgen_bridge import AdapterSpec, NoOptions, ToolDefinition, ToolSpec, hookimpl

Path(__file__).with_name("imported").touch()

class Options(NoOptions):
    speed: int = 1

async def call(arguments):
    return "done"

@hookimpl
def bridge_adapters():
    return [AdapterSpec(kind="own", summary="Own.", factory=print, options=Options)]

@hookimpl
def bridge_tools():
    definition = ToolDefinition(name="wave", description="Wave.", input_schema={})
    return [ToolSpec(definition=definition, call=call)]
"""
OWN = """\
version: 1
plugins: [./hooks.py]
agents:
  - id: ada
    backend: {type: own, speed: 2}
  - id: bob
    backend: {type: scripted}
    tools: [wave]
"""


def test_reading_a_configuration_never_imports_what_it_names(tmp_path: Path) -> None:
    (tmp_path / "hooks.py").write_text(PLUGIN)
    (tmp_path / "team.yaml").write_text(OWN)
    config = load_config(tmp_path / "team.yaml", PluginHost())
    assert config.unchecked == (("agents", 0, "backend", "type"), ("agents", 1, "tools", 0))
    assert not (tmp_path / "imported").exists()


def test_a_configuration_with_its_plugins_is_checked_again(tmp_path: Path) -> None:
    (tmp_path / "hooks.py").write_text(PLUGIN)
    (tmp_path / "team.yaml").write_text(OWN)
    host = PluginHost()
    config = activate(load_config(tmp_path / "team.yaml", host), host)
    assert config.unchecked == ()
    assert config.agent_options["ada"].model_dump() == {"speed": 2}
    assert (tmp_path / "imported").exists()
    (tmp_path / "team.yaml").write_text(OWN.replace("speed: 2", "speed: x").replace("wave", "wav"))
    host = PluginHost()
    with pytest.raises(InvalidConfig) as caught:
        activate(load_config(tmp_path / "team.yaml", host), host)
    assert [one.line for one in caught.value.problems] == [5, 8]
    assert "did you mean 'wave'?" in str(caught.value.problems[1])


def test_a_broken_plugin_is_an_error_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "hooks.py").write_text("import nowhere_at_all\n")
    (tmp_path / "team.yaml").write_text(OWN)
    host = PluginHost()
    config = load_config(tmp_path / "team.yaml", host)
    with pytest.raises(InvalidConfig) as caught:
        activate(config, host)
    assert str(caught.value).startswith(f"{tmp_path / 'team.yaml'}:2:11: plugins[0]: cannot import")


def test_without_plugins_there_is_nothing_to_activate() -> None:
    config = _load(_team())
    assert activate(config, HOST) is config


# --- whatever comes in ----------------------------------------------------------------------------

_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
_KEYS = st.sampled_from(
    [*Document.model_fields, *AgentConfig.model_fields, *BackendConfig.model_fields, "provider"]
)
_VALUES = st.recursive(
    _SCALARS | st.just("scripted"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5),
    max_leaves=20,
)


@given(st.dictionaries(_KEYS, _VALUES, max_size=6))
def test_any_values_give_a_configuration_or_a_clear_error(data: dict[str, Any]) -> None:
    try:
        load_config({**data, "version": 1}, HOST)
    except ConfigError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is right
