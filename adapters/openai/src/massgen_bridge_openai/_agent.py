"""An agent that is one model behind a Chat Completions endpoint."""

from __future__ import annotations

import openai

from massgen_bridge import AgentContext
from massgen_bridge.adapting import ChatLoop, ChatSdk
from massgen_bridge_openai._options import OpenAIOptions

__all__ = ["SDK", "ChatAgent"]

SDK = ChatSdk(openai, name="massgen_bridge_openai_clients")
"""The SDK and the clients of all agents."""


class ChatAgent(ChatLoop):
    """One model, asked by Chat Completions."""

    def __init__(self, context: AgentContext) -> None:
        options: OpenAIOptions = context.options
        super().__init__(
            context,
            SDK,
            parallel_tool_calls=options.parallel_tool_calls,
            max_tokens_parameter=options.max_tokens_parameter,
        )
