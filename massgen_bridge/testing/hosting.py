"""One agent as the host runs it: behind the real executor, tool desk and plugins.

    async with hosted(spec, options, connection, tools=[lookup], plugins=[guard]) as agent:
        outcome = await agent.run(turn("Look it up.", tools=[lookup.definition]), events)

`massgen_bridge.testing.agents` makes an agent by hand instead, and nothing stands around it.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Literal, Self

from massgen_bridge.hookspecs import hookimpl
from massgen_bridge.isolation.agent import WorkerAgent
from massgen_bridge.isolation.placement import Placement
from massgen_bridge.models.retry import ModelCalls
from massgen_bridge.plugins import PluginHost
from massgen_bridge.runtime.crew import AgentSetup, Crew
from massgen_bridge.runtime.decisions import Decisions
from massgen_bridge.runtime.executor import InProcessExecutor
from massgen_bridge.testing.apart import OwnDoor, place_apart
from massgen_bridge.testing.teams import team_and_abilities
from massgen_bridge.tools.desk import ToolDesk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

    from massgen_bridge.agent import Emit, ToolCaller, Turn
    from massgen_bridge.connection import Connection, ModelCaller
    from massgen_bridge.isolation.launching import Launching
    from massgen_bridge.runtime.executor import TurnOutcome
    from massgen_bridge.specs import AdapterSpec, ToolSpec

__all__ = ["HostedAgent", "hosted"]

_AGENT_ID = "agent"
_KIND = "under-test"  # a name of its own, since the adapter itself may be installed


class HostedAgent:
    """An agent in the hands of an executor; `hosted` makes it."""

    def __init__(
        self,
        executor: InProcessExecutor,
        setup: AgentSetup,
        *,
        tools: Mapping[str, ToolSpec],
        decisions: Decisions,
    ) -> None:
        self._executor = executor
        self._setup = setup
        self._tools = tools
        self._judge = decisions.tool_verdict if decisions.judges_tools else None

    async def run(
        self, turn: Turn, emit: Emit, *, call_tool: ToolCaller | None = None
    ) -> TurnOutcome:
        """Do a turn.

        Args:
            turn: The turn; it offers those of the tools that it lists.
            emit: Takes the turn's events.
            call_tool: Answers its tool calls; None: the host's tool desk.

        Returns:
            The turn's one terminal event.
        """
        desk = ToolDesk(turn, self._tools, judge=self._judge)
        return await self._executor.run_turn(self._setup, turn.bind(call_tool or desk.call), emit)

    def cancel(self, turn_id: str, reason: str = "the test wants it") -> None:
        """Stop a turn, as the host does."""
        self._executor.cancel(turn_id, reason)


@asynccontextmanager
async def hosted(
    spec: AdapterSpec,
    options: Mapping[str, Any],
    connection: Connection | None,
    *,
    tools: Sequence[ToolSpec] = (),
    plugins: Sequence[object] = (),
    load: Callable[[str], Any] = resolve_name,
    isolation: Literal["none", "process", "environment"] = "none",
    base_dir: Path | None = None,
    launching: Launching | None = None,
) -> AsyncIterator[HostedAgent]:
    """An agent in an executor of its own, which closes it in the end.

    Args:
        spec: The adapter.
        options: Its options, as they stand in YAML.
        connection: The model; None for an agent that uses none.
        tools: What the host has at its tool desk.
        plugins: Objects with hook implementations, such as `bridge_tool_call`.
        load: Resolves an import path.
        isolation: Whether the agent runs in this process, in one of its own, or in one with an
            environment of its own, which has to be there.
        base_dir: The folder that import paths are relative to there; None: the working directory.
        launching: How its processes are started; None: as the host starts them.
    """
    host = PluginHost(entry_points=False)
    kind, place = _KIND, Placement()
    if isolation != "none":
        kind, place = spec.kind, place_apart(spec, options, isolation)
    if not place.module.startswith("massgen_bridge."):  # those of the core are there
        host.register(_Registration(replace(spec, kind=kind)), name=_KIND)
    for number, plugin in enumerate(plugins, start=1):
        host.register(plugin, name=f"plugin-{number}")

    def found(path: str, _base_dir: Path) -> Any:
        return load(path)

    teams = {_AGENT_ID: team_and_abilities(options)[0]} if spec.is_team else None
    model = _OneModel(connection)
    crew = Crew(host, model, load=found, teams=teams, launching=launching)
    setup = AgentSetup(
        agent_id=_AGENT_ID,
        kind=kind,
        options=dict(options),
        base_dir=str(base_dir or "."),
        place=place,
    )
    async with model, crew, InProcessExecutor(crew) as executor:
        if place.is_remote:
            # The time limits of turns are for what the agent does.
            agent = await crew.agent(setup)
            if isinstance(agent, WorkerAgent):
                await agent.get_ready()
        yield HostedAgent(
            executor,
            setup,
            tools={tool.definition.name: tool for tool in tools},
            decisions=Decisions(host),
        )


class _Registration:
    """A plugin with one adapter."""

    def __init__(self, spec: AdapterSpec) -> None:
        self._spec = spec

    @hookimpl
    def bridge_adapters(self) -> list[AdapterSpec]:
        return [self._spec]


class _OneModel:
    """Every agent gets the same connection."""

    def __init__(self, connection: Connection | None) -> None:
        self._connection = connection
        self._door = None if connection is None else OwnDoor(connection)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._door is not None:
            await self._door.aclose()

    async def open(self, _agent_id: str) -> tuple[Connection, ModelCaller] | None:
        if self._connection is None:
            return None
        return self._connection, ModelCalls(self._connection)

    def door(self, _agent_id: str) -> OwnDoor | None:
        return self._door
