"""The host's side of a turn that runs in a worker."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Protocol, assert_never

import anyio
from anyio.lowlevel import checkpoint
from pydantic_core import PydanticSerializationError

from massgen_bridge.errors import AgentCrashed, ProtocolFailed
from massgen_bridge.events import LogLine
from massgen_bridge.isolation.faults import error_from, fault_from
from massgen_bridge.isolation.wire import (
    Answer,
    AskPerson,
    CallTool,
    CancelCall,
    Done,
    EventsTaken,
    PersonSaid,
    Refused,
    TakenParams,
    ToolGave,
    TurnEvents,
)

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from massgen_bridge.agent import Emit, Turn, TurnResult
    from massgen_bridge.errors import AgentError
    from massgen_bridge.isolation.process import Stream
    from massgen_bridge.isolation.wire import FromHost
    from massgen_bridge.people import Asking

__all__ = ["RemoteTurn", "TurnHost"]

_MOST_LINES: Final = 2000
_LINES_WAITING: Final = 256


class TurnHost(Protocol):
    """What a turn needs of its worker."""

    def send(self, message: FromHost, /) -> None:
        """Tell the worker something."""

    def pause_output(self) -> None:
        """Read no more of what the worker prints."""

    def resume_output(self) -> None:
        """Read on."""

    async def crash(self) -> AgentError:
        """Why the worker is no more."""


class _Sized:
    """Events of a turn, and how many bytes they took."""

    __slots__ = ("message", "size")

    def __init__(self, message: TurnEvents, size: int) -> None:
        self.message = message
        self.size = size


class RemoteTurn:
    """A turn in a worker. What comes is dealt with in the task of `follow`, in its order.

    Args:
        host: The worker.
        number: The turn's number on the wire.
        turn: The turn.
        emit: Takes its events.
        ask: Asks a person.

    Attributes:
        ended: Set when the worker has said how the turn ended, or is no more.
    """

    def __init__(
        self, host: TurnHost, number: int, turn: Turn, emit: Emit, ask: Asking | None
    ) -> None:
        self.number = number
        self.ended = anyio.Event()
        self._host = host
        self._turn = turn
        self._emit = emit
        self._ask = ask
        self._came: deque[_Sized | CallTool | AskPerson | CancelCall | LogLine] = deque()
        self._news = anyio.Event()
        self._outcome: Answer | Refused | None = None
        self._is_lost = False
        self._lines = 0
        self._left_out = 0
        self._waiting = 0
        self._calls: dict[int, anyio.CancelScope] = {}

    # --- what comes, in the event loop ----------------------------------------------------------

    def take(self, message: TurnEvents | CallTool | AskPerson | CancelCall, size: int) -> None:
        """Something came for this turn."""
        self._came.append(_Sized(message, size) if isinstance(message, TurnEvents) else message)
        self._news.set()

    def end(self, outcome: Answer | Refused) -> None:
        """The worker says how it ended."""
        self._outcome = outcome
        self.ended.set()
        self._news.set()

    def lose(self) -> None:
        """The worker is no more."""
        self._is_lost = True
        self.ended.set()
        self._news.set()

    def printed(self, stream: Stream, line: str) -> None:
        """The worker printed a line."""
        self._lines += 1
        if self._lines > _MOST_LINES:
            self._left_out += 1
            return
        self._came.append(LogLine(stream=stream, text=line))
        self._waiting += 1
        if self._waiting == _LINES_WAITING:
            self._host.pause_output()
        self._news.set()

    # --- what becomes of it, in the turn's own task ---------------------------------------------

    async def follow(self) -> TurnResult:
        """Deal with what comes until the turn has ended.

        Raises:
            AgentError: The turn failed, or its worker is no more.
        """
        failure: Exception | None = None
        async with anyio.create_task_group() as tasks:
            try:
                await self._deal_with_all(tasks)
            except Exception as error:  # noqa: BLE001 - raised below, since a group would wrap it
                failure = error
            tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure
        return self._result()

    async def _deal_with_all(self, tasks: TaskGroup) -> None:
        while not (self._outcome or self._is_lost):
            await self._deal_with_some(tasks)
            if not (self._outcome or self._is_lost):
                await self._news.wait()
                self._news = anyio.Event()
        # What was printed before the end came by another way, and may be read only now.
        for _ in range(2):
            await checkpoint()
        await self._deal_with_some(tasks)
        if self._left_out:
            text = f"({self._left_out} more lines of this turn are left out)"
            await self._emit(LogLine(stream="log", text=text))
        if self._outcome is None:
            raise await self._host.crash()

    async def _deal_with_some(self, tasks: TaskGroup) -> None:
        while self._came:
            one = self._came.popleft()
            match one:
                case _Sized(message=message, size=size):
                    for event in message.params.events:
                        await self._emit(event)
                    taken = TakenParams(run=self.number, size=size)
                    self._host.send(EventsTaken(params=taken))
                case LogLine():
                    await self._emit(one)
                    self._waiting -= 1
                    if not self._waiting:
                        self._host.resume_output()
                case CallTool() | AskPerson():
                    scope = self._calls[one.id] = anyio.CancelScope()
                    tasks.start_soon(self._serve, one, scope)
                case CancelCall(params=params):
                    if params.call in self._calls:
                        self._calls[params.call].cancel()
                case _:
                    assert_never(one)

    async def _serve(self, request: CallTool | AskPerson, scope: anyio.CancelScope) -> None:
        """Answer a request of the worker."""
        number = request.id
        try:
            with scope:
                self._host.send(Answer(id=number, result=await self._given(request)))
        except PydanticSerializationError as error:
            what = AgentCrashed(f"what a tool gave cannot be sent: {error}")
            self._host.send(Refused(id=number, error=fault_from(what)))
        except Exception as error:  # noqa: BLE001 - a tool is foreign code: its agent is told
            self._host.send(Refused(id=number, error=fault_from(error)))
        finally:
            del self._calls[number]

    async def _given(self, request: CallTool | AskPerson) -> ToolGave | PersonSaid:
        if isinstance(request, CallTool):
            return ToolGave(result=await self._turn.call_tool(request.params.call))
        if self._ask is None:
            raise AgentCrashed("there is nobody to ask")
        return PersonSaid(reply=await self._ask(request.params.question))

    def _result(self) -> TurnResult:
        match self._outcome:
            case Answer(result=Done(result=result)):
                return result
            case Refused(error=error):
                raise error_from(error)
            case _:
                raise ProtocolFailed("its worker answered the turn with something else")
