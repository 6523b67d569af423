"""A user's own AG2 agent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import ag2
import anyio
import anyio.to_thread
import openai
from ag2.config import ModelConfig
from ag2.config.openai import OpenAIConfig, OpenAIResponsesConfig
from ag2.events import BaseEvent, ModelMessageChunk, ModelReasoning
from ag2.exceptions import HumanInputError, UnsupportedInputError, UnsupportedToolError
from ag2.plugin import Plugin

from massgen_bridge import (
    AgentContext,
    AgentCrashed,
    AgentError,
    ConfigError,
    Emit,
    Message,
    ProtocolFailed,
    StopReason,
    Turn,
    TurnResult,
    UnsupportedContent,
)
from massgen_bridge.adapting import OwnFactory, cancelled_once, chat_messages, model_call_error
from massgen_bridge_ag2._calls import Course, ModelAccess
from massgen_bridge_ag2._convert import from_ag2, to_ag2
from massgen_bridge_ag2._options import AG2Options
from massgen_bridge_ag2._redirect import RedirectedModel
from massgen_bridge_ag2._watch import Watcher

__all__ = ["OwnAgent"]

_EXPECTED = "an `ag2.Agent`, or a function without arguments that makes one"


class OwnAgent:
    """Asks somebody's AG2 agent, turn by turn; its tools and its model stay its own.

    Raises:
        ConfigError: The import path leads to no AG2 agent, or models are to be redirected and
            there is none.
    """

    def __init__(self, context: AgentContext, *, path: str) -> None:
        options: AG2Options = context.options
        self._agent_id = context.agent_id
        self._option = f"agent: {path}"
        self._where = f"agent {path!r}"
        self._access: ModelAccess | None = None
        if options.models == "gateway":
            if context.connection is None:
                raise ConfigError(
                    f"agent {context.agent_id!r}: `models: gateway` needs `model`, which names the "
                    "model that is called in place of the agent's own"
                )
            self._access = ModelAccess(context, context.connection)
        found = context.load(path)
        self._source: ag2.Agent[Any] | OwnFactory = (
            found
            if isinstance(found, ag2.Agent)
            else OwnFactory(found, option=self._option, expected=_EXPECTED, makes="an agent")
        )
        self._lock = anyio.Lock()

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
        if self._access is not None:
            chat_messages(turn.messages, self._access.connection.traits.inputs)  # or refuse
        system, events = to_ag2(turn.messages)
        agent = await self._agent()
        course = Course(turn=turn, emit=emit)
        async with self._model(agent, course) as config:
            return await cancelled_once(lambda: self._ask(agent, course, config, system, events))

    async def aclose(self) -> None:
        """Give back the client, where there is one."""
        if self._access is not None:
            await self._access.aclose()

    async def _agent(self) -> ag2.Agent[Any]:
        async with self._lock:
            if isinstance(self._source, OwnFactory):
                made = await self._source.make_in_thread()
                if not isinstance(made, ag2.Agent):
                    raise AgentCrashed(
                        f"`{self._option}` returned {made!r}; expected an `ag2.Agent`",
                        agent_id=self._agent_id,
                    )
                self._source = made
            return self._source

    @asynccontextmanager
    async def _model(
        self, agent: ag2.Agent[Any], course: Course
    ) -> AsyncIterator[ModelConfig | None]:
        """The model that the agent uses in this turn; None for its own as it is."""
        if self._access is not None:
            async with self._access.calls(course) as calls:
                yield RedirectedModel(calls)
            return
        config = agent.config
        if not isinstance(config, OpenAIConfig | OpenAIResponsesConfig) or config.http_client:
            yield config
            return
        # AG2 makes a client for each turn and closes none: neither what is idle nor, where a turn
        # is cancelled, an answer that still comes.
        client = await anyio.to_thread.run_sync(openai.DefaultAsyncHttpxClient)
        try:
            yield config.copy(http_client=client)
        finally:
            with anyio.CancelScope(shield=True):
                await client.aclose()

    async def _ask(
        self,
        agent: ag2.Agent[Any],
        course: Course,
        config: ModelConfig | None,
        system: Sequence[str],
        events: Sequence[BaseEvent],
    ) -> TurnResult:
        redirected = self._access is not None
        watcher = Watcher(
            course,
            agent_id=self._agent_id,
            where=self._where,
            model=str(getattr(config, "model", None) or "unknown"),
            redirected=redirected,
        )
        stream = ag2.MemoryStream()
        if not redirected:
            stream.where(ModelMessageChunk).subscribe(watcher.hear)
            stream.where(ModelReasoning).subscribe(watcher.hear_thought)
        try:
            await agent.resume(
                *events,
                stream=stream,
                config=config,
                middleware=[watcher],
                plugins=[Plugin(prompt=system)] if system else [],
            )
        except Exception as error:  # the user's own code may raise anything
            raise self._mapped(error, course, watcher) from error
        if course.failure is not None:  # the agent's own code caught it
            raise course.failure
        added = list(await stream.history.get_events())[len(events) :]
        return self._result(course, from_ag2(added), watcher.stop_reason)

    def _result(
        self, course: Course, history: Sequence[Message], stop_reason: StopReason
    ) -> TurnResult:
        said = [message for message in history if message.role == "assistant"]
        if not said:
            raise ProtocolFailed(f"{self._where}: it gave no answer", agent_id=self._agent_id)
        return TurnResult(
            message=said[-1],
            new_messages=tuple(history),
            stop_reason=stop_reason,
            usage=course.usage,
        )

    def _mapped(self, error: Exception, course: Course, watcher: Watcher) -> Exception:
        if course.failure is not None:
            return course.failure
        if isinstance(error, AgentError):
            return error
        if isinstance(error, UnsupportedInputError | UnsupportedToolError):
            return UnsupportedContent(f"{self._where}: {error}", agent_id=self._agent_id)
        if isinstance(error, HumanInputError):
            return AgentCrashed(
                f"{self._where} asks a person, but no person takes part in a turn: {error}",
                agent_id=self._agent_id,
            )
        if watcher.model_error is not None or isinstance(error, openai.OpenAIError):
            return model_call_error(error, where=self._where, agent_id=self._agent_id, sdk="openai")
        return AgentCrashed(
            f"{self._where} raised {type(error).__name__}: {error}", agent_id=self._agent_id
        )
