"""A single agent of classic AG2, made from YAML."""

from __future__ import annotations

import re
from dataclasses import replace

from autogen import AssistantAgent
from autogen.io import IOStream

from massgen_bridge import AgentContext, AgentCrashed, Emit, Message, Turn, TurnResult
from massgen_bridge.adapting import check_traits
from massgen_bridge_ag2_classic._code import CodeRunner
from massgen_bridge_ag2_classic._member import Member, Role
from massgen_bridge_ag2_classic._options import AgentConfig, ClassicOptions, CodeExecution
from massgen_bridge_ag2_classic._people import NobodyToAsk, Person
from massgen_bridge_ag2_classic._running import Model, Running, in_thread, instructed
from massgen_bridge_ag2_classic._sdk import SDK
from massgen_bridge_ag2_classic._stream import TurnStream

__all__ = ["SingleAgent"]


class SingleAgent:
    """One ConversableAgent with the host's model; each turn has one of its own.

    Args:
        context: What it is made of; its connection is needed.
    """

    def __init__(self, context: AgentContext) -> None:
        options: ClassicOptions = context.options
        self._context = context
        self._model = Model(context, SDK, max_tokens_parameter=options.max_tokens_parameter)
        self._role = _role(context, options.agent_config)

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        """Do one turn.

        Raises:
            AgentError: The turn failed; the class says how.
        """
        model = self._model
        check_traits(turn, model.connection.traits, where=model.where, agent_id=model.agent_id)
        request = model.first_request(turn)
        system_message, messages = instructed(self._role.system_message, request.pop("messages"))
        role = replace(self._role, system_message=system_message)
        running = Running(turn, emit, model)

        def work() -> str | None:
            person = Person(self._context.ask, running)
            with IOStream.set_default(TurnStream(ask=person.line)):
                return Member(role, running, request).generate_reply(messages)

        try:
            said = await in_thread(running, work)
        except NobodyToAsk as error:
            raise AgentCrashed(
                f"`human_input_mode: ALWAYS` wants a person, and nobody can be asked: {error}",
                agent_id=model.agent_id,
            ) from error
        if said is None:
            nothing = Message(role="assistant", parts=())
            reason = "the person who was asked ended the conversation"
            return TurnResult(message=nothing, new_messages=(nothing,), abstained=reason)
        return running.result(structured=model.decoded(turn, running, said))

    async def aclose(self) -> None:
        """Give back the model's client."""
        await self._model.aclose()


def _role(context: AgentContext, config: AgentConfig) -> Role:
    instruction = config.system_message
    if instruction is None:
        solves = config.type == "assistant"
        instruction = AssistantAgent.DEFAULT_SYSTEM_MESSAGE if solves else ""
    name = config.name or re.sub(r"[^A-Za-z0-9_-]", "_", context.agent_id) or "agent"
    execution = config.code_execution_config
    code = None
    if isinstance(execution, CodeExecution):
        code = CodeRunner(execution.executor, context.workspace())
    return Role(
        name=name,
        system_message=instruction,
        asks_person=config.human_input_mode == "ALWAYS",
        code=code,
        max_runs=execution.max_runs if isinstance(execution, CodeExecution) else 0,
    )
