"""A worker: an agent that a host in another process gives turns.

The adapter's code is what it is in the host's own process: its factory makes the agent here, and
`run` gets a turn whose ways back lead over the wire.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import platform
import socket
import sys
from collections import deque
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar, assert_never

import anyio
from anyio import to_thread
from pydantic_core import PydanticSerializationError

from massgen_bridge import __version__
from massgen_bridge.agent import TurnResult
from massgen_bridge.errors import AgentCrashed, ProtocolFailed
from massgen_bridge.isolation.calling import NO_MODEL, result_of
from massgen_bridge.isolation.channel import Channel
from massgen_bridge.isolation.faults import error_from, fault_from
from massgen_bridge.isolation.outlet import Outlet
from massgen_bridge.isolation.wire import (
    PROTOCOL,
    AgentParams,
    AgentReady,
    Answer,
    AskParams,
    AskPerson,
    CallParams,
    CallTool,
    CancelCall,
    CancelParams,
    CancelTurn,
    CloseAgent,
    CreateAgent,
    Done,
    EventsTaken,
    Hello,
    HelloParams,
    PersonSaid,
    Refused,
    RunTurn,
    ToolGave,
    from_host,
)
from massgen_bridge.specs import AdapterSpec, AgentContext

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from massgen_bridge.agent import Agent, Emit, Turn
    from massgen_bridge.connection import Connection, ModelCaller
    from massgen_bridge.isolation.wire import FromHost, FromWorker
    from massgen_bridge.messages import ToolCall, ToolResult
    from massgen_bridge.people import Question, Reply

__all__ = ["serve"]

T = TypeVar("T")
_outlet: ContextVar[Outlet] = ContextVar("outlet")


def serve(link: int) -> None:
    """Serve the host at the other end of a socket, to the end of this process.

    Args:
        link: The socket's file descriptor.
    """
    anyio.run(_Worker().serve, socket.socket(fileno=link))


class _Running(NamedTuple):
    """A turn under way."""

    turn_id: str
    scope: anyio.CancelScope
    outlet: Outlet


class _Worker:
    """The host's words, and who answers them."""

    def __init__(self) -> None:
        self._inbox: deque[FromHost] = deque()
        self._said = anyio.Event()
        self._channel: Channel
        self._agent: Agent | None = None
        self._turns: dict[int, _Running] = {}
        self._asked: dict[int, asyncio.Future[object]] = {}
        self._calls = 0
        self._is_watched = False

    async def serve(self, link: socket.socket) -> None:
        self._channel = await Channel.open(link, self._take, self._gone)
        hello = HelloParams(
            protocol=PROTOCOL,
            version=__version__,
            python=platform.python_version(),
            pid=os.getpid(),
        )
        self._channel.send(Hello(params=hello))
        async with anyio.create_task_group() as tasks:
            while True:
                await self._said.wait()
                self._said = anyio.Event()
                while self._inbox:
                    self._handle(self._inbox.popleft(), tasks.start_soon)

    def _take(self, content: bytes) -> None:
        self._inbox.append(from_host(content))
        self._said.set()

    def _gone(self, why: str | None) -> None:
        if why is not None:
            sys.stderr.write(f"the host said something wrong: {why}\n")
        # What a framework has left running, such as threads, is not waited for; the process that
        # watches kills what this one has started.
        os._exit(0 if why is None else 1)

    def _handle(self, message: FromHost, start: Callable[..., object]) -> None:
        match message:
            case CreateAgent():
                start(self._create, message)
            case RunTurn():
                start(self._run, message)
            case CloseAgent():
                start(self._close, message.id)
            case CancelTurn() | EventsTaken():
                running = self._turns.get(message.params.run)
                if running is not None:
                    _tell(running, message)
            case Answer() | Refused():
                asked = self._asked.pop(message.id, None)
                if asked is not None and not asked.done():
                    _settle(asked, message)
            case _:
                assert_never(message)

    # --- the agent ------------------------------------------------------------------------------

    async def _create(self, request: CreateAgent) -> None:
        try:
            self._agent = await to_thread.run_sync(self._made, request.params)
        except Exception as error:  # noqa: BLE001 - foreign code: the host is told what it raised
            self._refuse(request.id, error)
        else:
            self._channel.send(Answer(id=request.id, result=AgentReady()))

    def _made(self, params: AgentParams) -> Agent:
        spec = _adapter(params.module, params.kind)
        base_dir = Path(params.base_dir)
        connection = params.reach.whole() if params.reach else None
        self._is_watched = params.is_watched
        return spec.factory(
            AgentContext(
                agent_id=params.agent_id,
                options=spec.options.model_validate(params.options),
                connection=connection,
                call_model=_caller(connection, is_watched=params.is_watched),
                load=lambda path: _loaded(path, base_dir),
                base_dir=base_dir,
                finished=params.finished,
                ask=self._ask if params.can_ask else None,
                workspace=partial(_folder, Path(params.workspace)),
            )
        )

    async def _close(self, number: int) -> None:
        if self._agent is not None:
            try:
                await self._agent.aclose()
            except Exception as error:  # noqa: BLE001 - foreign code: the host is told what it raised
                self._refuse(number, error)
        self._channel.send(Answer(id=number, result=AgentReady()))
        self._channel.close()

    # --- turns ----------------------------------------------------------------------------------

    async def _run(self, request: RunTurn) -> None:
        number, params = request.id, request.params
        outlet = Outlet(self._channel, number, is_watched=self._is_watched)
        _outlet.set(outlet)
        scope = anyio.CancelScope()
        self._turns[number] = _Running(params.turn.turn_id, scope, outlet)
        turn = params.turn.bind(
            partial(self._call_tool, number, outlet),
            connection=params.reach.whole() if params.reach else None,
        )
        try:
            with scope:
                result = await self._result(turn, outlet)
                self._finish(number, outlet, result)
        except Exception as error:  # noqa: BLE001 - foreign code: the host is told what it raised
            self._fail(number, outlet, error)
        finally:
            del self._turns[number]
        if scope.cancelled_caught:
            self._fail(number, outlet, AgentCrashed("the turn was cancelled"))

    async def _result(self, turn: Turn, emit: Emit) -> TurnResult:
        if self._agent is None:
            raise AgentCrashed("a turn came before the agent was made")
        return await result_of(self._agent, turn, emit)

    def _finish(self, number: int, outlet: Outlet, result: TurnResult) -> None:
        outlet.flush()
        outlet.check()
        _flush()
        try:
            self._channel.send(Answer(id=number, result=Done(result=result)))
        except PydanticSerializationError as error:
            raise AgentCrashed(f"the agent's result cannot be sent: {error}") from error

    def _fail(self, number: int, outlet: Outlet, error: Exception) -> None:
        outlet.flush()
        _flush()
        self._refuse(number, error)

    def _refuse(self, number: int, error: Exception) -> None:
        self._channel.send(Refused(id=number, error=fault_from(error)))

    # --- ways back to the host ------------------------------------------------------------------

    async def _call_tool(self, run: int, outlet: Outlet, call: ToolCall) -> ToolResult:
        outlet.flush()
        params = CallParams(run=run, call=call)
        answer = await self._answer(run, lambda number: CallTool(id=number, params=params))
        if not isinstance(answer, ToolGave):
            raise ProtocolFailed("the host answered a tool call with something else")
        return answer.result

    async def _ask(self, question: Question, /) -> Reply | None:
        run = next((n for n, one in self._turns.items() if one.turn_id == question.turn_id), None)
        if run is None:
            raise AgentCrashed("a person is asked within a turn, and this one is over")
        params = AskParams(run=run, question=question)
        answer = await self._answer(run, lambda number: AskPerson(id=number, params=params))
        if not isinstance(answer, PersonSaid):
            raise ProtocolFailed("the host answered a question with something else")
        return answer.reply

    async def _answer(self, run: int, request: Callable[[int], FromWorker]) -> object:
        """Ask the host, which is told where nobody waits for its answer any more."""
        self._calls += 1
        number = self._calls
        asked = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            self._channel.send(request(number))
            answer: object = await asked
        except PydanticSerializationError as error:
            raise AgentCrashed(f"the agent's request cannot be sent: {error}") from error
        except asyncio.CancelledError:
            self._channel.send(CancelCall(params=CancelParams(run=run, call=number)))
            raise
        finally:
            self._asked.pop(number, None)
        return answer


def _tell(running: _Running, message: CancelTurn | EventsTaken) -> None:
    if isinstance(message, EventsTaken):
        running.outlet.taken(message.params.size)
    else:
        running.scope.cancel()


def _settle(asked: asyncio.Future[object], message: Answer | Refused) -> None:
    if isinstance(message, Answer):
        asked.set_result(message.result)
    else:
        asked.set_exception(error_from(message.error))


def _adapter(module: str, kind: str) -> AdapterSpec:
    """What an adapter registers for a kind."""
    adapter = importlib.import_module(module)  # noqa: TID251 - the plugins' own place is the host
    found = list(adapter.bridge_adapters())
    for spec in found:
        if isinstance(spec, AdapterSpec) and spec.kind == kind:
            return spec
    raise AgentCrashed(f"the adapter {module!r} has no agents of kind {kind!r}")


def _caller(connection: Connection | None, *, is_watched: bool) -> ModelCaller:
    if connection is None:
        return _no_model
    from massgen_bridge.models.behind import CallsBehindGateway  # noqa: PLC0415 - many have no model
    from massgen_bridge.models.retry import ModelCalls  # noqa: PLC0415 - likewise

    calls = ModelCalls(connection)
    return CallsBehindGateway(calls, _deltas) if is_watched else calls


async def _deltas() -> int:
    outlet = _outlet.get()
    # What was said of the call before must not come after the host's word of this one.
    await outlet.settled()
    return outlet.deltas


async def _no_model(attempt: Callable[[], Awaitable[T]], emit: Emit) -> T:
    del attempt, emit
    raise AgentCrashed(NO_MODEL)


def _loaded(path: str, base_dir: Path) -> object:
    from massgen_bridge.plugins.importing import load_object  # noqa: PLC0415 - seldom wanted

    return load_object(path, base_dir)


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _flush() -> None:
    """Let the host have what was printed so far."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
