"""Agents on OpenAI's Responses API, and on any OpenAI-style Chat Completions API.

Importing this package is cheap: the SDK is imported when an agent is made.
"""

from __future__ import annotations

from massgen_bridge import (
    AdapterSpec,
    Agent,
    AgentContext,
    Capabilities,
    Connection,
    KindAlias,
    hookimpl,
)
from massgen_bridge_openai._options import OpenAIOptions

__all__ = ["OpenAIOptions", "bridge_adapters"]

_ALIASES = (
    KindAlias(
        name="chatcompletion",
        summary="by Chat Completions alone, whatever else the provider speaks",
        protocols=("chat",),
    ),
    KindAlias(name="azure_openai", summary="with deployments of Azure OpenAI", provider="azure"),
    KindAlias(name="grok", summary="with models of xAI", provider="xai"),
    KindAlias(name="zai", summary="with models of Z.ai", provider="zai"),
    KindAlias(
        name="lmstudio",
        summary="with the models of LM Studio on this machine",
        provider="lmstudio",
    ),
    KindAlias(
        name="vllm", summary="with the models of a vLLM server on this machine", provider="vllm"
    ),
    KindAlias(
        name="sglang",
        summary="with the models of an SGLang server on this machine",
        provider="sglang",
    ),
    KindAlias(
        name="inference",
        summary="with a server of your own: 'model' names a connection with its 'base_url'",
        protocols=("chat",),
        needs_connection=True,
    ),
)


def _check(options: OpenAIOptions, connection: Connection) -> None:
    from massgen_bridge_openai._requests import check_options  # noqa: PLC0415 - not to list kinds

    check_options(options, connection)


def _create(context: AgentContext) -> Agent:
    from massgen_bridge_openai._agent import new_agent  # noqa: PLC0415 - imports the SDK

    if context.connection is not None:
        _check(context.options, context.connection)
    return new_agent(context)


@hookimpl
def bridge_adapters() -> list[AdapterSpec]:
    """Register the kind `openai`."""
    return [
        AdapterSpec(
            kind="openai",
            summary="A model behind OpenAI's Responses API, or behind any OpenAI-style Chat "
            "Completions API, through OpenAI's SDK",
            factory=_create,
            options=OpenAIOptions,
            capabilities=Capabilities(
                tools=True,
                structured=True,
                inputs=frozenset({"image", "audio", "document"}),
                tool_media=frozenset({"image", "document"}),
            ),
            check=_check,
            requires=("openai>=2.30,<4",),
            framework="openai",
            protocols=("responses", "chat"),
            needs_model=True,
            default_provider="openai",
            aliases=_ALIASES,
        )
    ]
