"""A single agent from YAML: its instruction, the code that it runs, and the person that it asks."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest
from massgen_bridge_ag2_classic import bridge_adapters
from pydantic import ValidationError

from massgen_bridge import (
    AgentCrashed,
    ConfigError,
    Declined,
    LimitReached,
    Limits,
    Question,
    Reply,
    ToolCallFinished,
    ToolCallStarted,
    Written,
    system,
    user,
)
from massgen_bridge.testing.agents import collect, connection_to, make_agent, turn
from massgen_bridge.testing.servers import ModelServer, Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from massgen_bridge import Agent
    from massgen_bridge.testing.fixtures import StartModelServer

pytestmark = pytest.mark.anyio

_PATIENCE_S = 20

PRINTS = "Let me count.\n```python\nprint(6 * 7)\n```"
CODE: dict[str, Any] = {"code_execution_config": {"executor": {"timeout": 20}}}


def single(
    server: ModelServer,
    workspace: Path,
    *,
    replies: tuple[Reply | None, ...] | None = None,
    **config: Any,
) -> tuple[Agent, list[Question]]:
    """An agent with a workspace, and with a person if there are replies."""
    asked: list[Question] = []
    waiting = list(replies or ())

    async def ask(question: Question, /) -> Reply | None:
        asked.append(question)
        return waiting.pop(0)

    (spec,) = bridge_adapters()
    person = None if replies is None else ask
    given = {"agent_config": config}
    made = make_agent(spec, given, connection_to(server), base_dir=workspace, ask=person)
    return made, asked


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


# --- what it is told ------------------------------------------------------------------------------


async def test_its_instruction_comes_before_the_hosts(
    model_server: StartModelServer, tmp_path: Path
) -> None:
    server = model_server()
    agent, _ = single(server, tmp_path, system_message="You are a helper.")
    await agent.run(turn(system("Be brief."), user("Hello.")), collect())
    told = [(m["role"], m["content"]) for m in server.requests[0].body["messages"]]
    assert told == [("system", "You are a helper.\n\nBe brief."), ("user", "Hello.")]


async def test_an_assistant_has_the_instruction_of_ag2(
    model_server: StartModelServer, tmp_path: Path
) -> None:
    server = model_server()
    agent, _ = single(server, tmp_path, type="assistant")
    await agent.run(turn("Hello."), collect())
    assert "TERMINATE" in server.requests[0].body["messages"][0]["content"]


@pytest.mark.parametrize("question", ["TERMINATE", "exit", "", "```python\nprint(1)\n```"])
async def test_no_question_ends_the_conversation(
    model_server: StartModelServer, tmp_path: Path, question: str
) -> None:
    """AG2 takes some words for the end of a conversation; a user may say them."""
    agent, _ = single(model_server([Text("Here.")]), tmp_path, **CODE)
    assert (await agent.run(turn(question), collect())).text == "Here."


# --- code -----------------------------------------------------------------------------------------


async def test_code_is_run_in_the_workspace(model_server: StartModelServer, tmp_path: Path) -> None:
    server, events = model_server([Text(PRINTS), Text("It is 42.")]), collect()
    agent, _ = single(server, tmp_path, **CODE)
    result = await agent.run(turn("What is it?"), events)
    assert result.text == "It is 42."
    told = server.requests[1].body["messages"][-1]
    assert told["content"] == "exitcode: 0 (execution succeeded)\nCode output: 42\n"
    (started,) = events.of(ToolCallStarted)
    assert started.call.name == "run_code"
    assert [m.role for m in result.new_messages] == ["assistant", "tool", "assistant"]
    assert [path.suffix for path in files(tmp_path)] == [".py"]


async def test_code_is_not_run_unless_asked_for(
    model_server: StartModelServer, tmp_path: Path
) -> None:
    server = model_server([Text(PRINTS)])
    agent, _ = single(server, tmp_path)
    assert (await agent.run(turn("What is it?"), collect())).text == PRINTS
    assert (server.calls, files(tmp_path)) == (1, [])


async def test_a_failure_of_code_goes_back_to_the_model(
    model_server: StartModelServer, tmp_path: Path
) -> None:
    wrong = "```python\nprint('so far')\nraise SystemExit(3)\n```\n```sh\necho never\n```"
    server, events = model_server([Text(wrong), Text("I see.")]), collect()
    agent, _ = single(server, tmp_path, **CODE)
    await agent.run(turn("Go."), events)
    told = server.requests[1].body["messages"][-1]["content"]
    assert told == "exitcode: 3 (execution failed)\nCode output: so far\n"
    assert events.of(ToolCallFinished)[0].result.is_error


async def test_code_knows_no_key(
    model_server: StartModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    server = model_server([Text("```sh\nenv; pwd\n```"), Text("I see.")])
    agent, _ = single(server, tmp_path, **CODE)
    await agent.run(turn("Go."), collect())
    told = server.requests[1].body["messages"][-1]["content"]
    assert "sk-secret" not in told
    assert str(tmp_path) in told


async def test_code_that_hangs_is_stopped(model_server: StartModelServer, tmp_path: Path) -> None:
    server = model_server([Text("```sh\nsleep 60 & sleep 60\n```"), Text("I see.")])
    config: dict[str, Any] = {"code_execution_config": {"executor": {"timeout": 0.3}}}
    agent, _ = single(server, tmp_path, **config)
    began = time.monotonic()
    await agent.run(turn("Go."), collect())
    assert time.monotonic() - began < 20
    told = server.requests[1].body["messages"][-1]["content"]
    assert "exitcode: 124" in told
    assert "Timeout after 0.3 s" in told


async def test_cancelled_code_ends_with_what_it_started(
    model_server: StartModelServer, tmp_path: Path
) -> None:
    script = "sleep 60 & echo $! > child; echo $$ > parent; wait"
    server = model_server([Text(f"```sh\n{script}\n```"), Text("Not asked for.")])
    agent, _ = single(server, tmp_path, **CODE)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(agent.run, turn("Go."), collect())
        await anyio.to_thread.run_sync(_until, lambda: _written(tmp_path / "parent"))
        began = time.monotonic()
        tasks.cancel_scope.cancel()
    assert time.monotonic() - began < _PATIENCE_S
    for name in ("parent", "child"):
        await anyio.to_thread.run_sync(_until, lambda name=name: not _runs(tmp_path / name))
    assert server.calls == 1


def _until(true: Callable[[], bool]) -> None:
    """Wait until something is so, for some seconds at most."""
    end = time.monotonic() + _PATIENCE_S
    while not true():
        assert time.monotonic() < end, "it never came to be so"
        time.sleep(0.02)


def _written(file: Path) -> bool:
    return file.exists() and bool(file.read_text().strip())


def _runs(named: Path) -> bool:
    """Whether the process whose id stands in a file still runs."""
    process = int(named.read_text())
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def test_code_is_run_only_so_often(model_server: StartModelServer, tmp_path: Path) -> None:
    server = model_server(default=Text(PRINTS))
    config: dict[str, Any] = {"code_execution_config": {"max_runs": 2}}
    agent, _ = single(server, tmp_path, **config)
    assert (await agent.run(turn("Go."), collect())).text == PRINTS
    assert server.calls == 3


async def test_running_code_is_a_tool_call_of_the_turn(
    model_server: StartModelServer, tmp_path: Path
) -> None:
    agent, _ = single(model_server(default=Text(PRINTS)), tmp_path, **CODE)
    with pytest.raises(LimitReached, match="1 tool calls"):
        await agent.run(turn("Go.", limits=Limits(max_tool_calls=1)), collect())


async def test_what_ag2_holds_for_dangerous_is_not_run(
    model_server: StartModelServer, tmp_path: Path
) -> None:
    server = model_server([Text("```sh\nrm -rf .\n```"), Text("I see.")])
    agent, _ = single(server, tmp_path, **CODE)
    await agent.run(turn("Go."), collect())
    assert "rm -rf" in server.requests[1].body["messages"][-1]["content"]
    assert files(tmp_path) == []


# --- a person -------------------------------------------------------------------------------------


async def test_a_person_takes_the_models_place(
    model_server: StartModelServer, tmp_path: Path
) -> None:
    server = model_server()
    agent, asked = single(
        server, tmp_path, replies=(Written(text="By hand."),), human_input_mode="ALWAYS"
    )
    assert (await agent.run(turn("Go."), collect())).text == "By hand."
    assert (len(asked), server.calls) == (1, 0)


async def test_a_person_may_leave_it_to_the_model(
    model_server: StartModelServer, tmp_path: Path
) -> None:
    server = model_server([Text("By the model.")])
    agent, _ = single(server, tmp_path, replies=(Written(text=""),), human_input_mode="ALWAYS")
    assert (await agent.run(turn("Go."), collect())).text == "By the model."


@pytest.mark.parametrize("reply", [None, Declined(), Written(text="exit")])
async def test_a_person_may_abstain(
    model_server: StartModelServer, tmp_path: Path, reply: Reply | None
) -> None:
    agent, _ = single(model_server(), tmp_path, replies=(reply,), human_input_mode="ALWAYS")
    assert (await agent.run(turn("Go."), collect())).abstained


async def test_without_anybody_to_ask_it_fails(
    model_server: StartModelServer, tmp_path: Path
) -> None:
    agent, _ = single(model_server(), tmp_path, human_input_mode="ALWAYS")
    with pytest.raises(AgentCrashed, match="nobody can be asked"):
        await agent.run(turn("Go."), collect())


# --- options --------------------------------------------------------------------------------------


def test_a_configuration_of_massgen_fits() -> None:
    (spec,) = bridge_adapters()
    spec.options.model_validate(
        {
            "agent_config": {
                "type": "assistant",
                "name": "AG2_coder",
                "system_message": "You are a helpful coding assistant.",
                "code_execution_config": {
                    "executor": {
                        "type": "LocalCommandLineCodeExecutor",
                        "timeout": 60,
                        "work_dir": "./code_execution_workspace",
                    }
                },
            }
        }
    )


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"llm_config": {"model": "gpt-4o"}}, "`model: gpt-4o`"),
        ({"code_execution_config": {"executor": {"work_dir": "../out"}}}, "leads out"),
        ({"code_execution_config": {"executor": {"work_dir": "/srv"}}}, "leads out"),
        ({"code_execution_config": {"executor": {"type": "DockerExecutor"}}}, "LocalCommandLine"),
        ({"human_input_mode": "TERMINATE"}, "ALWAYS"),
        ({"name": "two words"}, "pattern"),
    ],
)
def test_what_cannot_be_is_refused(config: dict[str, Any], said: str) -> None:
    (spec,) = bridge_adapters()
    with pytest.raises(ValidationError, match=said):
        spec.options.model_validate({"agent_config": config})


def test_an_agent_needs_a_model_or_a_chat() -> None:
    (spec,) = bridge_adapters()
    with pytest.raises(ConfigError, match="`chat`"):
        make_agent(spec, {}, None)


def test_what_is_claimed_depends_on_the_form() -> None:
    (spec,) = bridge_adapters()
    assert spec.refine is not None
    assert spec.needs_person is not None
    assert spec.redirects is not None
    members = [{"name": "ann"}, {"name": "bob"}]
    given: dict[str, Any] = {"group": {"members": members, "answer": "ann"}}
    group = spec.refine(spec.options.model_validate(given), None)
    assert (group.group, group.streaming, group.cancellation) == (True, False, "cooperative")
    own = spec.options.model_validate({"chat": "a:b", "models": "gateway", "human_input": "ask"})
    claimed = spec.refine(own, None)
    assert (claimed.tools, claimed.history, claimed.cancellation) == (False, False, "process")
    assert spec.redirects(own)
    assert spec.needs_person(own)
    assert spec.own_process
    assert not spec.needs_person(spec.options.model_validate({}))


async def test_logging_is_left_alone(model_server: StartModelServer, tmp_path: Path) -> None:
    before = (list(logging.getLogger().handlers), logging.getLogger().level)
    agent, _ = single(model_server(), tmp_path)
    await agent.run(turn("Go."), collect())
    assert (list(logging.getLogger().handlers), logging.getLogger().level) == before
    assert "AUTOGEN_USE_DOCKER" not in os.environ
