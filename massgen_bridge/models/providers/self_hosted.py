"""Providers that people run themselves: which of their models see is for the configuration."""

from __future__ import annotations

from typing import Final

from massgen_bridge.connection import ImageLimits, ModelTraits, Quirks
from massgen_bridge.specs import ProviderSpec

__all__ = ["ASSIGNED_AT_RUN_TIME", "LOCAL", "SELF_HOSTED"]

LOCAL: Final = "local"
"""Name of the provider whose server a run starts itself."""

ASSIGNED_AT_RUN_TIME: Final = ""
"""Stands for an address that is known only once a server has been started."""

_READS = ModelTraits(inputs=frozenset())
_READS_OWN = ModelTraits(
    inputs=frozenset(),
    images=ImageLimits(formats=frozenset({"image/jpeg", "image/png", "image/webp"}), urls=False),
)

SELF_HOSTED: Final[tuple[ProviderSpec, ...]] = (
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
        other_hosts=("ollama.com",),
        traits=_READS_OWN,
        quirks=Quirks(reasoning_field="reasoning"),
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
        traits=_READS_OWN,
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
        name="llamacpp",
        summary="llama.cpp's server on this machine; base_url for another one",
        base_urls={"chat": "http://localhost:8080/v1", "messages": "http://localhost:8080"},
        key_variables=("LLAMA_API_KEY",),
        needs_key=False,
        traits=ModelTraits(
            inputs=frozenset(),
            images=ImageLimits(
                formats=frozenset({"image/gif", "image/jpeg", "image/png"}), urls=False
            ),
        ),
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
"""In the order of the reference."""
