"""Turns that fall silent: who is told, when, and how a run ends that has one."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from runtime.plans import new_host, of_type, plan_for, play

import massgen_bridge
from massgen_bridge import StrategySpec, Team
from massgen_bridge.agent import Limits
from massgen_bridge.events import (
    Answered,
    Happening,
    Record,
    RunResumed,
    RunStarted,
    Seat,
    TurnCancelled,
    TurnIdle,
    TurnStarted,
)
from massgen_bridge.hookspecs import hookimpl
from massgen_bridge.messages import Frozen
from massgen_bridge.specs import NoOptions
from massgen_bridge.strategy import CancelTurn, Command, Finish, StartTurn, WatchIdle
from massgen_bridge.testing.servers import Echo, Hang, ModelServer

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from massgen_bridge.events import RunResult

pytestmark = pytest.mark.anyio


class Waiting(Frozen):
    """Whose turns are still awaited."""

    open: tuple[str, ...]


class Watching:
    """Gives everybody a turn and leaves behind who is silent; a strategy.

    Args:
        idle_s: How long that is.
        late: Whether it watches only once somebody has answered.
    """

    def __init__(self, idle_s: float, *, late: bool = False) -> None:
        self._idle_s = idle_s
        self._late = late

    def begin(self, seats: tuple[Seat, ...]) -> tuple[Waiting, tuple[Command, ...]]:
        turns = tuple(f"{seat.agent_id}.1" for seat in seats)
        starts = tuple(
            StartTurn(turn_id=turn_id, agent_id=turn_id[:-2], purpose="answer") for turn_id in turns
        )
        return Waiting(open=turns), (*starts, *(() if self._late else self._watch(turns)))

    def step(self, state: Waiting, happening: Happening) -> tuple[Waiting, tuple[Command, ...]]:
        turn_id = getattr(happening, "turn_id", None)
        if turn_id not in state.open:
            return state, ()
        state = Waiting(open=tuple(one for one in state.open if one != turn_id))
        commands: list[Command] = []
        if isinstance(happening, TurnIdle):
            commands.append(CancelTurn(turn_id=happening.turn_id, reason="silent"))
        elif self._late:
            commands += self._watch(state.open)
        if not state.open:
            commands.append(Finish(status="failed", message="all have ended"))
        return state, tuple(commands)

    def _watch(self, turns: Iterable[str]) -> tuple[WatchIdle, ...]:
        return tuple(WatchIdle(turn_id=turn_id, idle_s=self._idle_s) for turn_id in turns)


async def watched(
    *scripts: dict[str, Any], idle_s: float, late: bool = False
) -> tuple[list[Record], RunResult]:
    host = new_host()
    records: list[Record] = []
    strategy = Watching(idle_s, late=late)
    plan = replace(plan_for(host, *scripts), strategy=strategy, strategy_name="watching")
    return records, await play(plan, host, records)


async def test_a_silent_turn_is_told_of_and_the_others_are_not() -> None:
    chatty = {"answers": [" ".join(["word"] * 14)], "tokens_per_second": 10}
    records, result = await watched({"delay_s": 30}, chatty, {}, idle_s=1.0)

    (idle,) = of_type(records, TurnIdle)
    assert (idle.agent_id, idle.turn_id, idle.idle_s) == ("a1", "a1.1", 1.0)
    assert {one.agent_id for one in of_type(records, Answered)} == {"a2", "a3"}
    assert [one.reason for one in of_type(records, TurnCancelled)] == ["silent"]
    assert 1.0 <= result.duration_s < 15


async def test_a_turn_that_ends_before_is_never_told_of() -> None:
    records, _ = await watched({"delay_s": 0.05}, {"delay_s": 30}, idle_s=1.0)

    assert [one.agent_id for one in of_type(records, TurnIdle)] == ["a2"]


async def test_silence_from_before_the_command_counts() -> None:
    """When the other one answers, it has been silent for longer than that already."""
    records, _ = await watched({"delay_s": 30}, {"delay_s": 1.1}, idle_s=1.0, late=True)

    at = {type(one.event): one.at for one in records}
    assert at[TurnIdle] - at[Answered] < 0.9


async def test_many_silent_turns_are_told_of_once_each() -> None:
    records, result = await watched(*[{"delay_s": 30}] * 60, idle_s=0.5)

    told = [one.agent_id for one in of_type(records, TurnIdle)]
    assert sorted(told) == sorted({f"a{i}" for i in range(1, 61)})
    assert result.duration_s < 20


async def test_a_run_that_is_resumed_watches_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASSGEN_BRIDGE_DATA", str(tmp_path))

    class Plugin:
        @hookimpl
        def bridge_strategies(self) -> list[StrategySpec]:
            spec = StrategySpec(
                name="watching",
                summary="Watches.",
                create=lambda _options: Watching(1.0),
                options=NoOptions,
            )
            return [spec]

    team = Team(strategy="watching", plugins=[Plugin()]).add("a1", "scripted", delay_s=30)
    records = team.stream("Which?")
    async for record in records:
        if isinstance(record.event, TurnStarted):
            await anyio.sleep(0.2)
            break
    await records.aclose()  # type: ignore[attr-defined]  # an async generator

    again: list[Record] = []
    result = await massgen_bridge.aresume(record.run_id, team, on_record=again.append)

    at = {type(one.event): one.at for one in again}
    assert at[TurnIdle] - at[RunResumed] > 0.9
    assert result.message == "all have ended"


@pytest.fixture(scope="module")
def imported_sdk() -> None:
    """What is imported for the first agent of a kind is silence, too: it is over by now."""
    with ModelServer(Echo()) as server:
        model = {"provider": "vllm", "model": "m", "base_url": server.base_url("chat")}
        agent = {"id": "a1", "backend": {"type": "openai", "model": "m"}}
        config = {"version": 1, "models": {"m": model}, "agents": [agent], "strategy": "single"}
        assert massgen_bridge.run(config, "?", keep=False).status == "answered"


@pytest.mark.usefixtures("imported_sdk")
@pytest.mark.parametrize("strategy", ["consensus", "single", "sequential", "debate", "group"])
async def test_an_agent_that_hangs_ends_at_its_idle_limit_not_at_the_timeout(strategy: str) -> None:
    """Its model takes the request and never answers."""
    with ModelServer(Hang()) as server:
        model = {"provider": "vllm", "model": "m", "base_url": server.base_url("chat")}
        hanging: dict[str, Any] = {"type": "openai", "model": "hangs"}
        config = {
            "version": 1,
            "strategy": {"type": strategy, **({"max_turns": 3} if strategy == "group" else {})},
            "models": {"hangs": model},
            "agents": [
                {"id": "a1", "backend": hanging, "limits": {"idle_s": 1.0}},
                {"id": "a2", "backend": {"type": "scripted", "answers": ["It is so."]}},
            ],
            "timeout_settings": {"orchestrator_timeout_seconds": 40},
        }
        began = time.monotonic()
        result = await massgen_bridge.arun(config, "?", keep=False)

        assert server.calls == 1
    assert time.monotonic() - began < 20
    assert (result.status, result.answer) == ("answered", "It is so.")
    assert [(one.agent_id, one.kind, one.message) for one in result.errors] == [
        ("a1", "timeout", "no progress for 1 s")
    ]


async def test_when_all_hang_the_run_fails_at_their_idle_limit() -> None:
    host = new_host()
    silent = {"delay_s": 30, "limits": Limits(idle_s=0.3)}
    records: list[Record] = []
    result = await play(plan_for(host, silent, silent, deadline_s=20), host, records)

    assert (result.status, len(result.errors)) == ("failed", 2)
    assert result.duration_s < 15
    assert isinstance(records[0].event, RunStarted)
