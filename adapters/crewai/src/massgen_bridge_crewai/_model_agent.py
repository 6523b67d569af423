"""An agent that CrewAI's `Agent` makes of a model."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from crewai import Agent
from crewai.core.providers.human_input import set_provider

from massgen_bridge import (
    AgentContext,
    Connection,
    Emit,
    JsonValue,
    Message,
    ProtocolFailed,
    TextPart,
    Turn,
    TurnResult,
)
from massgen_bridge.adapting import (
    ChatAnswer,
    chat_messages,
    check_traits,
    not_called,
    structured_answer,
)
from massgen_bridge_crewai._console import quiet
from massgen_bridge_crewai._models import Models
from massgen_bridge_crewai._options import CrewAIOptions
from massgen_bridge_crewai._running import ModelAccess, Running
from massgen_bridge_crewai._single import AgentLLM, HistoryPrompt, turn_tools

__all__ = ["ModelAgent"]


class ModelAgent:
    """CrewAI's agent loop around one model; each turn has a CrewAI agent of its own."""

    def __init__(self, context: AgentContext, connection: Connection) -> None:
        self._agent_id = context.agent_id
        self._options: CrewAIOptions = context.options
        self._connection = connection
        self._models = Models(context, connection)

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        """Do one turn.

        Raises:
            AgentError: The turn failed; the class says how.
        """
        check_traits(
            turn, self._connection.traits, where=self._models.where, agent_id=self._agent_id
        )
        messages = self._with_persona(chat_messages(turn.messages, self._connection.traits.inputs))
        access = await self._models.access(turn)
        running = Running(turn=turn, emit=emit)
        await running.drive(lambda: self._prepare(running, access, messages))
        return self._result(running)

    async def aclose(self) -> None:
        """Give back the client."""
        await self._models.aclose()

    def _prepare(
        self, running: Running, access: ModelAccess, messages: list[dict[str, Any]]
    ) -> Callable[[], object]:
        quiet()
        set_provider(HistoryPrompt(messages))
        options = self._options
        llm = AgentLLM.of(running, access, max_tokens_parameter=options.max_tokens_parameter)
        tools = turn_tools(running)
        llm.offer(
            {name: tool.name for name, tool in tools.items()},
            parallel=options.parallel_tool_calls,
        )
        agent = Agent(
            role=options.role or self._agent_id,
            goal=options.goal or "",
            backstory=options.backstory or "",
            llm=llm,
            tools=list(tools.values()),
            max_iter=options.max_iter,
            max_retry_limit=0,
            respect_context_window=False,
            use_better_compaction=False,
            allow_delegation=False,
            verbose=False,
        )
        # The question stands in the history already.
        return functools.partial(agent.kickoff, "")

    def _with_persona(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The history, below what CrewAI tells an agent of itself."""
        options = self._options
        who = [f"You are {options.role}."] if options.role else []
        about = " ".join([*who, *filter(None, [options.backstory])])
        aim = f"Your personal goal is: {options.goal}" if options.goal else ""
        persona = "\n".join(filter(None, [about, aim]))
        if not persona:
            return messages
        if messages and messages[0]["role"] == "system":
            first, *others = messages
            return [{**first, "content": f"{persona}\n\n{first['content']}"}, *others]
        return [{"role": "system", "content": persona}, *messages]

    def _result(self, running: Running) -> TurnResult:
        history: list[Message] = []
        for answer in running.answers:
            history.append(_message(answer))
            if calls := history[-1].tool_calls:
                results = tuple(
                    running.results.get(call.call_id) or not_called(call) for call in calls
                )
                history.append(Message(role="tool", parts=results))
        if not running.answers:
            raise ProtocolFailed("CrewAI ended without asking its model", agent_id=self._agent_id)
        last = running.answers[-1]
        stop_reason = "tool" if running.ended else last.stop_reason
        return TurnResult(
            message=next(one for one in reversed(history) if one.role == "assistant"),
            new_messages=tuple(history),
            stop_reason=stop_reason,
            structured=self._structured(running, last),
            usage=running.usage,
        )

    def _structured(self, running: Running, answer: ChatAnswer) -> JsonValue | None:
        schema = running.turn.output_schema
        if schema is None or running.ended or answer.stop_reason == "refusal":
            return None
        return structured_answer(
            answer.text,
            stop_reason=answer.stop_reason,
            where=self._models.where,
            agent_id=self._agent_id,
        )


def _message(answer: ChatAnswer) -> Message:
    text = (TextPart(text=answer.text),) if answer.text else ()
    # A refusal stands in place of what the model was about to do.
    calls = () if answer.stop_reason == "refusal" else answer.calls
    return Message(role="assistant", parts=(*text, *calls))
