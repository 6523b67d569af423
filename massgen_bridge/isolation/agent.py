"""An agent whose code runs in another process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit, urlunsplit

import anyio
from anyio import to_thread

from massgen_bridge.errors import AgentCrashed
from massgen_bridge.isolation.host import Worker
from massgen_bridge.isolation.wire import AgentParams, Reach

if TYPE_CHECKING:
    from massgen_bridge.agent import Emit, Turn, TurnResult
    from massgen_bridge.connection import Connection
    from massgen_bridge.isolation.process import Launch
    from massgen_bridge.models.gateway import Reservation
    from massgen_bridge.people import Asking

__all__ = ["Door", "WorkerAgent", "WorkerSetup"]

_GRACE_S: Final = 1.0
_SHORT_GRACE_S: Final = 0.2
_MOST_WORKERS: Final = 4
_NO_LIMIT_S: Final = 86_400.0


class Door(Protocol):
    """The way of an agent's turns to its model, past the host."""

    def admit(
        self, turn: Turn, emit: Emit, reservation: Reservation | None
    ) -> AbstractAsyncContextManager[Connection]:
        """Let a turn reach the model, by the connection that this gives, as long as it lasts."""

    async def reserve(self) -> Reservation:
        """What lets the user's own models in a worker reach it, in any turn there."""


@dataclass(frozen=True, kw_only=True)
class WorkerSetup:
    """What a worker's agent is made of.

    Attributes:
        params: What crosses the wire, less the model.
        launch: Finds out how a worker is started that gets these environment variables beside its
            usual ones; may block.
        connection: The model; None for an agent without one.
        door: The way to it past the host, which then sees to retries and tells of model calls;
            None: the worker gets the connection with its key.
        redirected: Whether the user's own models are to take that way, too.
        ask: Asks a person.
        alone: Whether a turn needs a process of its own, because only its end stops the turn.
    """

    params: AgentParams
    launch: Callable[[Mapping[str, str]], Launch]
    connection: Connection | None = None
    door: Door | None = None
    redirected: bool = False
    ask: Asking | None = None
    alone: bool = False


class WorkerAgent:
    """An `Agent` that hands its turns to a worker process.

    The process is started for the first turn and serves the later ones. Where one has ended, the
    turns that ran in it fail, and the next turn gets a new one. Where turns need a process each,
    there are up to four, and further turns wait.
    """

    def __init__(self, setup: WorkerSetup) -> None:
        self._setup = setup
        self._workers: list[Worker] = []
        self._starting = anyio.Lock()
        self._room = anyio.Semaphore(_MOST_WORKERS)
        self._busy: set[Worker] = set()
        self._closed = False

    async def get_ready(self) -> None:
        """Start a worker ahead of the first turn.

        Raises:
            AgentError: The agent cannot be made.
            EnvironmentFailed: No worker starts.
        """
        if not self._setup.alone:
            await self._shared()
        elif not self._workers:
            await self._started()

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        """Do one turn.

        Raises:
            AgentError: The turn failed; `WorkerCrashed` where its process ended.
            EnvironmentFailed: No worker starts.
        """
        if not self._setup.alone:
            return await self._run(await self._shared(), turn, emit)
        async with self._room:
            worker = await self._own()
            try:
                return await self._run(worker, turn, emit)
            finally:
                self._busy.discard(worker)

    async def aclose(self) -> None:
        """Close the agent in its workers, and end them."""
        self._closed = True
        async with anyio.create_task_group() as tasks:
            while self._workers:
                tasks.start_soon(self._workers.pop().close)

    async def _run(self, worker: Worker, turn: Turn, emit: Emit) -> TurnResult:
        setup = self._setup
        admitted: AbstractAsyncContextManager[Connection | None] = nullcontext(setup.connection)
        if setup.connection is not None and setup.door is not None:
            admitted = setup.door.admit(turn, emit, worker.reservation)
        remote, was_stopped = None, False
        try:
            async with admitted as reach:
                remote = worker.begin(turn, emit, reach=reach, ask=setup.ask)
                try:
                    return await remote.follow()
                finally:
                    # Told before its way to the model ends, and waited for after that.
                    was_stopped = worker.cancel(remote)
        finally:
            if remote is not None:
                grace_s = _SHORT_GRACE_S if setup.alone else _GRACE_S
                await worker.settle(remote, grace_s, ends=setup.alone and was_stopped)

    async def _shared(self) -> Worker:
        """The one worker of all turns."""
        async with self._starting:
            await self._forget()
            return self._workers[0] if self._workers else await self._started()

    async def _own(self) -> Worker:
        """A worker for one turn."""
        await self._forget()
        for worker in self._workers:
            if worker not in self._busy:
                self._busy.add(worker)
                return worker
        worker = await self._started()
        self._busy.add(worker)
        return worker

    async def _forget(self) -> None:
        """See to it that nothing is left of workers that have ended."""
        ended = [worker for worker in self._workers if not worker.is_usable]
        self._workers = [worker for worker in self._workers if worker.is_usable]
        for worker in ended:
            await worker.kill()

    async def _started(self) -> Worker:
        setup = self._setup
        if self._closed:
            raise AgentCrashed("the agent is closed", agent_id=setup.params.agent_id)
        reservation = None
        if setup.redirected and setup.door is not None:
            reservation = await setup.door.reserve()
        variables = reservation.environ() if reservation else {}
        launch = await to_thread.run_sync(setup.launch, variables)
        worker = await Worker.start(setup.params.agent_id, launch, self._params())
        worker.reservation = reservation
        if self._closed:
            await worker.kill()
            raise AgentCrashed("the agent is closed", agent_id=setup.params.agent_id)
        self._workers.append(worker)
        return worker

    def _params(self) -> AgentParams:
        connection, is_watched = self._setup.connection, self._setup.door is not None
        if connection is None:
            return self._setup.params
        reach = Reach.of(_bare(connection) if is_watched else connection)
        return self._setup.params.model_copy(update={"reach": reach, "is_watched": is_watched})


def _bare(connection: Connection) -> Connection:
    """What a worker may know of a connection: nothing that lets it in."""
    parts = urlsplit(connection.base_url)
    address = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    # The host keeps the time limits.
    limits = {"timeout_s": _NO_LIMIT_S, "first_token_timeout_s": None, "total_timeout_s": None}
    return connection.model_copy(
        update={"api_key": None, "headers": {}, "base_url": address, "fallback": (), **limits}
    )
