"""An AG2 agent that is made of a model."""

from __future__ import annotations

from ag2 import Agent

from massgen_bridge import AgentContext, Connection, Emit, Turn, TurnResult
from massgen_bridge.adapting import cancelled_once, chat_messages, check_traits
from massgen_bridge_ag2._ask import Asked
from massgen_bridge_ag2._calls import Course, ModelAccess

__all__ = ["ModelAgent"]


class ModelAgent:
    """AG2's agent loop around one model; one AG2 agent serves all turns."""

    def __init__(self, context: AgentContext, connection: Connection) -> None:
        self._access = ModelAccess(context, connection)
        self._agent = Agent(context.agent_id)

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        """Do one turn.

        Raises:
            AgentError: The turn failed; the class says how.
        """
        access = self._access
        traits = access.connection.traits
        check_traits(turn, traits, where=access.where, agent_id=access.agent_id)
        messages = chat_messages(turn.messages, traits.inputs)
        course = Course(turn=turn, emit=emit)
        async with access.calls(course) as calls:
            asked = Asked(calls, messages, tools=turn.tools, schema=turn.output_schema)
            await cancelled_once(lambda: asked.of(self._agent, turn.question))
        message = next(one for one in reversed(asked.history) if one.role == "assistant")
        return TurnResult(
            message=message,
            new_messages=tuple(asked.history),
            stop_reason="tool" if course.ended else asked.stop_reason,
            structured=asked.structured(),
            usage=course.usage,
        )

    async def aclose(self) -> None:
        """Give back the client."""
        await self._access.aclose()
