"""An agent that is one model behind a Chat Completions endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from massgen_bridge import (
    AgentContext,
    AgentCrashed,
    AgentError,
    Emit,
    JsonValue,
    LimitReached,
    Message,
    ModelCallFinished,
    TextPart,
    ToolCall,
    ToolCallFinished,
    ToolCallStarted,
    ToolResult,
    Turn,
    TurnResult,
    Usage,
)
from massgen_bridge.adapting import (
    chat_limit_parameter,
    chat_response_format,
    chat_tools,
    check_traits,
    structured_answer,
)
from massgen_bridge_openai._clients import Lease
from massgen_bridge_openai._convert import assistant_message, chat_messages
from massgen_bridge_openai._errors import agent_error
from massgen_bridge_openai._options import OpenAIOptions
from massgen_bridge_openai._stream import Answer, read_answer

__all__ = ["ChatAgent"]


class ChatAgent:
    """One model, asked again until it calls no more tools.

    The tools that a model calls at once are called one after the other, in its order: what a
    turn does never depends on which tool happens to be faster.
    """

    def __init__(self, context: AgentContext) -> None:
        if context.connection is None:
            raise AgentCrashed("an agent of kind 'openai' needs a model", agent_id=context.agent_id)
        self._agent_id = context.agent_id
        self._connection = context.connection
        self._options: OpenAIOptions = context.options
        self._call_model = context.call_model
        self._where = f"{self._connection.name!r} (model {self._connection.model!r})"
        self._lease: Lease | None = None

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        """Do one turn.

        Raises:
            AgentError: The turn failed; the class says how.
        """
        request = self._request(turn)
        history: list[Message] = []
        usages: list[Usage] = []
        for _ in range(turn.limits.max_model_calls):
            answer = await self._ask(request, emit)
            if answer.usage is not None:
                usages.append(answer.usage)
            message = _message(answer)
            history.append(message)
            if not message.tool_calls:
                structured = self._structured(turn, answer)
                return _result(history, usages, answer.stop_reason, structured)
            results = await _call_tools(turn, answer.calls, emit)
            history.append(Message(role="tool", parts=results))
            if any(result.ends_turn for result in results):
                return _result(history, usages, "tool")
            request["messages"] += _continuation(answer, results)
        raise LimitReached(
            f"the turn made {turn.limits.max_model_calls} model calls, as many as it may, and the "
            "model still calls tools",
            agent_id=self._agent_id,
        )

    async def aclose(self) -> None:
        """Give back the client."""
        lease, self._lease = self._lease, None
        if lease is not None:
            await lease.release()

    async def _ask(self, request: dict[str, Any], emit: Emit) -> Answer:
        async def attempt() -> Answer:
            return await self._attempt(request, emit)

        answer = await self._call_model(attempt, emit)
        await emit(ModelCallFinished(model=self._connection.model, usage=answer.usage))
        if answer.calls and answer.stop_reason == "length":
            raise LimitReached(
                f"{self._where}: the output limit was reached in the middle of a tool call",
                agent_id=self._agent_id,
            )
        return answer

    async def _attempt(self, request: dict[str, Any], emit: Emit) -> Answer:
        """Send one request and read its answer."""
        if self._lease is None:
            self._lease = Lease(self._connection)
        lease = self._lease
        try:
            async with await lease.stream(request) as chunks:
                return await read_answer(chunks, emit)
        except AgentError as error:
            raise type(error)(f"{self._where}: {error}", agent_id=self._agent_id) from error
        except Exception as error:  # the SDK lets errors of its HTTP library through
            raise agent_error(error, where=self._where, agent_id=self._agent_id) from error

    def _request(self, turn: Turn) -> dict[str, Any]:
        """The parameters of the turn's first model call; the messages grow with the turn."""
        connection = self._connection
        sampling = connection.sampling
        check_traits(turn, connection.traits, where=self._where, agent_id=self._agent_id)
        request: dict[str, Any] = {
            "model": connection.model,
            "messages": chat_messages(turn.messages, connection.traits.inputs),
            "stream": True,
            "stream_options": {"include_usage": True},
            **self._output_limit(turn),
            **{
                name: value
                for name in ("temperature", "top_p", "seed")
                if (value := getattr(sampling, name)) is not None
            },
        }
        if turn.tools:
            request["tools"] = chat_tools(turn.tools)
            if self._options.parallel_tool_calls is not None:
                request["parallel_tool_calls"] = self._options.parallel_tool_calls
        if turn.output_schema is not None:
            request["response_format"] = chat_response_format(turn.output_schema)
        return request | sampling.extra

    def _output_limit(self, turn: Turn) -> dict[str, int]:
        limit = turn.limits.max_output_tokens or self._connection.sampling.max_output_tokens
        if limit is None:
            return {}
        parameter = chat_limit_parameter(
            self._connection.base_url, self._options.max_tokens_parameter
        )
        return {parameter: limit}

    def _structured(self, turn: Turn, answer: Answer) -> JsonValue | None:
        if turn.output_schema is None or answer.stop_reason == "refusal":
            return None
        return structured_answer(
            answer.text,
            stop_reason=answer.stop_reason,
            where=self._where,
            agent_id=self._agent_id,
        )


def _message(answer: Answer) -> Message:
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
            reason = "not called: the turn had ended"
            result = ToolResult(call_id=call.call_id, name=call.name, content=reason, is_error=True)
        else:
            await emit(ToolCallStarted(call=call))
            result = await turn.call_tool(call)
            await emit(ToolCallFinished(result=result))
        results.append(result)
        ended = ended or result.ends_turn
    return tuple(results)


def _continuation(answer: Answer, results: Sequence[ToolResult]) -> list[dict[str, Any]]:
    message = assistant_message(answer.text, answer.calls)
    if answer.reasoning:
        message["reasoning_content"] = answer.reasoning
    return [message, *chat_messages((Message(role="tool", parts=tuple(results)),), ())]


def _result(
    history: Sequence[Message],
    usages: Sequence[Usage],
    stop_reason: Any,
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
