from __future__ import annotations

from typing import Literal

from pydantic import Field

from massgen_bridge import NoOptions

__all__ = ["OpenAIOptions"]


class OpenAIOptions(NoOptions):
    """What can be set under `backend` beside `type`, `model` and `isolation`."""

    parallel_tool_calls: bool | None = Field(
        default=None,
        description="Whether the model may call several tools at once; None leaves it to the "
        "provider. Sent only in turns with tools.",
    )
    max_tokens_parameter: Literal["auto", "max_completion_tokens", "max_tokens"] = Field(
        default="auto",
        description="The request parameter that limits the output. `auto`: "
        "`max_completion_tokens` for OpenAI and Azure OpenAI, `max_tokens` elsewhere. Set it "
        "where a proxy in front of OpenAI wants the other one.",
    )
