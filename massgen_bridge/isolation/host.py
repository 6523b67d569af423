"""A worker as its host sees it: it is made, gets turns, and is closed."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Final, assert_never

import anyio
from pydantic_core import PydanticSerializationError

from massgen_bridge.errors import (
    AgentCrashed,
    AgentError,
    EnvironmentFailed,
    WorkerCrashed,
)
from massgen_bridge.isolation.faults import error_from
from massgen_bridge.isolation.process import WorkerProcess
from massgen_bridge.isolation.turns import RemoteTurn
from massgen_bridge.isolation.wire import (
    PROTOCOL,
    Answer,
    AskPerson,
    CallTool,
    CancelCall,
    CancelTurn,
    CloseAgent,
    CreateAgent,
    Hello,
    Reach,
    Refused,
    RunParams,
    RunTurn,
    TurnEvents,
    TurnParams,
    from_worker,
)

if TYPE_CHECKING:
    from massgen_bridge.agent import Emit, Turn
    from massgen_bridge.connection import Connection
    from massgen_bridge.isolation.process import Launch, Stream
    from massgen_bridge.isolation.wire import AgentParams, FromHost
    from massgen_bridge.models.gateway import Reservation
    from massgen_bridge.people import Asking

__all__ = ["Worker"]

_logger = logging.getLogger("massgen_bridge.isolation")
_START_S: Final = 60.0
_CLOSE_S: Final = 2.0
_EARLY_LINES: Final = 200


class Worker:
    """A process with an agent in it; `start` makes it.

    Args:
        agent_id: The agent's id, for errors.

    Attributes:
        reservation: What lets the user's own models in it reach the gateway, if anything does.
    """

    def __init__(self, agent_id: str) -> None:
        self.reservation: Reservation | None = None
        self._agent_id = agent_id
        self._process: WorkerProcess
        self._turns: dict[int, RemoteTurn] = {}
        self._number = 0
        self._hello: Hello | None = None
        self._answers: dict[int, Answer | Refused] = {}
        self._news = anyio.Event()
        self._early: deque[tuple[Stream, str]] = deque(maxlen=_EARLY_LINES)
        self._nonsense: str | None = None
        self._gone = False
        self._killed = False

    @classmethod
    async def start(cls, agent_id: str, launch: Launch, params: AgentParams) -> Worker:
        """Start a process and make the agent in it.

        Raises:
            EnvironmentFailed: No worker starts, or it is of another version.
            Exception: What the agent's factory raised.
        """
        worker = cls(agent_id)
        worker._process = await WorkerProcess.start(launch, worker)
        try:
            await worker._create(params)
        except BaseException:  # cancelled, too: nobody else knows the process
            await worker.kill()
            raise
        return worker

    @property
    def is_usable(self) -> bool:
        """Whether it can be given a turn."""
        return not (self._gone or self._killed)

    async def _create(self, params: AgentParams) -> None:
        with anyio.move_on_after(_START_S):
            while self._hello is None and not self._gone:
                await self._hear()
        if self._hello is None:
            how = await self._end_words() if self._gone else f"it said nothing for {_START_S:g} s"
            raise EnvironmentFailed(f"no worker starts for agent {self._agent_id!r}: {how}")
        spoken = self._hello.params.protocol
        if spoken != PROTOCOL:
            raise EnvironmentFailed(
                f"the worker of agent {self._agent_id!r} has massgen-bridge"
                f" {self._hello.params.version}, which speaks version {spoken} of the wire, and"
                f" this one speaks {PROTOCOL}: start the run again, with one version for both"
            )
        try:
            answer = await self._answer(CreateAgent(id=self._next(), params=params))
        except PydanticSerializationError as error:
            raise AgentCrashed(f"the agent's options cannot be sent: {error}") from error
        if isinstance(answer, Refused):
            raise error_from(answer.error)

    def begin(
        self, turn: Turn, emit: Emit, *, reach: Connection | None, ask: Asking | None
    ) -> RemoteTurn:
        """Let the worker begin a turn; it is to be followed, and then settled.

        Raises:
            AgentCrashed: The turn holds what JSON cannot.
        """
        remote = RemoteTurn(self, self._next(), turn, emit, ask)
        params = RunParams.model_construct(turn=turn, reach=Reach.of(reach) if reach else None)
        try:
            self.send(RunTurn(id=remote.number, params=params))
        except PydanticSerializationError as error:
            raise AgentCrashed(f"the turn cannot be sent: {error}") from error
        self._turns[remote.number] = remote
        if self._gone:
            remote.lose()
        while self._early:
            remote.printed(*self._early.popleft())
        return remote

    def cancel(self, remote: RemoteTurn) -> bool:
        """Tell the worker that a turn is to stop, unless it has ended.

        Returns:
            Whether it had not.
        """
        if remote.ended.is_set():
            return False
        self.send(CancelTurn(params=TurnParams(run=remote.number)))
        return True

    async def settle(self, remote: RemoteTurn, grace_s: float, *, ends: bool) -> None:
        """See that a turn has ended: within the grace time by itself, or with its process.

        Args:
            remote: The turn.
            grace_s: Seconds that it has.
            ends: Whether its process ends in any case, since a framework may go on after its
                agent has stopped.
        """
        with anyio.CancelScope(shield=True):
            if not remote.ended.is_set():
                self.cancel(remote)
                self._process.resume_output()
                with anyio.move_on_after(grace_s):
                    await remote.ended.wait()
            if ends or not remote.ended.is_set():
                await self.kill()
            del self._turns[remote.number]

    async def close(self) -> None:
        """Close the agent and end the process; kill it where that takes too long."""
        with anyio.move_on_after(_CLOSE_S):
            try:
                await self._answer(CloseAgent(id=self._next()))
                await self._process.end()
            except WorkerCrashed as error:
                _logger.debug("a worker was gone before it was closed: %s", error)
        await self.kill()

    async def kill(self) -> None:
        """End the process with everything that it started."""
        self._killed = True
        await self._process.kill()

    async def crash(self) -> AgentError:
        """Why the worker is no more, once that is known."""
        if self._nonsense is not None:
            await self.kill()
            return WorkerCrashed(
                f"its worker said what is {self._nonsense}", agent_id=self._agent_id
            )
        how = await self._end_words()
        return WorkerCrashed(f"its worker process ended: {how}", agent_id=self._agent_id)

    async def _end_words(self) -> str:
        with anyio.move_on_after(_CLOSE_S):
            await self._process.end()
        words = self._process.last_words
        await self.kill()
        return words

    # --- what it says ---------------------------------------------------------------------------

    def send(self, message: FromHost, /) -> None:
        """Tell the worker something; nothing where it is no more."""
        self._process.channel.send(message)

    def pause_output(self) -> None:
        """Read no more of what it prints."""
        self._process.pause_output()

    def resume_output(self) -> None:
        """Read on."""
        self._process.resume_output()

    def said(self, content: bytes, /) -> None:
        """A frame came."""
        message = from_worker(content)
        match message:
            case Hello():
                self._hello = message
            case TurnEvents() | CallTool() | AskPerson() | CancelCall():
                remote = self._turns.get(message.params.run)
                if remote is not None:
                    remote.take(message, len(content))
            case Answer() | Refused():
                remote = self._turns.get(message.id)
                if remote is not None:
                    remote.end(message)
                else:
                    self._answers[message.id] = message
            case _:
                assert_never(message)
        self._news.set()

    def printed(self, stream: Stream, line: str, /) -> None:
        """A line was printed; it belongs to the turn that runs, or to the one that comes next."""
        remote = next(iter(self._turns.values()), None)
        if remote is None:
            self._early.append((stream, line))
        else:
            remote.printed(stream, line)

    def gone(self, why: str | None, /) -> None:
        """It says nothing any more."""
        self._gone = True
        self._nonsense = why
        for remote in self._turns.values():
            remote.lose()
        self._news.set()

    async def _answer(self, request: CreateAgent | CloseAgent) -> Answer | Refused:
        self.send(request)
        while request.id not in self._answers:
            if self._gone:
                raise await self.crash()
            await self._hear()
        return self._answers.pop(request.id)

    async def _hear(self) -> None:
        await self._news.wait()
        self._news = anyio.Event()

    def _next(self) -> int:
        self._number += 1
        return self._number
