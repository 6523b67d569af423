"""Agents in this process whose connection has fallbacks: they reach their models by the gateway."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from massgen_bridge.events import ModelCallFinished, ModelCallStarted, ReasoningDelta, TextDelta
from massgen_bridge.models.behind import CallsBehindGateway
from massgen_bridge.models.retry import ModelCalls
from massgen_bridge.models.tape import off_tape

if TYPE_CHECKING:
    from massgen_bridge.agent import Agent, Emit, Turn, TurnResult
    from massgen_bridge.connection import Connection, ModelCaller
    from massgen_bridge.events import TurnEvent
    from massgen_bridge.isolation.agent import Door

__all__ = ["AgentBehindGateway", "calls_behind_gateway"]


class _Heard:
    """What an agent tells in one turn, without what the gateway tells itself."""

    def __init__(self, emit: Emit) -> None:
        self.deltas = 0
        self._emit = emit

    async def __call__(self, event: TurnEvent, /) -> None:
        if isinstance(event, ModelCallStarted | ModelCallFinished):
            return
        self.deltas += isinstance(event, TextDelta | ReasoningDelta)
        await self._emit(event)


_HEARD: ContextVar[_Heard] = ContextVar("massgen_bridge_heard")


def calls_behind_gateway(connection: Connection) -> ModelCaller:
    """The retry policy of such an agent: for calls of which a part was told already."""

    async def deltas() -> int:
        return _HEARD.get().deltas

    return CallsBehindGateway(ModelCalls(connection, waits=False), deltas)


class AgentBehindGateway:
    """An agent whose turns each have an address of their own at the gateway.

    Args:
        agent: The agent; its calls are those of `calls_behind_gateway`.
        door: The way through the gateway.
    """

    def __init__(self, agent: Agent, door: Door) -> None:
        self._agent = agent
        self._door = door

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        """Do one turn.

        Raises:
            AgentError: The turn failed; the class says how.
        """
        heard = _Heard(emit)
        token = _HEARD.set(heard)
        try:
            async with self._door.admit(turn, emit, None) as connection:
                # The gateway's own calls are those to be recorded.
                with off_tape():
                    bound = turn.bind(turn.call_tool, connection=connection)
                    return await self._agent.run(bound, heard)
        finally:
            _HEARD.reset(token)

    async def aclose(self) -> None:
        """Close the agent."""
        await self._agent.aclose()
