"""LangChain agents, LangGraph graphs and Runnables as agents.

Importing this package is cheap: LangChain is imported when an agent is made.
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
from massgen_bridge_langchain._options import LangChainOptions

__all__ = ["LangChainOptions", "bridge_adapters"]

_CHAT_INPUTS: frozenset[InputKind] = frozenset({"image", "audio", "document"})
_ALL_INPUTS: frozenset[InputKind] = _CHAT_INPUTS | {"video"}


def _create(context: AgentContext) -> Agent:
    options: LangChainOptions = context.options
    if _redirected(options) and context.connection is None:
        raise ConfigError(
            f"agent {context.agent_id!r}: `models: gateway` puts the agent's model in place of the "
            "graph's own; say which, with `model`"
        )
    if options.graph is not None:
        from massgen_bridge_langchain._graph_agent import GraphAgent  # noqa: PLC0415 - heavy

        return GraphAgent(context, path=options.graph)
    if context.connection is None:
        raise ConfigError(
            f"agent {context.agent_id!r}: an agent of kind 'langchain' needs either `model`, to "
            "make a LangChain agent of it, or `graph`, the import path of your own graph"
        )
    from massgen_bridge_langchain._model_agent import ModelAgent  # noqa: PLC0415 - heavy

    return ModelAgent(context, context.connection)


def _refine(options: LangChainOptions, traits: ModelTraits | None) -> Capabilities:
    if options.graph is not None:
        # Without one of the bridge's models, what the graph's own ones take is for it to say.
        inputs = _ALL_INPUTS if traits is None else traits.inputs & _CHAT_INPUTS
        messages = options.takes_messages
        return Capabilities(
            history=messages, inputs=inputs if messages else frozenset(), group=True
        )
    traits = traits or ModelTraits()
    inputs = traits.inputs & _CHAT_INPUTS
    return Capabilities(
        tools=traits.tools, structured=traits.structured, inputs=inputs, tool_media=inputs
    )


def _redirected(options: LangChainOptions) -> bool:
    return options.models == "gateway"


@hookimpl
def bridge_adapters() -> list[AdapterSpec]:
    """Register the kind `langchain`."""
    return [
        AdapterSpec(
            kind="langchain",
            summary="A LangChain agent from YAML, or your own LangGraph graph or Runnable",
            factory=_create,
            options=LangChainOptions,
            capabilities=Capabilities(
                tools=True, structured=True, inputs=_ALL_INPUTS, tool_media=_CHAT_INPUTS
            ),
            refine=_refine,
            requires=("langchain>=1.4,<2", "langchain-openai>=1.7,<2"),
            framework="langchain",
            protocols=("chat",),
            redirects=_redirected,
            default_provider="openai",
            imports_code=("graph", "middleware"),
        )
    ]
