"""The model of CrewAI's agents: each call is a call of the turn that they work in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any, Self

from crewai.llms.base_llm import BaseLLM
from pydantic import BaseModel, PrivateAttr

from massgen_bridge import ModelTraits, ProtocolFailed, ToolCall, UnsupportedContent
from massgen_bridge.adapting import ChatAnswer, chat_response_format, chat_settings
from massgen_bridge_crewai._running import ModelAccess, Running, TurnOver

__all__ = ["BridgeLLM", "wire_call"]

_ENDLESS = 2**31
# What Chat Completions knows of a message; CrewAI keeps notes of its own in it.
_WIRE_KEYS = ("role", "content", "name", "tool_calls", "tool_call_id")


class BridgeLLM(BaseLLM):
    """A model behind a connection of massgen-bridge, good for one turn.

    It blocks, as CrewAI's agents want it; the request itself is made in the event loop.
    """

    llm_type: str = "massgen-bridge"
    _running: Running = PrivateAttr()
    _access: ModelAccess = PrivateAttr()
    _max_tokens_parameter: Any = PrivateAttr(default="auto")

    @classmethod
    def of(
        cls, running: Running, access: ModelAccess, *, max_tokens_parameter: str = "auto"
    ) -> Self:
        """The model of a turn.

        Args:
            running: The turn.
            access: The way to the model.
            max_tokens_parameter: The request parameter that limits the output.
        """
        llm = cls(model=access.connection.model, provider="massgen-bridge")
        llm._running, llm._access = running, access
        llm._max_tokens_parameter = max_tokens_parameter
        return llm

    # --- what CrewAI asks of a model --------------------------------------------------------------

    def supports_function_calling(self) -> bool:
        """Whether tools are offered as such; else CrewAI describes them in words."""
        return self._traits.tools

    def supports_stop_words(self) -> bool:
        """No: some models refuse them, and CrewAI can do without."""
        return False

    def get_context_window_size(self) -> int:
        """Tokens; without end where nobody knows, for CrewAI shortens histories by this."""
        return self._traits.context_window or _ENDLESS

    def get_input_tokens_count(self, *args: Any, **kwargs: Any) -> int:  # noqa: ARG002 - CrewAI's signature
        """Nothing: what is too long is refused by the model, and told as that."""
        return 0

    @property
    def _traits(self) -> ModelTraits:
        return self._access.connection.traits

    # --- calls ------------------------------------------------------------------------------------

    def call(  # noqa: PLR0917 - CrewAI's signature
        self,
        messages: str | list[Any],
        tools: list[Any] | None = None,
        callbacks: list[Any] | None = None,  # noqa: ARG002 - usage is counted by the turn
        available_functions: dict[str, Any] | None = None,
        from_task: Any = None,
        from_agent: Any = None,
        response_model: type[BaseModel] | None = None,
    ) -> Any:
        """Ask the model.

        Args:
            messages: What CrewAI says to it.
            tools: What it may call, in OpenAI's form.
            callbacks: Not used.
            available_functions: What a call of it is answered with at once; without them, its
                calls are CrewAI's to make.
            from_task: The task that it is for.
            from_agent: The member who asks.
            response_model: What the answer has to be.

        Raises:
            TurnOver: The call failed, or may not be made.
        """
        request = self._request(messages, tools, response_model)
        answer = self._running.ask(self._access, request, _name(from_agent))
        self._count(answer)
        if answer.calls and answer.stop_reason != "refusal":
            if not available_functions:
                return [wire_call(one.call_id, one.name, _arguments(one)) for one in answer.calls]
            call = answer.calls[0]
            return self._handle_tool_execution(
                function_name=call.name,
                function_args=dict(call.arguments),
                available_functions=available_functions,
                from_task=from_task,
                from_agent=from_agent,
            )
        if not answer.text:
            self._fail(
                ProtocolFailed(f"{self._access.where}: the model gave an empty answer to CrewAI")
            )
        return self._validate_structured_output(answer.text, response_model)

    async def acall(self, *args: Any, **kwargs: Any) -> Any:
        """Ask the model from one of CrewAI's own event loops."""
        return await asyncio.to_thread(self.call, *args, **kwargs)

    def _request(
        self,
        messages: str | Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None,
        response_model: type[BaseModel] | None,
    ) -> dict[str, Any]:
        connection = self._access.connection
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
        request: dict[str, Any] = {
            **chat_settings(
                connection,
                max_output_tokens=self._running.turn.limits.max_output_tokens,
                max_tokens_parameter=self._max_tokens_parameter,
            ),
            "messages": self._wire_messages(messages),
        }
        if tools:
            request["tools"] = list(tools)
        if response_model is not None and self._traits.structured:
            request["response_format"] = chat_response_format(response_model.model_json_schema())
        return request | connection.sampling.extra

    def _wire_messages(self, messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        return [self._wire_message(message) for message in messages]

    def _wire_message(self, message: Mapping[str, Any]) -> dict[str, Any]:
        if message.get("files"):
            self._fail(
                UnsupportedContent(
                    f"{self._access.where}: files of a crew cannot be carried; leave out "
                    "`input_files`"
                )
            )
        return {key: message[key] for key in _WIRE_KEYS if key in message}

    def _fail(self, error: Exception) -> None:
        self._running.fail(error)
        raise TurnOver

    def _count(self, answer: ChatAnswer) -> None:
        """Let CrewAI's own figures be right, too."""
        usage = answer.usage
        if usage is not None:
            self._track_token_usage_internal(
                {
                    "prompt_tokens": usage.input_tokens,
                    "completion_tokens": usage.output_tokens,
                    "total_tokens": usage.input_tokens + usage.output_tokens,
                    "cached_prompt_tokens": usage.cached_tokens,
                }
            )


def wire_call(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    """A tool call in the form in which CrewAI takes it from a model."""
    function = {"name": name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function}


def _arguments(call: ToolCall) -> str:
    if call.malformed is not None:
        return call.malformed
    return json.dumps(call.arguments, ensure_ascii=False)


def _name(agent: Any) -> str | None:
    role = getattr(agent, "role", None)
    return role.strip() if isinstance(role, str) and role.strip() else None
