"""MassGen's own files: read as configurations of the current form, or clearly refused."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import massgen_bridge
from massgen_bridge.config import InvalidConfig, RunConfig, load_config
from massgen_bridge.plugins import PluginHost
from massgen_bridge.runtime.planning import prepare_run
from massgen_bridge.testing.pictures import Picture, make
from massgen_bridge.testing.servers import Echo, ModelServer

if TYPE_CHECKING:
    from massgen_bridge.connection import Protocols

HOST = PluginHost()
FILES = Path(__file__).parent / "massgen"


def written(folder: Path, text: str) -> Path:
    file = folder / "team.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def problems(text: str) -> list[str]:
    with pytest.raises(InvalidConfig) as caught:
        load_config(text, HOST)
    return [str(one) for one in caught.value.problems]


def agent(backend: str, more: str = "") -> str:
    return f"agents:\n  - id: ada\n    backend:\n      {backend}\n{more}"


def at_server(name: str, addresses: dict[str, str]) -> str:
    """One of the files, with a model server of this machine in place of its own."""
    lines = []
    for line in (FILES / name).read_text().splitlines():
        if line.strip().startswith("base_url:"):
            continue
        lines.append(line)
        key, _, value = line.strip().partition(": ")
        if key == "type" and (address := addresses.get(value.strip('"'))):
            indent = " " * (len(line) - len(line.lstrip()))
            lines.append(f"{indent}base_url: {address}")
    return "\n".join(lines) + "\n"


def environment(config: RunConfig) -> dict[str, str]:
    """Each usual key, with its own name as value."""
    known = (HOST.provider(one.provider) for one in config.models.values())
    return {name: name for one in known for name in one.key_variables}


# --- what reaches the model -----------------------------------------------------------------------


async def bodies(name: str, **types: Protocols) -> dict[str, dict[str, Any]]:
    """The first request for each model that a run of a file makes."""
    with ModelServer(Echo()) as server:
        text = at_server(name, {kind: server.base_url(spoken) for kind, spoken in types.items()})
        await massgen_bridge.arun(text, "What is 2 + 2?", keep=False)
        found: dict[str, dict[str, Any]] = {}
        for one in server.requests:
            if one.asked is not None:
                found.setdefault(f"{one.asked.model} {one.path}", one.body)
    return found


@pytest.mark.anyio
async def test_options_of_openai_reach_responses() -> None:
    (sent,) = (await bodies("fast_timeout_example.yaml", openai="responses")).values()
    assert sent["model"] == "gpt-5"
    assert sent["reasoning"] == {"effort": "high", "summary": "auto"}
    assert sent["text"]["verbosity"] == "medium"
    assert {"web_search", "code_interpreter"} <= {tool["type"] for tool in sent["tools"]}


@pytest.mark.anyio
async def test_every_protocol_gets_the_options_of_its_agent() -> None:
    types: dict[str, Protocols] = {"zai": "chat", "gemini": "gemini", "claude": "messages"}
    sent = await bodies("glm_gemini_claude.yaml", **types)
    by_model = {name.partition(" ")[0]: body for name, body in sent.items()}
    assert set(by_model) == {"glm-4.5", "gemini-2.5-flash", "claude-3-5-haiku-20241022"}
    assert {"googleSearch": {}} in by_model["gemini-2.5-flash"]["tools"]
    tools = {tool.get("name") for tool in by_model["claude-3-5-haiku-20241022"]["tools"]}
    assert {"web_search", "code_execution"} <= tools


@pytest.mark.anyio
async def test_options_of_local_servers_reach_the_request_s_body() -> None:
    sent = await bodies("two_qwen_vllm_sglang.yaml", vllm="chat", sglang="chat")
    (body,) = sent.values()
    assert body["chat_template_kwargs"] == {"enable_thinking": True}


@pytest.mark.anyio
async def test_what_nobody_knows_is_passed_on_and_what_xai_retired_becomes_its_tool(
    caplog: pytest.LogCaptureFixture,
) -> None:
    (sent,) = (await bodies("grok_single_agent.yaml", grok="responses")).values()
    assert "search_parameters" not in sent
    assert {"type": "web_search"} in sent["tools"]
    (told,) = [one.message for one in caplog.records if one.name == "massgen_bridge.config"]
    assert "agent.backend.extra_body.search_parameters (line 10)" in told


@pytest.mark.anyio
async def test_samplings_of_gemini_stand_where_google_has_them() -> None:
    with ModelServer(Echo()) as server:
        at = f"{{type: gemini, model: gemini-2.5-flash, base_url: '{server.base_url('gemini')}',"
        text = f"agent:\n  id: ada\n  backend: {at} top_k: 5, max_tokens: 99, temperature: 0.5}}\n"
        await massgen_bridge.arun(text, "?", keep=False)
        settings = server.requests[0].body["generationConfig"]
    assert (settings["topK"], settings["maxOutputTokens"], settings["temperature"]) == (5, 99, 0.5)


# --- what they become -----------------------------------------------------------------------------


def test_published_files_are_read_and_resolved() -> None:
    expected = {
        "glm_gemini_claude.yaml": [
            ("zai", "chat", "glm-4.5"),
            ("gemini", "gemini", "gemini-2.5-flash"),
            ("anthropic", "messages", "claude-3-5-haiku-20241022"),
        ],
        # Each key goes to its own host alone, which Nebius has several of.
        "three_agents_opensource.yaml": [
            ("cerebras", "chat", "gpt-oss-120b"),
            ("nebius", "chat", "Qwen/Qwen3-4B-fast"),
            ("fireworks", "chat", "accounts/fireworks/models/gpt-oss-20b"),
        ],
        "two_qwen_vllm_sglang.yaml": [
            ("vllm", "chat", "Qwen/Qwen3-4B"),
            ("sglang", "chat", "Qwen/Qwen3-4B"),
        ],
        "single_flash2.5.yaml": [("gemini", "gemini", "gemini-2.5-flash")],
    }
    for name, rows in expected.items():
        config = load_config(FILES / name, HOST)
        prepared = prepare_run(config, host=HOST, environ=environment(config))
        found = list(prepared.connections.values())
        assert [(one.provider, one.protocol, one.model) for one in found] == rows
        keys = [one.api_key.get_secret_value() for one in found if one.api_key]
        assert [one.provider.upper() for one in found if one.api_key] == [
            {"GOOGLE_API_KEY": "GEMINI"}.get(key, key.partition("_")[0]) for key in keys
        ]


def test_the_time_the_display_and_the_sampling_are_taken_over() -> None:
    fast = load_config(FILES / "fast_timeout_example.yaml", HOST)
    assert fast.timeout_settings.orchestrator_timeout_seconds == 30
    assert (
        load_config(FILES / "single_gpt5nano_image_understanding.yaml", HOST).ui.display == "plain"
    )
    model = load_config(FILES / "zai_glm45.yaml", HOST).models["zai_glm45_agent"]
    assert (model.temperature, model.top_p) == (0.95, 0.7)


def test_pictures_are_found_from_where_massgen_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = tmp_path / "massgen/configs/resources/v0.0.27-example/multimodality.jpg"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(make(Picture(name="a", form="JPEG")))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-nobody")
    config = load_config(FILES / "single_gpt5nano_image_understanding.yaml", HOST)
    prepared = prepare_run(config, host=HOST, environ={"OPENAI_API_KEY": "sk-of-nobody"})
    assert [one.type for one in prepared.plan.agents[0].attached] == ["image"]


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("gpt-5-nano", "openai"),
        ("o3-mini", "openai"),
        ("claude-sonnet-4-0", "anthropic"),
        ("Gemini-2.5-flash", "gemini"),
        ("grok-4", "xai"),
        ("glm-4.5-air", "zai"),
    ],
)
def test_a_model_tells_the_type_that_is_missing(model: str, provider: str) -> None:
    config = load_config(agent(f"model: {model}"), HOST)
    assert config.models["ada"].provider == provider


def test_an_unknown_host_gets_no_key_and_no_price() -> None:
    url = "https://models.example.com/v1"
    config = load_config(agent(f"{{type: chatcompletion, model: m, base_url: '{url}'}}"), HOST)
    environ = {"OPENAI_API_KEY": "sk-of-nobody", "VLLM_API_KEY": "of-nobody"}
    connection = prepare_run(config, host=HOST, environ=environ).connections["ada"]
    assert (connection.base_url, connection.api_key) == (url, None)
    assert connection.provider == "at-models-example-com"


def test_an_azure_endpoint_becomes_the_address_of_its_models() -> None:
    for given in ("https://mine.openai.azure.com/", "https://mine.openai.azure.com/openai/v1"):
        text = agent(f"{{type: azure_openai, model: mine, azure_endpoint: '{given}'}}")
        config = load_config(text, HOST)
        connection = prepare_run(config, host=HOST, environ={"AZURE_OPENAI_API_KEY": "k"})
        assert connection.connections["ada"].base_url == "https://mine.openai.azure.com/openai/v1"


def test_one_agent_without_an_orchestrator_answers_alone() -> None:
    text = agent("{type: lmstudio, model: m, api_key: lm-studio}")
    assert load_config(text, HOST).strategy.type == "consensus"
    alone = f"{text}ui: {{use_orchestrator_for_single_agent: false}}\n"
    assert load_config(alone, HOST).strategy.type == "single"


# --- what is told ---------------------------------------------------------------------------------


def test_each_sort_of_odd_key_is_told_once_with_its_lines(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    backend = "{type: openai, model: gpt-5, frequency_penalty: 1, permission_mode: x, top_k: 3}"
    more = (
        "orchestrator: {rounds: 3, snapshot_storage: s}\nui: {logging_enabled: false, debug: x}\n"
    )
    file = written(tmp_path, agent(backend, more))
    with caplog.at_level(logging.WARNING, "massgen_bridge.config"):
        config = load_config(file, HOST)
    assert config.models["ada"].extra_body == {"frequency_penalty": 1, "top_k": 3}
    assert config.warnings == tuple(one.getMessage() for one in caplog.records)
    left_out, passed_on = [one.partition("; ")[2] for one in config.warnings]
    assert left_out == (
        "without a meaning here, and left out: agents[0].backend.permission_mode (line 4), "
        "ui.logging_enabled (line 6), ui.debug (line 6), orchestrator.rounds (line 5), "
        "orchestrator.snapshot_storage (line 5)"
    )
    assert passed_on == (
        "not known here, and sent to the model's server as they are: "
        "agents[0].backend.frequency_penalty (line 4)"
    )


def test_nothing_is_told_of_a_file_that_means_what_it_says(
    caplog: pytest.LogCaptureFixture,
) -> None:
    load_config(FILES / "glm_gemini_claude.yaml", HOST)
    assert not caplog.records


# --- what is refused ------------------------------------------------------------------------------


def test_what_cannot_be_read_yet_is_told_in_one_error_that_names_it_once() -> None:
    name = "five_agents_discord_mcp_planning_mode.yaml"
    with pytest.raises(InvalidConfig) as caught:
        load_config(FILES / name, HOST)
    (problem,) = caught.value.problems
    assert (problem.file, problem.line) == (str(FILES / name), 22)
    told = problem.message.partition("cannot be read yet: ")[2]
    assert told.partition("; ")[0] == (
        "backend.mcp_servers of 5 agents (lines 22, 41, 64, 81, 103), "
        "agents[2].backend.type 'claude_code' (line 61), agents[2].backend.cwd (line 62), "
        "orchestrator.coordination (line 129)"
    )
    assert "take it out, or write the agents" in told


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (agent("{type: opneai, model: m}"), "4:14: agents[0].backend.type: MassGen has no type"),
        (agent("{type: opneai, model: m}"), "did you mean 'openai'?"),
        (agent("model: llama-3"), "3:5: agents[0].backend: the key 'type' is missing"),
        (agent("type: openai"), "3:5: agents[0].backend: the key 'model' is missing"),
        (
            agent("{type: grok, model: m, max_tokens: none}"),
            "4:42: agents[0].backend.max_tokens: expected a whole number",
        ),
        (
            agent("{type: openai, model: m, text: {verbosity: loud}}"),
            "4:50: agents[0].backend.text.verbosity: expected 'low', 'medium' or 'high'",
        ),
        (
            agent("{type: openai, model: m, api_key: sk-1}"),
            "4:41: agents[0].backend.api_key: a key does not belong in a file",
        ),
        (
            agent("{type: vllm, model: m, base_url: nowhere}"),
            "4:40: agents[0].backend.base_url: expected an address",
        ),
        (
            agent("{type: vllm, model: m, extra_body: 3, top_k: 5}"),
            "4:42: agents[0].backend.extra_body: expected a mapping",
        ),
        (agent("{type: vllm, model: m}", "ui: {display_type: huge}\n"), "5:20: ui.display_type: "),
        (agent("{type: vllm, model: m}", "ui: huge\n"), "5:5: ui: expected a mapping"),
        (
            agent("{type: vllm, model: m}", "timeout_settings: {agent_timeout: 3}\n"),
            "5:20: timeout_settings.agent_timeout: unknown key",
        ),
        ("agent: {id: ada}\nui: {}\n", "1:1: agent: the key 'backend' is missing"),
        # configurations of the current form that lack their first line
        ("models: {}\nui: {}\n", "1:1: there is no 'version: 1'"),
        (agent("{type: openai, model: m}", "strategy: single\n"), "5:1: strategy: no MassGen file"),
        (agent("{type: openai, model: m}", "verson: 1\n"), "did you mean 'version'?"),
        (agent("{type: openai, model: m}", "    ballot: text\n"), "5:5: agents[0].ballot: no "),
        (agent("{type: scripted, answers: [a]}"), "'version: 1' needs that line"),
    ],
)
def test_a_mistake_is_told_where_the_file_has_it(text: str, expected: str) -> None:
    found = problems(text)
    assert any(expected in one for one in found), found
