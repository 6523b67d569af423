"""Executors: where turns happen. In process here; other places share the interface."""

from __future__ import annotations

import logging
import math
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup

from massgen_bridge.errors import (
    AgentCrashed,
    AgentError,
    BridgeError,
    error_of_kind,
    error_words,
)
from massgen_bridge.events import (
    ModelCallFinished,
    ModelRetried,
    ModelWaiting,
    PersonAsked,
    TurnCancelled,
    TurnDone,
    TurnFailed,
)
from massgen_bridge.isolation.calling import result_of
from massgen_bridge.models.traffic import TurnCalls, counting_calls

if TYPE_CHECKING:
    from massgen_bridge.agent import Emit, Turn
    from massgen_bridge.events import TurnEvent
    from massgen_bridge.runtime.crew import AgentSetup, Crew

__all__ = ["Executor", "InProcessExecutor", "TurnOutcome"]

TurnOutcome = TurnDone | TurnFailed | TurnCancelled
_TICK_S = 0.25
_logger = logging.getLogger("massgen_bridge.runtime")
T = TypeVar("T")


class Executor(Protocol):
    """Does turns. It writes the one terminal event of each, and knows nothing of the run."""

    async def run_turn(self, setup: AgentSetup, turn: Turn, emit: Emit) -> TurnOutcome:
        """Do one turn; only a cancellation from outside is raised."""

    def cancel(self, turn_id: str, reason: str) -> None:
        """Stop a turn; its `run_turn` returns `TurnCancelled`. Unknown turns are ignored."""

    async def wait_idle(self, turn_id: str, idle_s: float) -> str | None:
        """Return the agent of a turn as soon as it has emitted nothing for so long.

        Returns:
            None where the turn ends before, or is not running.
        """


class _Running:
    """A turn under way, watched for silence."""

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.scope = anyio.CancelScope()
        self.started = self.last_event = time.monotonic()
        self.ended = anyio.Event()
        self.reason: str | None = None
        self.overdue: str | None = None

    def check(self, now: float) -> None:
        limits = self.turn.limits
        if limits.idle_s is not None and now - self.last_event > limits.idle_s:
            self.overdue = f"no progress for {limits.idle_s:g} s"
        elif limits.wall_s is not None and now - self.started > limits.wall_s:
            self.overdue = f"not done after {limits.wall_s:g} s"
        if self.overdue:
            self.scope.cancel()


class InProcessExecutor:
    """Agents as objects in this process and event loop.

    Args:
        crew: Makes the agents, and keeps them.
    """

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._running: dict[str, _Running] = {}
        self._stack = AsyncExitStack()
        self._tasks: TaskGroup | None = None

    async def __aenter__(self) -> Self:
        self._tasks = await self._stack.enter_async_context(anyio.create_task_group())
        self._tasks.start_soon(self._watch)
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._tasks is not None:
            self._tasks.cancel_scope.cancel()
        # Without the error: a task group would wrap it into a group of its own.
        await self._stack.__aexit__(None, None, None)

    async def run_turn(self, setup: AgentSetup, turn: Turn, emit: Emit) -> TurnOutcome:
        """Do one turn in this process."""
        running = self._running[turn.turn_id] = _Running(turn)
        calls = TurnCalls(turn)

        async def alive(event: TurnEvent, /) -> None:
            now = time.monotonic()
            running.last_event = now + _quiet_s(event)
            if isinstance(event, ModelCallFinished):
                calls.finished(event.usage)
            await emit(event)

        try:
            with running.scope, counting_calls(calls):
                agent = await self._crew.agent(setup)
                return TurnDone(result=await result_of(agent, turn, alive))
        except AgentError as error:
            return TurnFailed(kind=error.kind, message=str(error), retryable=error.retryable)
        except BridgeError as error:
            return TurnFailed(kind="crash", message=str(error))
        except Exception as error:  # noqa: BLE001 - an agent is foreign code: it costs only its turn
            failure = await self._classified(setup.kind, error)
            return TurnFailed(kind=failure.kind, message=str(failure), retryable=failure.retryable)
        finally:
            del self._running[turn.turn_id]
            running.ended.set()
        if running.overdue and not running.reason:
            return TurnFailed(kind="timeout", message=running.overdue, retryable=True)
        return TurnCancelled(reason=running.reason or "cancelled")

    def cancel(self, turn_id: str, reason: str) -> None:
        """Stop a turn that runs here."""
        running = self._running.get(turn_id)
        if running is not None:
            running.reason = reason
            running.scope.cancel()

    async def wait_idle(self, turn_id: str, idle_s: float) -> str | None:
        """Wait for a turn that runs here to fall silent."""
        running = self._running.get(turn_id)
        while running is not None and self._running.get(turn_id) is running:
            left = running.last_event + idle_s - time.monotonic()
            if left <= 0:
                return running.turn.agent_id
            # While a person thinks, nobody knows how much is left: it is looked at again.
            with anyio.move_on_after(min(left, idle_s)):
                await running.ended.wait()
        return None

    async def _classified(self, kind: str, error: Exception) -> AgentError:
        named = None
        host = self._crew.host
        if host.has("bridge_classify_error"):
            named = await to_thread.run_sync(host.classify_error, kind, error)
        text = f"{type(error).__name__}: {error_words(error)}"
        return error_of_kind(named)(text) if named else AgentCrashed(text)

    async def _watch(self) -> None:
        while True:
            await anyio.sleep(_TICK_S)
            now = time.monotonic()
            for running in list(self._running.values()):
                running.check(now)


def _quiet_s(event: TurnEvent) -> float:
    """For how long nothing need be heard of a turn after an event."""
    match event:
        case ModelRetried(delay_s=delay_s):
            return delay_s
        case ModelWaiting():
            return math.inf  # for others, or for the provider; each of these has a limit itself
        case PersonAsked():
            return math.inf  # a person who thinks is not idle, and has a time limit of its own
        case _:
            return 0.0
