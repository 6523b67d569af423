"""The providers that massgen-bridge knows; a plugin like any other.

The traits are careful ones: `structured` stands only where a JSON Schema holds for all chat models
of the provider, and `inputs` only where its models are known to take them. A configuration
overrides them for the model that it names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from massgen_bridge.connection import ModelTraits
from massgen_bridge.hookspecs import hookimpl
from massgen_bridge.models.addresses import host_within, is_loopback
from massgen_bridge.specs import ProviderSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "ASSIGNED_AT_RUN_TIME",
    "LOCAL",
    "PROVIDERS",
    "bridge_providers",
    "provider_for_url",
    "trusted_hosts",
]

LOCAL: Final = "local"
"""Name of the provider whose server a run starts itself."""

ASSIGNED_AT_RUN_TIME: Final = ""
"""Stands for an address that is known only once a server has been started."""

_SEES = ModelTraits()
_SEES_UNSHAPED = ModelTraits(structured=False)
_READS = ModelTraits(inputs=frozenset())
_READS_UNSHAPED = ModelTraits(structured=False, inputs=frozenset())

# Further hosts that belong to a provider: its keys may go there.
_OTHER_HOSTS: Mapping[str, tuple[str, ...]] = {
    "azure": ("openai.azure.com", "services.ai.azure.com", "cognitiveservices.azure.com"),
    "moonshot": ("api.moonshot.cn",),
    "nebius": ("api.studio.nebius.ai", "api.studio.nebius.com"),
    "ollama": ("ollama.com",),
    "together": ("api.together.xyz",),
    "zai": ("open.bigmodel.cn",),
}

_HOSTED = (
    ProviderSpec(
        name="openai",
        summary="OpenAI",
        base_urls={
            "chat": "https://api.openai.com/v1",
            "responses": "https://api.openai.com/v1",
        },
        key_variables=("OPENAI_API_KEY",),
        traits=ModelTraits(inputs=frozenset({"image", "document"})),
        prices_id="openai",
    ),
    ProviderSpec(
        name="anthropic",
        summary="Anthropic: Claude",
        base_urls={"messages": "https://api.anthropic.com"},
        key_variables=("ANTHROPIC_API_KEY",),
        traits=ModelTraits(inputs=frozenset({"image", "document"})),
        prices_id="anthropic",
    ),
    ProviderSpec(
        name="gemini",
        summary="Google: Gemini",
        base_urls={
            "gemini": "https://generativelanguage.googleapis.com",
            "chat": "https://generativelanguage.googleapis.com/v1beta/openai",
        },
        key_variables=("GOOGLE_API_KEY", "GEMINI_API_KEY"),
        traits=ModelTraits(inputs=frozenset({"image", "audio"})),
        prices_id="google",
    ),
    ProviderSpec(
        name="azure",
        summary="Azure OpenAI, through its v1 API; the model is the name of the deployment",
        base_urls={
            "chat": "${AZURE_OPENAI_ENDPOINT}/openai/v1",
            "responses": "${AZURE_OPENAI_ENDPOINT}/openai/v1",
        },
        key_variables=("AZURE_OPENAI_API_KEY",),
        traits=_SEES,
        prices_id="azure",
    ),
    ProviderSpec(
        name="openrouter",
        summary="OpenRouter: models of many providers behind one key",
        base_urls={
            "chat": "https://openrouter.ai/api/v1",
            "messages": "https://openrouter.ai/api",
            "responses": "https://openrouter.ai/api/v1",
        },
        key_variables=("OPENROUTER_API_KEY",),
        # It drops parameters that a model does not know without a word.
        traits=_SEES_UNSHAPED,
        prices_id="openrouter",
    ),
    ProviderSpec(
        name="groq",
        summary="Groq",
        base_urls={
            "chat": "https://api.groq.com/openai/v1",
            "responses": "https://api.groq.com/openai/v1",
        },
        key_variables=("GROQ_API_KEY",),
        traits=_SEES_UNSHAPED,
        prices_id="groq",
    ),
    ProviderSpec(
        name="together",
        summary="Together AI",
        base_urls={"chat": "https://api.together.ai/v1"},
        key_variables=("TOGETHER_API_KEY",),
        traits=_SEES_UNSHAPED,
        prices_id="together",
    ),
    ProviderSpec(
        name="cerebras",
        summary="Cerebras",
        base_urls={"chat": "https://api.cerebras.ai/v1"},
        key_variables=("CEREBRAS_API_KEY",),
        traits=_READS,
        prices_id="cerebras",
    ),
    ProviderSpec(
        name="fireworks",
        summary="Fireworks AI",
        base_urls={"chat": "https://api.fireworks.ai/inference/v1"},
        key_variables=("FIREWORKS_API_KEY",),
        traits=_SEES,
        prices_id="fireworks",
    ),
    ProviderSpec(
        name="deepseek",
        summary="DeepSeek",
        base_urls={
            "chat": "https://api.deepseek.com",
            "messages": "https://api.deepseek.com/anthropic",
        },
        key_variables=("DEEPSEEK_API_KEY",),
        traits=_READS_UNSHAPED,
        prices_id="deepseek",
    ),
    ProviderSpec(
        name="mistral",
        summary="Mistral AI",
        base_urls={"chat": "https://api.mistral.ai/v1"},
        key_variables=("MISTRAL_API_KEY",),
        traits=_SEES,
        prices_id="mistral",
    ),
    ProviderSpec(
        name="xai",
        summary="xAI: Grok",
        base_urls={"chat": "https://api.x.ai/v1", "responses": "https://api.x.ai/v1"},
        key_variables=("XAI_API_KEY",),
        traits=_SEES,
        prices_id="x-ai",
    ),
    ProviderSpec(
        name="zai",
        summary="Z.ai: GLM",
        base_urls={
            "chat": "https://api.z.ai/api/paas/v4",
            "messages": "https://api.z.ai/api/anthropic",
        },
        key_variables=("ZAI_API_KEY",),
        traits=_SEES_UNSHAPED,
        prices_id="zai",
    ),
    ProviderSpec(
        name="moonshot",
        summary="Moonshot AI: Kimi",
        base_urls={
            "chat": "https://api.moonshot.ai/v1",
            "messages": "https://api.moonshot.ai/anthropic",
            "responses": "https://api.moonshot.ai/v1",
        },
        key_variables=("MOONSHOT_API_KEY", "KIMI_API_KEY"),
        traits=_SEES_UNSHAPED,
        prices_id="moonshotai",
    ),
    ProviderSpec(
        name="nebius",
        summary="Nebius Token Factory",
        base_urls={"chat": "https://api.tokenfactory.nebius.com/v1"},
        key_variables=("NEBIUS_API_KEY",),
        traits=_SEES_UNSHAPED,
        # Not in the price list: its prices are unknown, not zero.
        prices_id="nebius",
    ),
)

_SELF_HOSTED = (
    ProviderSpec(
        name="ollama",
        summary="Ollama on this machine; base_url for another one",
        base_urls={
            "chat": "http://localhost:11434/v1",
            "messages": "http://localhost:11434",
            "responses": "http://localhost:11434/v1",
        },
        key_variables=("OLLAMA_API_KEY",),
        needs_key=False,
        traits=_READS,
    ),
    ProviderSpec(
        name="lmstudio",
        summary="LM Studio on this machine; base_url for another one",
        base_urls={
            "chat": "http://localhost:1234/v1",
            "messages": "http://localhost:1234",
            "responses": "http://localhost:1234/v1",
        },
        key_variables=("LM_API_TOKEN",),
        needs_key=False,
        traits=_READS,
    ),
    ProviderSpec(
        name="vllm",
        summary="A vLLM server, or any server with the OpenAI protocol; base_url says where",
        base_urls={
            "chat": "http://localhost:8000/v1",
            "messages": "http://localhost:8000",
            "responses": "http://localhost:8000/v1",
        },
        key_variables=("VLLM_API_KEY",),
        needs_key=False,
        traits=_READS,
    ),
    ProviderSpec(
        name="sglang",
        summary="An SGLang server; base_url says where",
        base_urls={"chat": "http://localhost:30000/v1"},
        key_variables=("SGLANG_API_KEY",),
        needs_key=False,
        traits=_READS,
    ),
    ProviderSpec(
        name=LOCAL,
        summary="The small built-in model: no account, no network; shows how a run works",
        base_urls={
            "chat": ASSIGNED_AT_RUN_TIME,
            "messages": ASSIGNED_AT_RUN_TIME,
            "responses": ASSIGNED_AT_RUN_TIME,
        },
        needs_key=False,
        traits=ModelTraits(inputs=frozenset(), context_window=8192),
        default_model="smollm2-135m-instruct",
    ),
)

PROVIDERS: Final[tuple[ProviderSpec, ...]] = _HOSTED + _SELF_HOSTED


@hookimpl
def bridge_providers() -> Iterable[ProviderSpec]:
    """Register the built-in providers."""
    return PROVIDERS


def trusted_hosts(provider: ProviderSpec) -> frozenset[str]:
    """The hosts that may get the keys of `provider` without the configuration naming one.

    Empty for a provider that people run themselves: its key belongs to whatever server the
    configuration points to.
    """
    own = (urlsplit(url).hostname for url in provider.base_urls.values() if "${" not in url)
    hosts = {host for host in own if host} | set(_OTHER_HOSTS.get(provider.name, ()))
    away = {host for host in hosts if not is_loopback(f"//{host}")}
    return frozenset(hosts if away else ())


def provider_for_url(url: str, providers: Iterable[ProviderSpec]) -> ProviderSpec | None:
    """The provider that the host of `url` belongs to; None for loopback and unknown hosts."""
    host = urlsplit(url).hostname
    if host is None or is_loopback(url):
        return None
    for provider in providers:
        if host_within(host, trusted_hosts(provider)):
            return provider
    return None
