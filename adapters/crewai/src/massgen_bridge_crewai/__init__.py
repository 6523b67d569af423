"""CrewAI's agents, crews and flows as agents.

Importing this package is cheap: CrewAI is imported when an agent is made.
"""

from __future__ import annotations

from massgen_bridge import (
    AdapterSpec,
    Agent,
    AgentContext,
    Capabilities,
    ConfigError,
    InputKind,
    ModelTraits,
    hookimpl,
)
from massgen_bridge_crewai._options import CrewAIOptions
from massgen_bridge_crewai._prepare import prepare

__all__ = ["CrewAIOptions", "bridge_adapters"]

_INPUTS: frozenset[InputKind] = frozenset({"image"})


def _create(context: AgentContext) -> Agent:
    prepare(context.workspace)
    options: CrewAIOptions = context.options
    agent = _made(context, options)
    from massgen_bridge_crewai._flows import settle_flows  # noqa: PLC0415 - heavy

    settle_flows()
    return agent


def _made(context: AgentContext, options: CrewAIOptions) -> Agent:
    if options.path is None and context.connection is None:
        raise ConfigError(
            f"agent {context.agent_id!r}: an agent of kind 'crewai' needs either `model`, to make "
            "a CrewAI agent or crew of it, or `crew` or `flow`, the import path of your own"
        )
    if options.is_group or context.connection is None:
        from massgen_bridge_crewai._group_agent import GroupAgent  # noqa: PLC0415 - heavy

        return GroupAgent(context)
    from massgen_bridge_crewai._model_agent import ModelAgent  # noqa: PLC0415 - heavy

    return ModelAgent(context, context.connection)


def _refine(options: CrewAIOptions, traits: ModelTraits | None) -> Capabilities:
    if options.is_group:
        # The user's own objects may have models that only the end of their process stops.
        own = options.path is not None
        return Capabilities(
            streaming=False,
            history=False,
            group=True,
            cancellation="process" if own else "cooperative",
        )
    traits = traits or ModelTraits()
    inputs = traits.inputs & _INPUTS
    return Capabilities(
        tools=traits.tools, structured=traits.structured, inputs=inputs, tool_media=inputs
    )


def _redirected(options: CrewAIOptions) -> bool:
    return options.models == "gateway"


@hookimpl
def bridge_adapters() -> list[AdapterSpec]:
    """Register the kind `crewai`."""
    return [
        AdapterSpec(
            kind="crewai",
            summary="A CrewAI agent from YAML, or your own crew or flow",
            factory=_create,
            options=CrewAIOptions,
            capabilities=Capabilities(
                tools=True, structured=True, inputs=_INPUTS, tool_media=_INPUTS
            ),
            refine=_refine,
            requires=("crewai>=1.15.24,<2",),
            framework="crewai",
            python=">=3.11,<3.14",
            own_process=True,
            redirects=_redirected,
            protocols=("chat",),
            default_provider="openai",
            imports_code=("crew", "flow"),
        )
    ]
