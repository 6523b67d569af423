"""The model of a user's own agent, put in place of the one that it was made with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from ag2.config.openai.mappers import convert_messages, response_proto_to_schema, tool_to_api
from ag2.context import ConversationContext
from ag2.events import (
    BaseEvent,
    ModelMessage,
    ModelMessageChunk,
    ModelReasoning,
    ModelResponse,
    ToolCallEvent,
    ToolCallsEvent,
    Usage,
)
from ag2.response import ResponseProto
from ag2.tools.schemas import ToolSchema

from massgen_bridge import ReasoningDelta, TextDelta, TurnEvent
from massgen_bridge.adapting import ChatAnswer
from massgen_bridge_ag2._model import TurnModel

__all__ = ["RedirectedModel"]


class RedirectedModel(TurnModel):
    """Makes the model calls of a user's agent as calls of the turn.

    AG2's own client leaves a stream open where a turn is cancelled, and takes one that breaks off
    for a whole answer.
    """

    async def __call__(
        self,
        messages: Sequence[BaseEvent],
        context: ConversationContext,
        *,
        tools: Iterable[ToolSchema],
        response_schema: ResponseProto[Any] | None,
        serializer: Any,
    ) -> ModelResponse:
        """Make a model call.

        Raises:
            AgentError: The call failed.
        """
        prompt = list(context.prompt)
        if response_schema is not None and response_schema.system_prompt:
            prompt.append(response_schema.system_prompt)
        converted: list[Any] = list(convert_messages(prompt, messages, serializer))
        body: dict[str, Any] = {"messages": converted if prompt else converted[1:]}
        if schemas := [tool_to_api(schema) for schema in tools]:
            body["tools"] = schemas
        if form := response_proto_to_schema(response_schema):
            body["response_format"] = form
        emit = self._calls.course.emit

        async def tell(event: TurnEvent, /) -> None:
            await emit(event)
            match event:  # the user's observers hear of it, too
                case TextDelta(text=text):
                    await context.send(ModelMessageChunk(text))
                case ReasoningDelta(text=text):
                    await context.send(ModelReasoning(text))

        answer = await self._calls.ask(body, emit=tell)
        return await self._response(answer, context)

    async def _response(self, answer: ChatAnswer, context: ConversationContext) -> ModelResponse:
        message = ModelMessage(answer.text) if answer.text else None
        if message is not None:
            await context.send(message)
        calls = () if answer.stop_reason == "refusal" else answer.calls
        usage = answer.usage
        return ModelResponse(
            message=message,
            tool_calls=ToolCallsEvent(
                [
                    ToolCallEvent(
                        call.name,
                        id=call.call_id,
                        arguments=call.malformed or json.dumps(call.arguments),
                    )
                    for call in calls
                ]
            ),
            usage=Usage()
            if usage is None
            else Usage(
                prompt_tokens=usage.input_tokens,
                completion_tokens=usage.output_tokens,
                total_tokens=usage.input_tokens + usage.output_tokens,
                cache_read_input_tokens=usage.cached_tokens,
            ),
            model=self.model,
            provider="openai",
            finish_reason=answer.stop_reason,
        )
