"""An agent that is a crew or a flow."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import anyio
from crewai import Crew, CrewOutput, Flow, TaskOutput
from crewai.core.providers.human_input import set_provider
from crewai.crews.utils import enable_agent_streaming
from crewai.lite_agent_output import LiteAgentOutput
from pydantic import BaseModel

from massgen_bridge import (
    AgentContext,
    AgentCrashed,
    ConfigError,
    Emit,
    Message,
    ProtocolFailed,
    StopReason,
    Turn,
    TurnResult,
    UnsupportedContent,
    assistant,
)
from massgen_bridge.adapting import as_text
from massgen_bridge_crewai._console import quiet
from massgen_bridge_crewai._crew_files import CrewFiles
from massgen_bridge_crewai._inputs import crew_inputs, flow_inputs
from massgen_bridge_crewai._llm import BridgeLLM
from massgen_bridge_crewai._models import Models
from massgen_bridge_crewai._nobody import Nobody
from massgen_bridge_crewai._options import CrewAIOptions
from massgen_bridge_crewai._running import ModelAccess, Running
from massgen_bridge_crewai._sources import Source
from massgen_bridge_crewai._watch import Watcher

__all__ = ["GroupAgent"]


class GroupAgent:
    """Runs a crew or flow, turn by turn; what happens inside stays its own business."""

    def __init__(self, context: AgentContext) -> None:
        self._agent_id = context.agent_id
        self._options: CrewAIOptions = context.options
        self._workspace = context.workspace
        self._models = None if context.connection is None else Models(context, context.connection)
        self._lock = anyio.Lock()
        options = self._options
        self._source: CrewFiles | Source
        if options.agents is not None and options.tasks is not None:
            self._where = "the crew"
            self._source = CrewFiles(
                context.base_dir / options.agents,
                context.base_dir / options.tasks,
                hierarchical=options.process == "hierarchical",
            )
        elif options.path is not None:
            kind: Any = Crew if options.crew is not None else Flow
            self._where = f"{kind.__name__.lower()} {options.path!r}"
            self._source = Source(
                context.load(options.path),
                path=options.path,
                kind=kind,
                has_model=self._models is not None,
            )
            self._check_model()

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        """Do one turn.

        Raises:
            AgentError: The turn failed; the class says how.
        """
        if turn.tools or turn.output_schema is not None:
            raise UnsupportedContent(
                f"{self._where} has its own tools and its own form of answer; a turn can give it "
                "neither",
                agent_id=self._agent_id,
            )
        question = as_text(turn.messages, carrier="a crew or flow")
        access = None if self._models is None else await self._models.access(turn)
        running = Running(turn=turn, emit=emit)
        async with AsyncExitStack() as stack:
            if isinstance(self._source, Source) and self._source.is_shared:
                await stack.enter_async_context(self._lock)
            made: list[Any] = []
            work = functools.partial(self._prepare, running, access, question, made)
            output = await running.drive(work)
            if (key := self._options.output_key) is not None:
                output = self._picked(made[0], key)
        return self._result(running, output)

    async def aclose(self) -> None:
        """Give back the clients."""
        if self._models is not None:
            await self._models.aclose()

    def _check_model(self) -> None:
        if self._options.models == "gateway" and self._models is None:
            raise self._without_model()

    def _without_model(self) -> ConfigError:
        return ConfigError(
            f"agent {self._agent_id!r}: {self._where} is to use the agent's model; say which, "
            "with `model`"
        )

    # --- in the turn's thread ---------------------------------------------------------------------

    def _prepare(
        self, running: Running, access: ModelAccess | None, question: str, kept: list[Any]
    ) -> Callable[[], Any]:
        quiet()
        set_provider(Nobody(running))
        options = self._options
        made = self._made(functools.partial(self._llm, running, access))
        kept.append(made)
        inputs = (flow_inputs if isinstance(made, Flow) else crew_inputs)(
            made, question, given=options.inputs, key=options.input_key, where=self._where
        )
        if made.stream:  # then `kickoff` would only begin; what is streamed is told anyway
            made.stream = False
            enable_agent_streaming(getattr(made, "agents", ()))
        return Watcher(running).watched(functools.partial(made.kickoff, inputs=inputs))

    def _made(self, new_llm: Callable[[], BridgeLLM]) -> Any:
        if isinstance(self._source, CrewFiles):
            return self._source.crew(new_llm(), self._workspace)
        made = self._source.get(new_llm)
        if isinstance(made, Crew) and self._source.is_shared:
            made = made.copy()  # CrewAI's own way of doing several runs of one crew
        if isinstance(made, Crew) and self._options.models == "gateway":
            _redirect(made, new_llm())
        return made

    def _llm(self, running: Running, access: ModelAccess | None) -> BridgeLLM:
        if access is None:
            raise self._without_model()
        return BridgeLLM.of(
            running, access, max_tokens_parameter=self._options.max_tokens_parameter
        )

    # --- what came of it --------------------------------------------------------------------------

    def _result(self, running: Running, output: Any) -> TurnResult:
        message = assistant(self._text(output))
        return TurnResult(
            message=message,
            new_messages=(message,),
            stop_reason=_stop_reason(running, message),
            usage=running.usage,
        )

    def _picked(self, flow: Any, key: str) -> Any:
        state = flow.state
        fields = state if isinstance(state, Mapping) else dict(state)
        if key not in fields:
            raise AgentCrashed(
                f"{self._where}: its state has no {key!r}, as `output_key` says; it has "
                f"{', '.join(map(repr, fields))}",
                agent_id=self._agent_id,
            )
        return fields[key]

    def _text(self, output: Any) -> str:
        match output:
            case str():
                return output
            case None:
                raise ProtocolFailed(
                    f"{self._where}: its last method returned nothing; let it return the answer, "
                    "or say by `output_key` which field of the state holds it",
                    agent_id=self._agent_id,
                )
            case CrewOutput() | TaskOutput() | LiteAgentOutput():
                return output.raw
            case BaseModel():
                return output.model_dump_json()
            case _:
                return json.dumps(output, default=_plain, ensure_ascii=False)


def _redirect(crew: Crew, llm: BridgeLLM) -> None:
    """Let everybody in the crew speak through one model."""
    members = [*crew.agents, *(task.agent for task in crew.tasks), crew.manager_agent]
    for member in members:
        if member is not None:
            member.llm = llm
    for name in ("manager_llm", "planning_llm", "chat_llm"):
        if getattr(crew, name) is not None:
            setattr(crew, name, llm)


def _stop_reason(running: Running, message: Message) -> StopReason:
    """Why the model stopped, where the answer is what it said last."""
    last = running.answers[-1] if running.answers else None
    return last.stop_reason if last and last.text.strip() == message.text.strip() else "end"


def _plain(value: object) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)
