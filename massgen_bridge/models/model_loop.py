"""The turn of an agent that is one model: ask it, make its tool calls, ask it again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import anyio

from massgen_bridge.agent import TurnResult
from massgen_bridge.errors import AgentCrashed, LimitReached
from massgen_bridge.events import ModelCallFinished, ToolCallFinished, ToolCallStarted
from massgen_bridge.messages import Message, TextPart, ToolResult
from massgen_bridge.models.answers import ModelAnswer, not_called, structured_answer
from massgen_bridge.models.content import check_traits
from massgen_bridge.models.sdk_errors import model_call_error
from massgen_bridge.models.uploads import UploadFailed
from massgen_bridge.models.watching import is_silence, with_limit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from massgen_bridge.agent import Emit, Source, StopReason, Turn, Usage
    from massgen_bridge.connection import Connection
    from massgen_bridge.errors import AgentError
    from massgen_bridge.messages import JsonValue, MediaPart, ToolCall
    from massgen_bridge.models.sdk_clients import ClientPool, Lease
    from massgen_bridge.specs import AgentContext

__all__ = ["ModelLoop"]

A = TypeVar("A", bound=ModelAnswer)
C = TypeVar("C")


class ModelLoop(ABC, Generic[C, A]):
    """An agent that is one model, asked again until it calls no more tools.

    The tools that a model calls at once are called one after the other, in its order: what a
    turn does never depends on which tool happens to be faster.

    Args:
        context: What the agent is made of; its connection is needed.
        clients: The SDK's clients.

    Attributes:
        sdk: The package whose exceptions `ask` lets through.
        agent_id: The agent's id.
        connection: The model.
        where: Names the connection and its model, for errors.

    Raises:
        AgentCrashed: There is no connection.
    """

    sdk: ClassVar[str]

    def __init__(self, context: AgentContext, clients: ClientPool[C]) -> None:
        if context.connection is None:
            raise AgentCrashed("this kind of agent needs a model", agent_id=context.agent_id)
        self.agent_id = context.agent_id
        self.connection = context.connection
        self.where = f"{self.connection.name!r} (model {self.connection.model!r})"
        self._call_model = context.call_model
        self._clients = clients
        self._leases: dict[str | None, Lease[C]] = {}
        self._leasing = anyio.Lock()

    @abstractmethod
    def first_request(self, turn: Turn) -> dict[str, Any]:
        """The body of the turn's first model call.

        Raises:
            UnsupportedContent: The turn wants what the protocol has no form for.
        """

    @abstractmethod
    async def ask(
        self, client: C, request: dict[str, Any], emit: Emit, connection: Connection
    ) -> A:
        """Send one request, tell of the deltas of its answer and read it to its end.

        What the SDK raises, or lets through, may come out as it is.

        Args:
            client: The client; it has the connection's address. Where `connection` is not that of
                the agent, it has no key: that goes with the request.
            request: The body.
            emit: Takes the deltas.
            connection: How the turn reaches the model.
        """

    @abstractmethod
    def go_on(self, request: dict[str, Any], answer: A, results: Sequence[ToolResult]) -> None:
        """Make the body of a model call that of the next one.

        Args:
            request: The body that gave the answer; to be changed.
            answer: What the model said.
            results: What its tool calls gave, in order; none where it has paused.
        """

    async def send_ahead(self, request: dict[str, Any], connection: Connection) -> None:
        """Upload what a model call names, or what is too large for it; before each model call.

        It is no part of the call, whose time limits and attempts do not hold for it. What was
        uploaded is deleted by `aclose`. What the SDK raises, or lets through, may come out as it
        is. By itself it does nothing.

        Args:
            request: The body; to be changed, so that nothing is sent ahead of the next one again.
            connection: How the turn reaches the model. Where it is not that of the agent, nothing
                can be uploaded: the host's gateway stands before the provider.
        """

    async def client_for(self, connection: Connection) -> C:
        """The client by which a turn reaches the model.

        Args:
            connection: How the turn reaches the model. Where it is not that of the agent, the
                client has no key: that goes with the request.
        """
        # The keys of turns differ, and all of them share a client.
        address = None if connection is self.connection else connection.base_url
        return (self._leases.get(address) or await self._leased(address, connection)).client

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        """Do one turn.

        Raises:
            AgentError: The turn failed; the class says how.
        """
        check_traits(turn, self.connection.traits, where=self.where, agent_id=self.agent_id)
        connection = turn.connection_for(self.connection)
        return await self._talk(turn, self.first_request(turn), connection, emit)

    async def _talk(
        self, turn: Turn, request: dict[str, Any], connection: Connection, emit: Emit
    ) -> TurnResult:
        history: list[Message] = []
        usages: list[Usage] = []
        sources: dict[Source, None] = {}
        made: list[MediaPart] = []
        for _ in range(turn.limits.max_model_calls):
            await self._send_ahead(request, connection)
            answer = await self._answer(request, emit, connection)
            if answer.usage is not None:
                usages.append(answer.usage)
            sources |= dict.fromkeys(answer.sources)
            made += answer.media
            message = _message(answer)
            if made and not (answer.paused or message.tool_calls):  # what was made on the way, too
                message = message.model_copy(update={"parts": (*message.parts, *made)})
            if message.parts or not answer.paused:
                history.append(message)
            if answer.paused:
                self.go_on(request, answer, ())
                continue
            if not message.tool_calls:
                structured = self._structured(turn, answer)
                result = _result(history, usages, answer.stop_reason, structured)
                return result.model_copy(update={"sources": tuple(sources)})
            results = await _call_tools(turn, answer.calls, emit)
            history.append(Message(role="tool", parts=results))
            if any(result.ends_turn for result in results):
                return _result(history, usages, "tool")
            self.go_on(request, answer, results)
        raise LimitReached(
            f"the turn made {turn.limits.max_model_calls} model calls, as many as it may, and the "
            "model has not finished",
            agent_id=self.agent_id,
        )

    async def aclose(self) -> None:
        """Give back the clients."""
        while self._leases:
            await self._leases.popitem()[1].release()

    async def _answer(self, request: dict[str, Any], emit: Emit, connection: Connection) -> A:
        async def attempt() -> A:
            return await self._attempt(request, emit, connection)

        answer = await self._call_model(attempt, emit)
        await emit(ModelCallFinished(model=self.connection.model, usage=answer.usage))
        if answer.calls and answer.stop_reason == "length":
            raise LimitReached(
                f"{self.where}: the output limit was reached in the middle of a tool call",
                agent_id=self.agent_id,
            )
        return answer

    async def _attempt(self, request: dict[str, Any], emit: Emit, connection: Connection) -> A:
        client = await self.client_for(connection)
        try:
            return await self.ask(client, request, emit, connection)
        except Exception as error:  # SDKs let errors of their HTTP libraries through
            raise self._error(error) from error

    async def _send_ahead(self, request: dict[str, Any], connection: Connection) -> None:
        try:
            await self.send_ahead(request, connection)
        except UploadFailed as failed:
            cause = failed.__cause__
            assert isinstance(cause, Exception)  # noqa: S101 - narrows: `Uploads` sees to it
            error = self._error(cause, f"{self.where}: {failed}")
            raise (with_limit(error, self.connection) if is_silence(cause) else error) from cause
        except Exception as error:  # SDKs let errors of their HTTP libraries through
            raise self._error(error) from error

    def _error(self, error: Exception, where: str | None = None) -> AgentError:
        return model_call_error(
            error, where=where or self.where, agent_id=self.agent_id, sdk=self.sdk
        )

    async def _leased(self, address: str | None, connection: Connection) -> Lease[C]:
        if address is not None:
            connection = connection.model_copy(update={"api_key": None})
        async with self._leasing:
            lease = self._leases.get(address)
            if lease is None:
                lease = self._leases[address] = await self._clients.lease(connection)
            return lease

    def _structured(self, turn: Turn, answer: A) -> JsonValue | None:
        if turn.output_schema is None or answer.stop_reason == "refusal":
            return None
        return structured_answer(
            answer.text,
            stop_reason=answer.stop_reason,
            where=self.where,
            agent_id=self.agent_id,
        )


def _message(answer: ModelAnswer) -> Message:
    text = (TextPart(text=answer.text),) if answer.text else ()
    # A refusal stands in place of what the model was about to do.
    calls = () if answer.stop_reason == "refusal" else answer.calls
    return Message(role="assistant", parts=(*text, *calls))


async def _call_tools(turn: Turn, calls: Sequence[ToolCall], emit: Emit) -> tuple[ToolResult, ...]:
    """One result for each call, in order; once a tool ends the turn, no other is called."""
    results: list[ToolResult] = []
    ended = False
    for call in calls:
        if ended:
            result = not_called(call)
        else:
            await emit(ToolCallStarted(call=call))
            result = await turn.call_tool(call)
            await emit(ToolCallFinished(result=result))
        results.append(result)
        ended = ended or result.ends_turn
    return tuple(results)


def _result(
    history: Sequence[Message],
    usages: Sequence[Usage],
    stop_reason: StopReason,
    structured: JsonValue | None = None,
) -> TurnResult:
    message = next(one for one in reversed(history) if one.role == "assistant")
    return TurnResult(
        message=message,
        new_messages=tuple(history),
        stop_reason=stop_reason,
        structured=structured,
        usage=sum(usages[1:], usages[0]) if usages else None,
    )
