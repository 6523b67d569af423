"""How the model calls of a turn are made: by the turn's connection, under the one policy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import openai

from massgen_bridge import (
    AgentContext,
    Connection,
    Emit,
    LimitReached,
    ModelCallFinished,
    Turn,
    TurnEvent,
    Usage,
)
from massgen_bridge.adapting import (
    ChatAnswer,
    ChatSdk,
    Lease,
    chat_as_understood,
    chat_settings,
    model_call_error,
    read_chat_answer,
)
from massgen_bridge_ag2._options import AG2Options

__all__ = ["SDK", "Course", "ModelAccess", "TurnCalls", "sourced"]

SDK = ChatSdk(openai, name="massgen_bridge_ag2_clients")
"""OpenAI's SDK and the clients of all agents."""


@dataclass(slots=True, kw_only=True)
class Course:
    """A turn under way; the members of a group share one.

    Attributes:
        model_calls: How many were begun.
        usages: Of those that were counted.
        failure: Why the turn fails, whatever AG2 makes of it.
        ended: Whether a tool has ended the turn.
        lock: Held by the tool call under way.
    """

    turn: Turn
    emit: Emit
    model_calls: int = 0
    usages: list[Usage] = field(default_factory=list)
    failure: Exception | None = None
    ended: bool = False
    lock: anyio.Lock = field(default_factory=anyio.Lock)

    @property
    def usage(self) -> Usage | None:
        """Of the whole turn; None where nothing was counted."""
        return sum(self.usages[1:], self.usages[0]) if self.usages else None


def sourced(emit: Emit, source: str | None) -> Emit:
    """What a member of a group tells by.

    Args:
        emit: Takes the events.
        source: The member; None for the agent itself.
    """
    if source is None:
        return emit

    async def tell(event: TurnEvent, /) -> None:
        await emit(event.model_copy(update={"source": source}))

    return tell


class ModelAccess:
    """One agent's model, and the client that it is called by.

    Attributes:
        agent_id: The agent's id.
        connection: The model.
        where: Names the connection and its model, for errors.
    """

    def __init__(self, context: AgentContext, connection: Connection) -> None:
        self.agent_id = context.agent_id
        self.connection = connection
        self.where = f"{connection.name!r} (model {connection.model!r})"
        self.options: AG2Options = context.options
        self.call_model = context.call_model
        self._lease: Lease[openai.AsyncOpenAI] | None = None
        self._leasing = anyio.Lock()

    @asynccontextmanager
    async def calls(self, course: Course) -> AsyncIterator[TurnCalls]:
        """The calls of one turn; its own address and key are given back at its end."""
        connection = course.turn.connection_for(self.connection)
        if connection == self.connection:
            lease = self._lease or await self._leased()
            yield TurnCalls(self, course, connection, lease.client)
            return
        lease = await SDK.clients.lease(connection)
        try:
            yield TurnCalls(self, course, connection, lease.client)
        finally:
            with anyio.CancelScope(shield=True):
                await lease.release()

    async def aclose(self) -> None:
        """Give back the client."""
        lease, self._lease = self._lease, None
        if lease is not None:
            await lease.release()

    async def _leased(self) -> Lease[openai.AsyncOpenAI]:
        async with self._leasing:
            if self._lease is None:
                self._lease = await SDK.clients.lease(self.connection)
            return self._lease


class TurnCalls:
    """Makes the model calls of one turn.

    Attributes:
        access: The agent's model.
        course: The turn.
    """

    def __init__(
        self,
        access: ModelAccess,
        course: Course,
        connection: Connection,
        client: openai.AsyncOpenAI,
    ) -> None:
        self.access = access
        self.course = course
        self._connection = connection
        self._client = client
        self._options = SDK.request_options(connection)

    async def ask(self, body: Mapping[str, Any], *, emit: Emit) -> ChatAnswer:
        """Make one model call, again where the policy says so.

        Args:
            body: The messages, tools and response format.
            emit: Takes the deltas of the answer and what is told of the call.

        Raises:
            LimitReached: The turn has made as many as it may, or a tool call was cut off.
            AgentError: The call failed.
        """
        access, course = self.access, self.course
        limits = course.turn.limits
        if course.model_calls >= limits.max_model_calls:
            raise LimitReached(
                f"the turn made {limits.max_model_calls} model calls, as many as it may, and the "
                "model has not finished",
                agent_id=access.agent_id,
            )
        course.model_calls += 1
        settings = chat_settings(
            access.connection,
            max_output_tokens=limits.max_output_tokens,
            max_tokens_parameter=access.options.max_tokens_parameter,
        )
        quirks, extra = access.connection.quirks, access.connection.sampling.extra
        request = chat_as_understood({**settings, **body} | extra, quirks, kept=extra)

        async def attempt() -> ChatAnswer:
            try:
                stream = await SDK.stream(self._client, request, self._options)
                async with stream as chunks:
                    return await read_chat_answer(
                        chunks, emit, reasoning_field=quirks.reasoning_field
                    )
            except Exception as error:  # the SDK lets errors of its HTTP library through
                raise model_call_error(
                    error, where=access.where, agent_id=access.agent_id, sdk="openai"
                ) from error

        answer = await access.call_model(attempt, emit)
        if answer.usage is not None:
            course.usages.append(answer.usage)
        await emit(ModelCallFinished(model=access.connection.model, usage=answer.usage))
        if answer.calls and answer.stop_reason == "length":
            raise LimitReached(
                f"{access.where}: the output limit was reached in the middle of a tool call",
                agent_id=access.agent_id,
            )
        return answer
