"""Agents of the kind `your_name`: a model behind OpenAI's SDK.

Importing this package is cheap, because massgen-bridge does so to list the kinds of agents. The
SDK is imported by `_agent`, when the first agent is made.
"""

from __future__ import annotations

from massgen_bridge import AdapterSpec, Agent, AgentContext, Capabilities, hookimpl

__all__ = ["bridge_adapters"]


def _create(context: AgentContext) -> Agent:
    from massgen_bridge_your_name._agent import ModelAgent

    return ModelAgent(context)


@hookimpl
def bridge_adapters() -> list[AdapterSpec]:
    """Register the kind `your_name`."""
    return [
        AdapterSpec(
            kind="your_name",
            summary="A model behind OpenAI's SDK.",
            factory=_create,
            # At best: massgen-bridge cuts it down to what the model of a configuration can do.
            capabilities=Capabilities(tools=True),
            requires=["openai>=2.30"],
            protocols=["chat"],
            needs_model=True,
        )
    ]
