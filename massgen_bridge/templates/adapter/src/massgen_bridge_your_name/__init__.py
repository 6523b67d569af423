"""Agents of the kind `your_name`.

Importing this package is cheap, because massgen-bridge does so to list the kinds of agents. The
framework is imported by `_agent`, when the first agent is made.
"""

from __future__ import annotations

from massgen_bridge import AdapterSpec, Agent, AgentContext, hookimpl

from massgen_bridge_your_name._options import CAPABILITIES, FirstWordsOptions

__all__ = ["FirstWordsOptions", "bridge_adapters"]


def _create(context: AgentContext) -> Agent:
    from massgen_bridge_your_name._agent import FirstWordsAgent

    return FirstWordsAgent(context.options)


@hookimpl
def bridge_adapters() -> list[AdapterSpec]:
    """Register the kind `your_name`."""
    return [
        AdapterSpec(
            kind="your_name",
            summary="Answers with the first words of the question.",
            factory=_create,
            options=FirstWordsOptions,
            capabilities=CAPABILITIES,
            # The framework with its oldest good version, for example ["a-framework>=2.1"]; it also
            # belongs to the dependencies in pyproject.toml.
            requires=[],
            # For agents that use a model: protocols=["chat"], needs_model=True. The model is then
            # `context.connection`, and the test class is ModelAgentConformance.
        )
    ]
