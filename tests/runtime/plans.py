"""Runs of scripted agents, put together by hand: what the runner's tests share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from massgen_bridge.connection import Connection, ModelCaller
from massgen_bridge.events import Event, Record, RunResult, Seat
from massgen_bridge.isolation.placement import Placement
from massgen_bridge.messages import Message, user
from massgen_bridge.plugins import PluginHost, load_object
from massgen_bridge.runtime.crew import AgentSetup, Crew
from massgen_bridge.runtime.decisions import Decisions
from massgen_bridge.runtime.executor import InProcessExecutor
from massgen_bridge.runtime.plan import PlannedAgent, RunPlan
from massgen_bridge.runtime.recorder import JournalWriter, Recorder
from massgen_bridge.runtime.runner import Runner
from massgen_bridge.strategies.consensus import Consensus, ConsensusOptions


class NoModels:
    """For agents that need none."""

    async def open(self, agent_id: str) -> tuple[Connection, ModelCaller] | None:
        del agent_id
        return None

    def door(self, agent_id: str) -> None:
        del agent_id


def new_host(*plugins: object) -> PluginHost:
    host = PluginHost(entry_points=False)
    for number, plugin in enumerate(plugins):
        host.register(plugin, name=f"plugin{number}")
    return host


def scripted(host: PluginHost, position: int, **given: Any) -> PlannedAgent:
    """The agent at a seat; `ballot`, `tools`, `limits` are the plan's, all else its script's.

    With `kind` it is no scripted agent, and has no options; `place` says where it runs.
    """
    agent_id = f"a{position}"
    planned = {key: given.pop(key) for key in ("ballot", "tools", "limits") if key in given}
    kind = given.pop("kind", "scripted")
    place = given.pop("place", Placement())
    options = {"answers": [f"answer of {agent_id}"], **given} if kind == "scripted" else {}
    return PlannedAgent(
        seat=Seat(agent_id=agent_id, label=f"agent{position}", kind=kind),
        setup=AgentSetup(agent_id=agent_id, kind=kind, options=options, place=place),
        capabilities=host.adapter(kind).capabilities,
        **planned,
    )


def plan_for(
    host: PluginHost, *scripts: dict[str, Any], deadline_s: float | None = None, **options: Any
) -> RunPlan:
    agents = [scripted(host, position, **script) for position, script in enumerate(scripts, 1)]
    return RunPlan(
        agents=agents,
        strategy=Consensus(ConsensusOptions(**options)),
        strategy_name="consensus",
        deadline_s=deadline_s,
    )


async def play(
    plan: RunPlan,
    host: PluginHost,
    records: list[Record] | None = None,
    *,
    journal: JournalWriter | None = None,
    question: Message | None = None,
) -> RunResult:
    """Run a plan, as a rule without a journal; the records go to the list."""
    listeners = [records.append] if records is not None else []
    recorder = Recorder("run-1", journal=journal, listeners=listeners)
    crew = Crew(host, NoModels(), load=_load)
    async with crew, InProcessExecutor(crew) as executor:
        runner = Runner(
            plan,
            question or user("Which?"),
            executor=executor,
            decisions=Decisions(host),
            recorder=recorder,
        )
        return await runner.run()


def _load(path: str, base_dir: Path) -> Any:
    return load_object(path, base_dir)


def of_type(records: list[Record], *kinds: type[Event]) -> list[Any]:
    return [record.event for record in records if isinstance(record.event, kinds)]
