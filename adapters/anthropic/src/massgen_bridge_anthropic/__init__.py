"""Claude, and any other model behind an Anthropic-style Messages API.

Importing this package is cheap: the SDK is imported when an agent is made.
"""

from __future__ import annotations

from massgen_bridge import AdapterSpec, Agent, AgentContext, Capabilities, KindAlias, hookimpl
from massgen_bridge_anthropic._options import AnthropicOptions

__all__ = ["AnthropicOptions", "bridge_adapters"]


def _create(context: AgentContext) -> Agent:
    from massgen_bridge_anthropic._agent import MessagesAgent  # noqa: PLC0415 - imports the SDK

    return MessagesAgent(context)


@hookimpl
def bridge_adapters() -> list[AdapterSpec]:
    """Register the kind `anthropic`."""
    return [
        AdapterSpec(
            kind="anthropic",
            summary="Claude, or any model behind an Anthropic-style Messages API, through "
            "Anthropic's SDK",
            factory=_create,
            options=AnthropicOptions,
            capabilities=Capabilities(
                tools=True,
                structured=True,
                inputs=frozenset({"image", "document"}),
                tool_media=frozenset({"image", "document"}),
            ),
            requires=("anthropic>=1.9,<3",),
            framework="anthropic",
            protocols=("messages",),
            needs_model=True,
            default_provider="anthropic",
            aliases=(KindAlias(name="claude", summary="the same", provider="anthropic"),),
        )
    ]
