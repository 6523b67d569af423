"""Agents on any OpenAI-style Chat Completions API.

Importing this package is cheap: the SDK is imported when an agent is made.
"""

from __future__ import annotations

from massgen_bridge import AdapterSpec, Agent, AgentContext, Capabilities, hookimpl
from massgen_bridge_openai._options import OpenAIOptions

__all__ = ["OpenAIOptions", "bridge_adapters"]


def _create(context: AgentContext) -> Agent:
    from massgen_bridge_openai._agent import ChatAgent  # noqa: PLC0415 - imports the SDK

    return ChatAgent(context)


@hookimpl
def bridge_adapters() -> list[AdapterSpec]:
    """Register the kind `openai`."""
    return [
        AdapterSpec(
            kind="openai",
            summary="A model behind any OpenAI-style Chat Completions API, through OpenAI's SDK",
            factory=_create,
            options=OpenAIOptions,
            capabilities=Capabilities(
                tools=True, structured=True, inputs=frozenset({"image", "audio", "document"})
            ),
            requires=("openai>=2.30,<4",),
            framework="openai",
            protocols=("chat",),
            needs_model=True,
            default_provider="openai",
        )
    ]
