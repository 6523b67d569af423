"""Google's Gemini models, through the Gemini API.

Importing this package is cheap: the SDK is imported when an agent is made.
"""

from __future__ import annotations

from massgen_bridge import AdapterSpec, Agent, AgentContext, Capabilities, hookimpl
from massgen_bridge_gemini._options import GeminiOptions

__all__ = ["GeminiOptions", "bridge_adapters"]


def _create(context: AgentContext) -> Agent:
    from massgen_bridge_gemini._agent import GeminiAgent  # noqa: PLC0415 - imports the SDK

    return GeminiAgent(context)


@hookimpl
def bridge_adapters() -> list[AdapterSpec]:
    """Register the kind `gemini`."""
    return [
        AdapterSpec(
            kind="gemini",
            summary="Google's Gemini, through the Gemini API and Google's SDK",
            factory=_create,
            options=GeminiOptions,
            capabilities=Capabilities(
                tools=True,
                structured=True,
                inputs=frozenset({"image", "audio", "video", "document"}),
                tool_media=frozenset({"image", "document"}),
            ),
            requires=("google-genai>=3.3,<4",),
            framework="google-genai",
            protocols=("gemini",),
            needs_model=True,
            default_provider="gemini",
        )
    ]
