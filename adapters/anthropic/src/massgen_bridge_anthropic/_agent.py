"""An agent that is one model behind a Messages endpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

import anthropic

from massgen_bridge import AgentContext, Connection, Emit, ToolResult, Turn, UnsupportedContent
from massgen_bridge.adapting import ModelLoop, check_room
from massgen_bridge_anthropic._clients import CLIENTS, request_options, stream
from massgen_bridge_anthropic._convert import (
    blocks_of,
    conversation,
    output_format,
    tool_results,
    wire_tools,
)
from massgen_bridge_anthropic._files import LARGEST_REQUEST, ROOM, Files, fetch_made, inline_media
from massgen_bridge_anthropic._hosted import hosted_tools, made_files
from massgen_bridge_anthropic._options import AnthropicOptions
from massgen_bridge_anthropic._stream import Answer, read_answer

__all__ = ["MessagesAgent"]

# The protocol wants a limit. This one is within reach of all current models of Anthropic, and
# what a model does not use costs nothing.
_OUTPUT_LIMIT = 32_000
_ANSWER_BEYOND_THINKING = 8_000
# Others that speak the protocol keep prompts by themselves, or refuse to be asked.
_KEEPS = "anthropic"


class MessagesAgent(ModelLoop[anthropic.AsyncAnthropic, Answer]):
    """One model, asked by Messages."""

    sdk: ClassVar[str] = "anthropic"

    def __init__(self, context: AgentContext) -> None:
        super().__init__(context, CLIENTS)
        self._options: AnthropicOptions = context.options
        self._request_options = request_options(self.connection)
        self._hosted = hosted_tools(self._options)
        self._files = Files(lambda: self.client_for(self.connection))

    def first_request(self, turn: Turn) -> dict[str, Any]:
        """The body of the turn's first model call; the messages grow with the turn.

        Raises:
            UnsupportedContent: The protocol has no form for a part of the history, or for a
                setting of the connection.
        """
        connection = self.connection
        sampling = connection.sampling
        if sampling.seed is not None:
            raise UnsupportedContent(
                f"{self.where}: Messages has no 'seed'; leave it out of the connection, or give "
                "what the server has instead by 'extra_body'",
                agent_id=self.agent_id,
            )
        system, messages = conversation(turn.messages, connection.traits.inputs)
        limit = self._output_limit(turn)
        request: dict[str, Any] = {
            "model": connection.model,
            "max_tokens": limit,
            "messages": messages,
            "stream": True,
        }
        if system:
            request["system"] = system
        for name in ("temperature", "top_p"):
            if (value := getattr(sampling, name)) is not None:
                request[name] = value
        request |= self._tools(turn)
        if self._options.thinking is not None:
            request["thinking"] = self._thinking(limit)
        if output_config := self._output_config(turn):
            request["output_config"] = output_config
        if (kept := self._kept(turn)) is not None:
            request["cache_control"] = {"type": "ephemeral", "ttl": kept}
        return _with_extra(request, sampling.extra)

    async def send_ahead(self, request: dict[str, Any], connection: Connection) -> None:
        """Upload documents that a request has no room for.

        Raises:
            UnsupportedContent: The host's gateway stands before the provider, and the request has
                no room for them.
        """
        media = inline_media(request["messages"])
        if connection is self.connection:
            await self._files.send_ahead(media, room=ROOM)
        else:
            check_room(media, LARGEST_REQUEST)

    async def ask(
        self,
        client: anthropic.AsyncAnthropic,
        request: dict[str, Any],
        emit: Emit,
        connection: Connection,
    ) -> Answer:
        """Send one request and read its answer."""
        options = self._request_options
        if connection is not self.connection:
            options = request_options(connection, own_key=True)
        async with await stream(client, request, options) as events:
            answer = await read_answer(events, emit)
        if made := tuple(made_files(answer.blocks)):
            return replace(answer, media=await fetch_made(client, made, emit))
        return answer

    async def aclose(self) -> None:
        """Delete the files that were sent, and give back the clients."""
        await self._files.aclose()
        await super().aclose()

    def go_on(self, request: dict[str, Any], answer: Answer, results: Sequence[ToolResult]) -> None:
        """Add the model's message and the results of its calls."""
        if answer.container is not None:
            request["container"] = answer.container
        messages = request["messages"]
        last = messages[-1]
        if last["role"] == "assistant":  # it had paused, or a history's last words were its own
            last["content"] = [*blocks_of(last["content"]), *answer.blocks]
        elif answer.blocks:
            messages.append({"role": "assistant", "content": [*answer.blocks]})
        if results:
            messages.append(tool_results(results))

    def _output_limit(self, turn: Turn) -> int:
        connection = self.connection
        limit = turn.limits.max_output_tokens or connection.sampling.max_output_tokens
        if limit is not None:
            return limit
        thinking = self._options.thinking
        if isinstance(thinking, int):
            return max(_OUTPUT_LIMIT, thinking + _ANSWER_BEYOND_THINKING)
        window = connection.traits.context_window
        # Servers of one's own refuse what leaves no room for the prompt.
        return _OUTPUT_LIMIT if window is None else max(1, min(_OUTPUT_LIMIT, window // 2))

    def _tools(self, turn: Turn) -> dict[str, Any]:
        hosted = [] if turn.output_schema is not None else self._hosted
        if not (turn.tools or hosted):
            return {}
        tools = {"tools": [*wire_tools(turn.tools), *hosted]}
        parallel = self._options.parallel_tool_calls
        if not turn.tools or parallel is None:
            return tools
        choice = {"type": "auto", "disable_parallel_tool_use": not parallel}
        return {**tools, "tool_choice": choice}

    def _kept(self, turn: Turn) -> Literal["5m", "1h"] | None:
        """How long the provider is to keep the prompt."""
        if self._options.cache != "auto":
            return self._options.cache
        goes_on = any(not tool.ends_turn for tool in turn.tools)
        return "5m" if goes_on and self.connection.provider == _KEEPS else None

    def _thinking(self, limit: int) -> dict[str, Any]:
        options = self._options
        shown = {} if options.thinking_display is None else {"display": options.thinking_display}
        if not isinstance(options.thinking, int):
            return {"type": options.thinking, **shown}
        if options.thinking >= limit:
            raise UnsupportedContent(
                f"{self.where}: a model that may think for {options.thinking} tokens needs more "
                f"than the {limit} tokens of output that it may make; lower 'thinking', or raise "
                "'max_output_tokens'",
                agent_id=self.agent_id,
            )
        return {"type": "enabled", "budget_tokens": options.thinking, **shown}

    def _output_config(self, turn: Turn) -> dict[str, Any]:
        config: dict[str, Any] = {}
        if self._options.effort is not None:
            config["effort"] = self._options.effort
        if turn.output_schema is not None:
            config["format"] = output_format(turn.output_schema)
        return config


def _with_extra(request: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**request, **extra}
    own, added = request.get("output_config"), extra.get("output_config")
    if isinstance(own, dict) and isinstance(added, dict):  # one parameter, but several settings
        merged["output_config"] = {**own, **added}
    return merged
