"""An agent in a worker process does what it does in the host's own."""

# ruff: noqa: ASYNC110, ASYNC240 - a test may wait in small steps, and for a small file

from __future__ import annotations

import json
import time
from pathlib import Path

import anyio
import pytest
from isolation.workers import unruly, worker_agent

from massgen_bridge import (
    AgentCrashed,
    ImagePart,
    LimitReached,
    LogLine,
    Message,
    RateLimited,
    TextDelta,
    TextPart,
    ToolCall,
    ToolFailed,
    ToolResult,
    TurnEvent,
    user,
)
from massgen_bridge.testing.agents import ScriptedTools, collect, turn

pytestmark = pytest.mark.anyio


async def test_a_turn_gives_its_result_and_its_events_in_order(tmp_path: Path) -> None:
    async with unruly(tmp_path) as agent:
        events = collect()
        result = await agent.run(turn("deltas 5000"), events)
    assert result.text == "5000"
    assert events.text == "".join(f"{number} " for number in range(5000))


async def test_one_worker_serves_the_turns_one_after_the_other(tmp_path: Path) -> None:
    async with unruly(tmp_path) as agent:
        pids = {(await agent.run(turn("pid"), collect())).text for _ in range(3)}
    assert len(pids) == 1


async def test_turns_at_the_same_time_share_a_worker(tmp_path: Path) -> None:
    texts: dict[int, str] = {}
    async with unruly(tmp_path) as agent, anyio.create_task_group() as tasks:

        async def ask(number: int) -> None:
            # All of them have the same name, as turns of different runs may.
            texts[number] = (await agent.run(turn(f"deltas {number}"), collect())).text

        for number in range(20):
            tasks.start_soon(ask, number)
    assert texts == {number: str(number) for number in range(20)}


async def test_turns_that_need_a_process_each_get_one_and_give_it_back(tmp_path: Path) -> None:
    async with unruly(tmp_path, alone=True) as agent:
        pids: list[str] = []

        async def ask() -> None:
            pids.append((await agent.run(turn("wait 1"), collect())).text)

        for _ in range(2):
            async with anyio.create_task_group() as tasks:
                for _ in range(2):
                    tasks.start_soon(ask)
    assert len(pids) == 4
    assert len(set(pids)) == 2


async def test_a_large_picture_arrives_whole(tmp_path: Path) -> None:
    picture = ImagePart(media_type="image/png", data=bytes(range(256)) * 40_960)
    message = Message(role="user", parts=(TextPart(text="media"), picture))
    async with unruly(tmp_path) as agent:
        result = await agent.run(turn(message), collect())
    assert json.loads(result.text) == [10_485_760]


async def test_a_tool_of_the_host_is_called_from_the_worker(tmp_path: Path) -> None:
    tools = ScriptedTools("a clock shows noon")
    async with unruly(tmp_path) as agent:
        result = await agent.run(turn("tool a clock", call_tool=tools), collect())
    assert result.text == "a clock shows noon"
    assert [call.arguments for call in tools.calls] == [{"at": "a clock"}]


@pytest.mark.parametrize("error", [ToolFailed("it broke"), LimitReached("that was enough")])
async def test_what_a_tool_raises_in_the_host_is_raised_in_the_worker(
    tmp_path: Path, error: Exception
) -> None:
    asked = turn("tool a clock", call_tool=ScriptedTools(error))
    async with unruly(tmp_path) as agent:
        with pytest.raises(type(error), match=str(error)):
            await agent.run(asked, collect())


async def test_a_tool_call_that_the_agent_gives_up_is_cancelled_in_the_host(
    tmp_path: Path,
) -> None:
    ended = anyio.Event()

    async def slow(call: ToolCall) -> ToolResult:
        try:
            await anyio.sleep(60)
        finally:
            ended.set()
        return ToolResult(call_id=call.call_id, name=call.name, content="too late")

    async with unruly(tmp_path) as agent:
        asked = turn("tool_within 0.1", call_tool=ScriptedTools(slow))
        assert (await agent.run(asked, collect())).text == "given up"
        with anyio.fail_after(30):
            await ended.wait()


async def test_errors_cross_with_their_kind(tmp_path: Path) -> None:
    async with unruly(tmp_path) as agent:
        with pytest.raises(RateLimited, match="slow down") as raised:
            await agent.run(turn("rate_limit 2.5"), collect())
    assert (raised.value.retry_after_s, raised.value.agent_id) == (2.5, "somebody")
    assert raised.value.retryable


async def test_an_unforeseen_error_keeps_the_name_of_its_class(tmp_path: Path) -> None:
    async with unruly(tmp_path) as agent:
        with pytest.raises(Exception, match=r"^nothing there$") as raised:
            await agent.run(turn("raise nothing there"), collect())
    assert type(raised.value).__name__ == "LookupError"


async def test_what_is_no_event_fails_the_turn(tmp_path: Path) -> None:
    async with unruly(tmp_path) as agent:
        with pytest.raises(AgentCrashed, match="emits events; this one emitted a str"):
            await agent.run(turn("emit_nonsense"), collect())


async def test_whatever_is_printed_becomes_lines_of_the_turn(tmp_path: Path) -> None:
    events = collect()
    async with unruly(tmp_path) as agent:
        await agent.run(turn("print hello"), events)
    lines = {(line.stream, line.text) for line in events.of(LogLine)}
    printed = {("stdout", f"{who} hello") for who in ("out", "raw", "c", "child")}
    assert lines == printed | {("stderr", "err hello")}


async def test_a_storm_of_lines_is_cut_off_and_harms_nobody(tmp_path: Path) -> None:
    events = collect()
    async with unruly(tmp_path) as agent:
        result = await agent.run(turn("storm 100000"), events)
        assert (await agent.run(turn("say on"), collect())).text == "on"
    lines = events.of(LogLine)
    assert result.text == "calm"
    assert [line.text.split("=")[0] for line in lines[:2]] == ["line 0 ", "line 1 "]
    assert len(lines) == 2001
    assert lines[-1].text == "(98000 more lines of this turn are left out)"


async def test_a_slow_host_holds_up_the_worker_and_not_other_turns(tmp_path: Path) -> None:
    sent = tmp_path / "sent"
    go_on = anyio.Event()
    taken = 0

    async def slowly(event: TurnEvent, /) -> None:
        nonlocal taken
        if isinstance(event, TextDelta):
            taken += 1
            await go_on.wait()

    async with unruly(tmp_path) as agent, anyio.create_task_group() as tasks:
        tasks.start_soon(agent.run, turn("large_deltas 500"), slowly)
        while not taken:
            await anyio.sleep(0.01)
        assert (await agent.run(turn("say unharmed"), collect())).text == "unharmed"
        await anyio.sleep(0.2)
        # It may be ahead by what is under way, of which a delta has ten thousand bytes.
        held = int(await anyio.Path(sent).read_text())
        assert held < 100
        go_on.set()
    assert taken == 500


async def test_an_emit_that_fails_ends_the_turn(tmp_path: Path) -> None:
    async def refuse(event: TurnEvent, /) -> None:
        raise LimitReached(f"no {event.type}")

    async with unruly(tmp_path) as agent:
        began = time.monotonic()
        with pytest.raises(LimitReached, match="no text_delta"):
            await agent.run(turn("wait 60"), refuse)
        assert time.monotonic() - began < 10
        assert (await agent.run(turn("say on"), collect())).text == "on"


async def test_the_workspace_is_made_when_it_is_asked_for(tmp_path: Path) -> None:
    workspace = tmp_path / "runs" / "agent"
    async with unruly(workspace) as agent:
        await agent.run(turn("say nothing"), collect())
        assert not workspace.exists()
        written = (await agent.run(turn("write words"), collect())).text
    assert Path(written) == workspace / "file.txt"
    assert Path(written).read_text() == "words"


async def test_a_closed_agent_runs_no_turn(tmp_path: Path) -> None:
    agent = worker_agent(tmp_path)
    await agent.aclose()
    await agent.aclose()
    with pytest.raises(AgentCrashed, match="the agent is closed"):
        await agent.run(turn(user("say something")), collect())
