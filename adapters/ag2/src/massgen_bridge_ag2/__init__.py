"""AG2 agents and group chats as agents.

Importing this package is cheap: AG2 is imported when an agent is made.
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
from massgen_bridge_ag2._options import AG2Options

__all__ = ["AG2Options", "bridge_adapters"]

_CHAT_INPUTS: frozenset[InputKind] = frozenset({"image", "audio", "document"})
_ALL_INPUTS: frozenset[InputKind] = _CHAT_INPUTS | {"video"}


def _create(context: AgentContext) -> Agent:
    options: AG2Options = context.options
    if options.network is not None:
        from massgen_bridge_ag2._own_network import OwnNetwork  # noqa: PLC0415 - heavy

        return OwnNetwork(context, path=options.network)
    if options.agent is not None:
        from massgen_bridge_ag2._own_agent import OwnAgent  # noqa: PLC0415 - heavy

        return OwnAgent(context, path=options.agent)
    if context.connection is None:
        raise ConfigError(
            f"agent {context.agent_id!r}: an agent of kind 'ag2' needs `model`, to make an AG2 "
            "agent or a group of them, or the import path of your own as `agent` or `network`"
        )
    if options.group is not None:
        from massgen_bridge_ag2._group import GroupAgent  # noqa: PLC0415 - heavy

        return GroupAgent(context, context.connection, options.group)
    from massgen_bridge_ag2._model_agent import ModelAgent  # noqa: PLC0415 - heavy

    return ModelAgent(context, context.connection)


def _refine(options: AG2Options, traits: ModelTraits | None) -> Capabilities:
    if options.network is not None:
        return Capabilities(streaming=False, history=False, group=True)
    if options.agent is not None:
        # What the object's own model takes is for it to say.
        if options.models == "own" or traits is None:
            return Capabilities(inputs=_ALL_INPUTS)
        return Capabilities(inputs=traits.inputs & _CHAT_INPUTS)
    traits = traits or ModelTraits()
    inputs = traits.inputs & _CHAT_INPUTS
    if options.group is not None:
        return Capabilities(
            streaming=False,
            tools=traits.tools,
            structured=traits.structured,
            inputs=inputs,
            tool_media=inputs,
            group=True,
        )
    return Capabilities(
        tools=traits.tools, structured=traits.structured, inputs=inputs, tool_media=inputs
    )


def _redirects(options: AG2Options) -> bool:
    return options.models == "gateway"


def _needs_person(options: AG2Options) -> bool:
    return options.group is not None and options.group.pattern == "manual"


@hookimpl
def bridge_adapters() -> list[AdapterSpec]:
    """Register the kind `ag2`."""
    return [
        AdapterSpec(
            kind="ag2",
            summary="An AG2 agent or group chat from YAML, or your own",
            factory=_create,
            options=AG2Options,
            capabilities=Capabilities(
                tools=True,
                structured=True,
                inputs=_ALL_INPUTS,
                tool_media=_CHAT_INPUTS,
                group=True,
            ),
            refine=_refine,
            requires=("ag2[openai]>=1.2,<2",),
            framework="ag2",
            redirects=_redirects,
            protocols=("chat",),
            default_provider="openai",
            imports_code=("agent", "network"),
            needs_person=_needs_person,
        )
    ]
