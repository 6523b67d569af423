"""Providers that have a key: facts, each as careful as the least able of their chat models.

What their limits of pictures were found to be in 2026 stands here, in the providers' own guides or,
where they have none, in the tables of other clients; a limit that nobody states is none. They
depend on the model and change: a connection overrides them.
"""

from __future__ import annotations

from typing import Final

from massgen_bridge.connection import ImageLimits, ModelTraits, Quirks
from massgen_bridge.specs import ProviderSpec

__all__ = ["HOSTED"]

_MIB: Final = 1 << 20


def _in_base64(size: int) -> int:
    """The bytes of a file that are `size` bytes in base64."""
    return size // 4 * 3


_SEES_UNSHAPED = ModelTraits(structured=False)
_READS = ModelTraits(inputs=frozenset())
_JPEG_PNG: Final = frozenset({"image/jpeg", "image/png"})
_OPENAI_IMAGES = ImageLimits(max_bytes=20 * _MIB, max_count=500, max_request_bytes=50_000_000)

HOSTED: Final[tuple[ProviderSpec, ...]] = (
    ProviderSpec(
        name="openai",
        summary="OpenAI",
        base_urls={
            "responses": "https://api.openai.com/v1",
            "chat": "https://api.openai.com/v1",
        },
        key_variables=("OPENAI_API_KEY",),
        traits=ModelTraits(inputs=frozenset({"image", "document"}), images=_OPENAI_IMAGES),
        quirks=Quirks(output_limit="max_completion_tokens"),
        prices_id="openai",
    ),
    ProviderSpec(
        name="anthropic",
        summary="Anthropic: Claude",
        base_urls={"messages": "https://api.anthropic.com"},
        key_variables=("ANTHROPIC_API_KEY",),
        traits=ModelTraits(
            inputs=frozenset({"image", "document"}),
            # 5 MiB of one are meant in base64. Above 20 in a request, sides end at 2000 pixels.
            images=ImageLimits(
                max_bytes=_in_base64(5 * _MIB),
                max_side=8000,
                max_count=100,
                max_request_bytes=30_000_000,
            ),
        ),
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
        traits=ModelTraits(
            inputs=frozenset({"image", "audio"}),
            images=ImageLimits(
                formats=frozenset({"image/jpeg", "image/png", "image/webp"}),
                max_count=3000,
                max_request_bytes=20_000_000,
                urls=False,
            ),
        ),
        quirks=Quirks(seed=None, parallel_tool_calls=False),
        prices_id="google",
    ),
    ProviderSpec(
        name="azure",
        summary="Azure OpenAI, through its v1 API; the model is the name of the deployment",
        base_urls={
            "responses": "${AZURE_OPENAI_ENDPOINT}/openai/v1",
            "chat": "${AZURE_OPENAI_ENDPOINT}/openai/v1",
        },
        key_variables=("AZURE_OPENAI_API_KEY",),
        other_hosts=("openai.azure.com", "services.ai.azure.com", "cognitiveservices.azure.com"),
        traits=ModelTraits(images=ImageLimits(max_bytes=20 * _MIB, max_count=50)),
        quirks=Quirks(output_limit="max_completion_tokens"),
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
        quirks=Quirks(reasoning_field="reasoning"),
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
        traits=ModelTraits(
            structured=False,
            images=ImageLimits(max_pixels=33_177_600, max_count=5, max_request_bytes=4 * _MIB),
        ),
        quirks=Quirks(reasoning_field=None),
        prices_id="groq",
    ),
    ProviderSpec(
        name="together",
        summary="Together AI",
        base_urls={"chat": "https://api.together.ai/v1"},
        key_variables=("TOGETHER_API_KEY",),
        other_hosts=("api.together.xyz",),
        traits=_SEES_UNSHAPED,
        prices_id="together",
    ),
    ProviderSpec(
        name="cerebras",
        summary="Cerebras",
        base_urls={"chat": "https://api.cerebras.ai/v1"},
        key_variables=("CEREBRAS_API_KEY",),
        traits=_READS,
        quirks=Quirks(output_limit="max_completion_tokens", reasoning_field="reasoning"),
        prices_id="cerebras",
    ),
    ProviderSpec(
        name="fireworks",
        summary="Fireworks AI",
        base_urls={"chat": "https://api.fireworks.ai/inference/v1"},
        key_variables=("FIREWORKS_API_KEY",),
        traits=ModelTraits(
            images=ImageLimits(
                formats=frozenset({"image/gif", "image/jpeg", "image/png"}),
                max_count=30,
                max_request_bytes=10_000_000,
            )
        ),
        prices_id="fireworks",
    ),
    ProviderSpec(
        name="deepseek",
        summary="DeepSeek",
        base_urls={
            "chat": "https://api.deepseek.com",
            "messages": "https://api.deepseek.com/anthropic",
            "responses": "https://api.deepseek.com",
        },
        key_variables=("DEEPSEEK_API_KEY",),
        traits=ModelTraits(
            structured=False, inputs=frozenset(), images=ImageLimits(max_request_bytes=48 * _MIB)
        ),
        prices_id="deepseek",
    ),
    ProviderSpec(
        name="mistral",
        summary="Mistral AI",
        base_urls={"chat": "https://api.mistral.ai/v1"},
        key_variables=("MISTRAL_API_KEY",),
        traits=ModelTraits(images=ImageLimits(max_bytes=10_000_000, max_count=8)),
        quirks=Quirks(stream_usage=False, seed="random_seed", reasoning_field=None),
        prices_id="mistral",
    ),
    ProviderSpec(
        name="xai",
        summary="xAI: Grok",
        base_urls={"responses": "https://api.x.ai/v1", "chat": "https://api.x.ai/v1"},
        key_variables=("XAI_API_KEY",),
        traits=ModelTraits(
            images=ImageLimits(formats=_JPEG_PNG, max_bytes=10 * _MIB),
        ),
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
        other_hosts=("open.bigmodel.cn",),
        traits=ModelTraits(
            structured=False,
            # Most of its models take 150 pictures, GLM-4.5V and GLM-5.3-Flash 50.
            images=ImageLimits(formats=_JPEG_PNG, max_bytes=5_000_000, max_side=6000, max_count=50),
        ),
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
        other_hosts=("api.moonshot.cn",),
        traits=ModelTraits(
            structured=False, images=ImageLimits(max_request_bytes=100_000_000, urls=False)
        ),
        prices_id="moonshotai",
    ),
    ProviderSpec(
        name="nebius",
        summary="Nebius Token Factory",
        base_urls={"chat": "https://api.tokenfactory.nebius.com/v1"},
        key_variables=("NEBIUS_API_KEY",),
        other_hosts=("api.studio.nebius.ai", "api.studio.nebius.com"),
        traits=_SEES_UNSHAPED,
        # Not in the price list: its prices are unknown, not zero.
        prices_id="nebius",
    ),
    ProviderSpec(
        name="qwen",
        summary="Alibaba Cloud Model Studio (DashScope): Qwen",
        base_urls={
            "chat": "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
            "messages": "https://dashscope-intl.aliyuncs.com/apps/anthropic",
        },
        key_variables=("DASHSCOPE_API_KEY",),
        other_hosts=("dashscope.aliyuncs.com", "dashscope-us.aliyuncs.com"),
        traits=ModelTraits(
            structured=False,
            images=ImageLimits(
                formats=frozenset({"image/jpeg", "image/png", "image/webp"}),
                max_bytes=_in_base64(10_000_000),
                max_count=250,
            ),
        ),
        # Not in the price list: its prices are unknown, not zero.
        prices_id="qwen",
    ),
    ProviderSpec(
        name="poe",
        summary="Poe: models and bots of many makers behind one key",
        base_urls={"chat": "https://api.poe.com/v1", "responses": "https://api.poe.com/v1"},
        key_variables=("POE_API_KEY",),
        traits=_SEES_UNSHAPED,
        quirks=Quirks(seed=None, strict_schemas=False),
        # Not in the price list: its prices are unknown, not zero.
        prices_id="poe",
    ),
)
"""In the order of the reference."""
