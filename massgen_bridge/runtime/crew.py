"""The agents of a run: made when they get their first turn, kept until the end."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

import anyio
from anyio import to_thread

from massgen_bridge.agent import Agent, FinishedTurn
from massgen_bridge.errors import AgentCrashed
from massgen_bridge.isolation.calling import NO_MODEL
from massgen_bridge.isolation.placement import Placement
from massgen_bridge.messages import Frozen, JsonValue
from massgen_bridge.runtime.fallbacks import AgentBehindGateway, calls_behind_gateway
from massgen_bridge.runtime.workspaces import Workspaces
from massgen_bridge.specs import AdapterSpec, AgentContext

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping

    from massgen_bridge.agent import Emit
    from massgen_bridge.connection import Connection, ModelCaller
    from massgen_bridge.isolation.agent import Door
    from massgen_bridge.isolation.launching import Launching
    from massgen_bridge.people import Asking
    from massgen_bridge.plugins import PluginHost

__all__ = ["AgentSetup", "Crew", "Imports", "ModelAccess", "TeamAgent"]

_logger = logging.getLogger("massgen_bridge.runtime")
T = TypeVar("T")


class AgentSetup(Frozen):
    """Everything that makes an agent, as a value: it can cross a process or a network.

    `finished` holds its turns of before the run was resumed; `place` says where it runs.
    """

    agent_id: str
    kind: str
    options: dict[str, JsonValue]
    model: str | None = None
    base_dir: str = "."
    finished: tuple[FinishedTurn, ...] = ()
    place: Placement = Placement()


class ModelAccess(Protocol):
    """Where agents get their models from."""

    async def open(self, agent_id: str) -> tuple[Connection, ModelCaller] | None:
        """The agent's connection and its retry policy; None for an agent without a model."""

    def door(self, agent_id: str) -> Door | None:
        """The way of an agent in another process to its model; None: that knows the key itself."""


class TeamAgent(Agent, Protocol):
    """An agent that is a team."""

    async def get_ready(self) -> None:
        """Import what its members need, before anybody runs."""


class Crew:
    """Makes the agents of a run, and closes them in the end.

    Args:
        host: Knows the adapters.
        models: Opens connections.
        load: Resolves import paths: (path, base folder) → object.
        teams: The agents that are teams, by id; they are made with these.
        ask: Asks a person.
        imports: What sees to it that one thing is imported at a time, also by other crews.
        workspaces: The agents' folders; None: temporary ones.
        launching: How workers are started; None: as `launch_of` says.
    """

    def __init__(
        self,
        host: PluginHost,
        models: ModelAccess,
        *,
        load: Callable[[str, Path], Any],
        teams: Mapping[str, TeamAgent] | None = None,
        ask: Asking | None = None,
        imports: Imports | None = None,
        workspaces: Workspaces | None = None,
        launching: Launching | None = None,
    ) -> None:
        self.host = host
        self._models = models
        self._load = load
        self._teams = teams or {}
        self._ask = ask
        self._imports = imports or Imports()
        self._launching = launching
        self._agents: dict[str, Agent] = {}
        self._making: dict[str, anyio.Lock] = {}
        self._stack = AsyncExitStack()
        self._workspaces = workspaces or Workspaces()
        if workspaces is None:
            self._stack.push_async_callback(to_thread.run_sync, self._workspaces.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.aclose()

    @property
    def workspaces(self) -> Workspaces:
        """The agents' folders."""
        return self._workspaces

    async def aclose(self) -> None:
        """Close all agents, the last one first."""
        await self._stack.aclose()

    async def import_kinds(self, setups: Iterable[AgentSetup]) -> None:
        """Make one agent of each kind that was not imported yet."""
        for setup in setups:
            if not (setup.place.is_remote or self._imports.knows(setup.kind)):
                with suppress(Exception):  # told when it gets a turn, which makes it again
                    await self._made(setup)

    async def agent(self, setup: AgentSetup) -> Agent:
        """An agent that can run; it is made where it is not there yet."""
        made = await self._made(setup)
        if not setup.place.is_remote:
            await self._imports.done()
        return made

    async def _made(self, setup: AgentSetup) -> Agent:
        agent = self._agents.get(setup.agent_id)
        if agent is not None:
            return agent
        async with self._making.setdefault(setup.agent_id, anyio.Lock(fast_acquire=True)):
            if setup.agent_id not in self._agents:
                made = await (self._remote(setup) if setup.place.is_remote else self._here(setup))
                self._agents[setup.agent_id] = made
                self._stack.push_async_callback(_close, made)
        return self._agents[setup.agent_id]

    async def _remote(self, setup: AgentSetup) -> Agent:
        """An agent in another process: nothing of its framework is imported here."""
        opened = await self._models.open(setup.agent_id)
        return await to_thread.run_sync(self._worker_agent, setup, opened[0] if opened else None)

    def _worker_agent(self, setup: AgentSetup, connection: Connection | None) -> Agent:
        from massgen_bridge.isolation.agent import WorkerAgent, WorkerSetup  # noqa: PLC0415 - many runs need none
        from massgen_bridge.isolation.launching import launch_of  # noqa: PLC0415 - likewise
        from massgen_bridge.isolation.wire import AgentParams  # noqa: PLC0415 - likewise

        params = AgentParams(
            module=setup.place.module,
            kind=setup.kind,
            agent_id=setup.agent_id,
            options=setup.options,
            base_dir=setup.base_dir,
            workspace=str(self._workspaces.path(setup.agent_id)),
            finished=setup.finished,
            can_ask=self._ask is not None,
        )
        spec = self.host.adapter(setup.kind)
        options = spec.options.model_validate(setup.options)
        claimed = spec.claims(options, connection.traits if connection else None)
        return WorkerAgent(
            WorkerSetup(
                params=params,
                launch=partial(self._launching or launch_of, setup.place, setup.kind),
                connection=connection,
                door=self._models.door(setup.agent_id),
                redirected=setup.place.redirected,
                ask=self._ask,
                alone=claimed.cancellation == "process",
            )
        )

    async def _here(self, setup: AgentSetup) -> Agent:
        with self._imports.announced():
            made = await self._make(setup)
            team = self._teams.get(setup.agent_id)
            if team is not None:
                await team.get_ready()
        return made

    async def _make(self, setup: AgentSetup) -> Agent:
        spec = self.host.adapter(setup.kind)
        base_dir = Path(setup.base_dir)
        opened = await self._models.open(setup.agent_id)
        door = self._models.door(setup.agent_id) if opened and opened[0].fallback else None
        context = AgentContext(
            agent_id=setup.agent_id,
            options=spec.options.model_validate(setup.options),
            connection=opened[0] if opened else None,
            call_model=_calls(opened, door),
            load=lambda path: self._load(path, base_dir),
            base_dir=base_dir,
            finished=setup.finished,
            team=self._teams.get(setup.agent_id),
            ask=self._ask,
            workspace=partial(self._workspaces.make, setup.agent_id),
        )
        made = await self._imports.run(spec, context)
        return made if door is None else AgentBehindGateway(made, door)


def _calls(opened: tuple[Connection, ModelCaller] | None, door: Door | None) -> ModelCaller:
    if opened is None:
        return _NoModel()
    return opened[1] if door is None else calls_behind_gateway(opened[0])


class Imports:
    """Frameworks are imported in worker threads, one at a time, and before any agent runs.

    Python hands out half-initialised modules when two threads import packages that need each
    other, and an agent may import on its own when it first runs.
    """

    def __init__(self) -> None:
        self._kinds: dict[str, anyio.Event] = {}
        self._lock = anyio.Lock()
        self._waiting = 0
        self._quiet = anyio.Event()

    @contextmanager
    def announced(self) -> Iterator[None]:
        """Something may be imported within."""
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._quiet.set()
                self._quiet = anyio.Event()

    def knows(self, kind: str) -> bool:
        """Whether a kind is imported, or about to be."""
        return kind in self._kinds

    async def run(self, spec: AdapterSpec, context: AgentContext) -> Agent:
        """Make an agent."""
        imported = self._kinds.get(spec.kind)
        if imported is not None and not spec.imports_code:
            # Not through the lock, which a thousand agents of one kind would pass one by one.
            if not imported.is_set():
                await imported.wait()
            return spec.factory(context)
        imported = self._kinds.setdefault(spec.kind, anyio.Event())
        try:
            async with self._lock:
                return await to_thread.run_sync(spec.factory, context)
        finally:
            imported.set()

    async def done(self) -> None:
        """Return when nothing that was announced is left."""
        while self._waiting:
            await self._quiet.wait()


async def _close(agent: Agent) -> None:
    """Close an agent, also while a cancellation is under way, but not for ever."""
    with anyio.move_on_after(5, shield=True):
        try:
            await agent.aclose()
        except Exception as error:  # noqa: BLE001 - foreign code: the run's result is worth more
            _logger.warning("an agent could not be closed: %s: %s", type(error).__name__, error)


class _NoModel:
    """Stands in for the retry policy of an agent without a model."""

    async def __call__(self, attempt: Callable[[], Awaitable[T]], emit: Emit) -> T:
        del attempt, emit
        raise AgentCrashed(NO_MODEL)
