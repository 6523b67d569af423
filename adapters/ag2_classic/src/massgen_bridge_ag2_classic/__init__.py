"""Agents and group chats of classic AG2, the generation that is also known as autogen.

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
from massgen_bridge_ag2_classic._options import (
    AgentConfig,
    ClassicOptions,
    CodeExecution,
    CodeExecutor,
)

__all__ = ["AgentConfig", "ClassicOptions", "CodeExecution", "CodeExecutor", "bridge_adapters"]

_CHAT_INPUTS: frozenset[InputKind] = frozenset({"image", "audio", "document"})
_OWN = Capabilities(
    streaming=False,
    history=False,
    inputs=frozenset({"image"}),
    group=True,
    cancellation="process",
)


def _create(context: AgentContext) -> Agent:
    options: ClassicOptions = context.options
    if options.chat is not None:
        from massgen_bridge_ag2_classic._own import OwnChat  # noqa: PLC0415 - heavy

        return OwnChat(context, options.chat, _OWN)
    if context.connection is None:
        raise ConfigError(
            f"agent {context.agent_id!r}: an agent of kind 'ag2_classic' needs either `model`, to "
            "make an agent or a group chat of it, or `chat`, the import path of your own"
        )
    if options.group is not None:
        from massgen_bridge_ag2_classic._group import GroupAgent  # noqa: PLC0415 - heavy

        return GroupAgent(context, options.group)
    from massgen_bridge_ag2_classic._single import SingleAgent  # noqa: PLC0415 - heavy

    return SingleAgent(context)


def _refine(options: ClassicOptions, traits: ModelTraits | None) -> Capabilities:
    if options.chat is not None:
        return _OWN
    traits = traits or ModelTraits()
    inputs = traits.inputs & _CHAT_INPUTS
    group = options.group
    return Capabilities(
        # The words of a group are its answer where the last one's, uncut, are.
        streaming=group is None or (group.answer == "last" and group.termination.phrase is None),
        tools=traits.tools,
        structured=traits.structured,
        inputs=inputs,
        tool_media=inputs,
        group=group is not None,
    )


def _needs_person(options: ClassicOptions) -> bool:
    manual = options.group is not None and options.group.pattern == "manual"
    return (
        manual
        or options.agent_config.human_input_mode == "ALWAYS"
        or (options.human_input == "ask")
    )


def _redirects(options: ClassicOptions) -> bool:
    return options.chat is not None and options.models == "gateway"


@hookimpl
def bridge_adapters() -> list[AdapterSpec]:
    """Register the kind `ag2_classic`."""
    return [
        AdapterSpec(
            kind="ag2_classic",
            summary="An agent or a group chat of classic AG2 (autogen): from YAML, or your own",
            factory=_create,
            options=ClassicOptions,
            capabilities=Capabilities(
                tools=True, structured=True, inputs=_CHAT_INPUTS, tool_media=_CHAT_INPUTS
            ),
            refine=_refine,
            requires=("autogen[openai]>=0.12,<1",),
            framework="autogen",
            python=">=3.11",
            own_process=True,
            redirects=_redirects,
            protocols=("chat",),
            default_provider="openai",
            imports_code=("chat",),
            needs_person=_needs_person,
        )
    ]
