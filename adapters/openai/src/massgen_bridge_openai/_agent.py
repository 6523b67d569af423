"""An agent that is one model behind an endpoint of OpenAI's protocols."""

from __future__ import annotations

from pathlib import Path

import openai

from massgen_bridge import Agent, AgentContext, ConfigError
from massgen_bridge.adapting import ChatLoop, ChatSdk, ResponsesLoop
from massgen_bridge_openai._options import OpenAIOptions
from massgen_bridge_openai._requests import chat_settings, hosted_tools, responses_settings

__all__ = ["SDK", "new_agent"]

SDK = ChatSdk(openai, name="massgen_bridge_openai_clients")
"""The SDK and the clients of all agents."""


def new_agent(context: AgentContext) -> Agent:
    """The agent, by the protocol of its connection.

    Raises:
        ConfigError: A file that it is to search is not there.
    """
    options: OpenAIOptions = context.options
    if context.connection is not None and context.connection.protocol == "responses":
        return ResponsesLoop(
            context,
            SDK,
            settings=responses_settings(options),
            hosted=hosted_tools(options),
            searched=_searched(context, options),
            parallel_tool_calls=options.parallel_tool_calls,
        )
    return ChatLoop(
        context,
        SDK,
        settings=chat_settings(options),
        parallel_tool_calls=options.parallel_tool_calls,
        max_tokens_parameter=options.max_tokens_parameter,
    )


def _searched(context: AgentContext, options: OpenAIOptions) -> list[Path]:
    if options.file_search is None:
        return []
    paths = [context.base_dir / name for name in options.file_search.files]
    for path in paths:
        if not path.is_file():
            raise ConfigError(
                f"agent {context.agent_id!r}: there is no file {str(path)!r}, which 'file_search' "
                "names; paths are relative to the configuration"
            )
    return paths
