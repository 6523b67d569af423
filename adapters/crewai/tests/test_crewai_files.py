"""A crew from CrewAI's own files: what its members are told, and what cannot stand there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import pytest
from massgen_bridge_crewai import CrewAIOptions, bridge_adapters
from pydantic import ValidationError

from massgen_bridge import ConfigError, TextDelta, arun
from massgen_bridge.testing.agents import collect, connection_to, make_agent, turn
from massgen_bridge.testing.servers import AutoToolCall, ModelRequest, Reply, Text, ToolCalls

if TYPE_CHECKING:
    from massgen_bridge import Agent
    from massgen_bridge.testing.fixtures import StartModelServer
    from massgen_bridge.testing.servers import ModelServer

pytestmark = pytest.mark.anyio

(SPEC,) = bridge_adapters()
EXAMPLE = Path(__file__).parents[3] / "configs" / "frameworks" / "crewai.yaml"
AGENTS = """
scout: {role: "Scout for {whom}", goal: Find, backstory: You find., llm: openai/gpt-4o}
writer: {role: Writer, goal: Write, backstory: You write., allow_delegation: false}
"""
TASKS = """
find: {description: "Find {topic}", expected_output: Notes., agent: scout}
tell: {description: Tell it., expected_output: A text., agent: writer, context: [find]}
"""


async def _agent(
    folder: Path, server: ModelServer, *, agents: str = AGENTS, tasks: str = TASKS, **more: Any
) -> Agent:
    (folder / "agents.yaml").write_text(agents)
    (folder / "tasks.yaml").write_text(tasks)
    options = {"agents": "agents.yaml", "tasks": "tasks.yaml", **more}
    return await anyio.to_thread.run_sync(
        lambda: make_agent(SPEC, options, connection_to(server), base_dir=folder)
    )


def _told(server: ModelServer, number: int) -> str:
    return "\n".join(m["content"] for m in server.requests[number].body["messages"])


async def test_tasks_build_on_each_other(model_server: StartModelServer, tmp_path: Path) -> None:
    server, events = model_server([Text("A key."), Text("It is a key.")], strict=False), collect()
    agent = await _agent(tmp_path, server, inputs={"whom": "Ann"})
    result = await agent.run(turn("it"), events)
    await agent.aclose()
    assert result.text == "It is a key."
    assert "You are Scout for Ann." in _told(server, 0)
    assert "Find it" in _told(server, 0)
    assert "A key." in _told(server, 1)
    said = [(one.source, one.text) for one in events.of(TextDelta)]
    assert [who for who, _ in said] == sorted(who for who, _ in said if who)
    assert {request.body["model"] for request in server.requests} == {"scripted"}


async def test_a_manager_gives_out_the_tasks(
    model_server: StartModelServer, tmp_path: Path
) -> None:
    work = {"task": "Find it", "context": "None.", "coworker": "Scout for Ann"}

    def script(request: ModelRequest) -> Reply:
        if not request.tools:
            return Text("A key.")
        if request.ends_with_tool_result:
            return Text("The scout found a key.")
        return ToolCalls(("delegate_work_to_coworker", work))

    server, events = model_server(script, strict=False), collect()
    tasks = 'find: {description: "Find {topic}", expected_output: Notes.}'
    agent = await _agent(
        tmp_path, server, tasks=tasks, process="hierarchical", inputs={"whom": "Ann"}
    )
    result = await agent.run(turn("it"), events)
    await agent.aclose()
    assert result.text == "The scout found a key."
    assert {"Scout for Ann"} < {one.source for one in events.of(TextDelta)}


async def test_the_file_of_a_task_is_in_the_agent_s_folder(
    model_server: StartModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    tasks = (
        'find: {description: "Find {topic}", expected_output: Notes., agent: writer, '
        "output_file: /notes/notes.md}"
    )
    server = model_server(Text("A key."), strict=False)
    agent = await _agent(tmp_path, server, tasks=tasks, inputs={"whom": "Ann"})
    await agent.run(turn("it"), collect())
    await agent.aclose()
    assert (tmp_path / "notes.md").read_text() == "A key."
    assert not any(elsewhere.iterdir())


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"agents": "[scout]"}, "agents.yaml: expected names, each with its settings"),
        ({"agents": "scout: {"}, "agents.yaml: it is no YAML"),
        ({"agents": "scout: hello"}, "agents.yaml: 'scout' has no settings"),
        ({"agents": "scout: {role: Scout, goal: Find}"}, "'scout' lacks 'backstory'"),
        (
            {"agents": "scout: {role: A, goal: B, backstory: C, color: red}"},
            "'scout' has the unknown settings 'color'; known are: allow_delegation",
        ),
        (
            {"agents": "scout: {role: A, goal: B, backstory: C, tools: [look]}"},
            "'scout' has 'tools', which name code; give the crew itself by `crew`",
        ),
        (
            {"tasks": "find: {description: A, expected_output: B, agent: nobody}"},
            "task 'find' is for the agent 'nobody'; there are: 'scout', 'writer'",
        ),
        (
            {"tasks": "find: {description: A, expected_output: B, agent: scout, context: [x]}"},
            "task 'find' builds on the task 'x'; there are: 'find'",
        ),
        (
            {
                "tasks": "find: {description: A, expected_output: B, agent: scout, "
                "human_input: true}"
            },
            "'find' asks a person by `human_input`; add an agent of kind 'human'",
        ),
    ],
)
async def test_what_cannot_be_a_crew_is_one_clear_error(
    model_server: StartModelServer, tmp_path: Path, files: dict[str, str], words: str
) -> None:
    with pytest.raises(ConfigError, match=words.replace("[", r"\[")):
        await _agent(tmp_path, model_server(), **files)


def test_a_file_that_is_not_there_is_named(model_server: StartModelServer, tmp_path: Path) -> None:
    options = {"agents": "none.yaml", "tasks": "tasks.yaml"}
    with pytest.raises(ConfigError, match=r"none\.yaml: No such file or directory"):
        make_agent(SPEC, options, connection_to(model_server()), base_dir=tmp_path)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"agents": "agents.yaml"}, "'agents' and 'tasks' belong together"),
        ({"crew": "a:b", "flow": "a:c"}, "'crew' and 'flow' exclude each other"),
        ({"crew": "a:b", "role": "Judge"}, "'role' can be used only without"),
        ({"process": "hierarchical"}, "'process' can be used only with 'agents' and 'tasks'"),
        ({"models": "gateway"}, "'models' can be used only with 'crew' or 'flow'"),
        ({"inputs": {"a": 1}}, "'inputs' can be used only with 'agents', 'crew' or 'flow'"),
        ({"crew": "a:b", "output_key": "text"}, "'output_key' can be used only with 'flow'"),
    ],
)
def test_options_of_two_forms_exclude_each_other(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        CrewAIOptions.model_validate(options)


def test_an_agent_runs_where_its_models_can_be_redirected() -> None:
    assert SPEC.own_process
    assert SPEC.redirects is not None
    redirected = {models: CrewAIOptions(crew="a:b", models=models) for models in ("own", "gateway")}
    assert {name: SPEC.redirects(one) for name, one in redirected.items()} == {
        "own": False,
        "gateway": True,
    }


@pytest.mark.timeout(120)
async def test_the_example_answers_and_votes(
    model_server: StartModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is, but on a loopback server in place of the local model, and with CrewAI alone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")

    def script(request: ModelRequest) -> Reply:
        return AutoToolCall() if request.tools else Text("It is worth learning.")

    server = model_server(script, strict=False)
    config = tmp_path / "crewai.yaml"
    text = EXAMPLE.read_text().replace("type: openai", "type: crewai")
    text = text.replace("newsroom/", f"{EXAMPLE.parent}/newsroom/")
    address = f"{{provider: openai, model: scripted, base_url: '{server.base_url('chat')}'}}"
    lines = [
        f"  shared: {address}" if line.startswith("  shared:") else line
        for line in text.splitlines()
    ]
    config.write_text("\n".join(lines).replace("backend:", "backend:\n      isolation: none"))
    result = await arun(config, "Why learn Python?", keep=False)
    assert result.status == "answered"
    assert result.answer is not None
