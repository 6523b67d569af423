from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from massgen_bridge import NoOptions

__all__ = ["AnthropicOptions", "WebFetch", "WebSearch"]


_LEAST_THINKING = 1024


def _check_thinking(value: Any) -> Any:
    """Say once what is wrong, and not for each of the types that it might have had."""
    word = value is None or (isinstance(value, str) and value in {"adaptive", "disabled"})
    tokens = isinstance(value, int) and value >= _LEAST_THINKING
    if not (word or tokens):
        raise ValueError(
            "expected 'adaptive', 'disabled', or the most tokens that the model may think: "
            f"{_LEAST_THINKING} or more"
        )
    return value


class _WebTool(NoOptions):
    max_uses: int | None = Field(
        default=None, ge=1, description="Most uses in one model call; None leaves it to the model."
    )
    allowed_domains: tuple[str, ...] | None = Field(
        default=None, description="The only domains that may be used, such as `example.com`."
    )
    blocked_domains: tuple[str, ...] | None = Field(
        default=None, description="Domains that are never used."
    )

    @model_validator(mode="after")
    def _one_list(self) -> Self:
        if self.allowed_domains is not None and self.blocked_domains is not None:
            raise ValueError("give one of 'allowed_domains' and 'blocked_domains', not both")
        return self


class WebSearch(_WebTool):
    """How the provider searches the web."""


class WebFetch(_WebTool):
    """How the provider fetches pages."""

    max_content_tokens: int | None = Field(
        default=None, ge=1, description="Most tokens of one page; the rest is cut off."
    )


class AnthropicOptions(NoOptions):
    """What can be set under `backend` beside `type`, `model` and `isolation`."""

    thinking: Annotated[
        Literal["adaptive", "disabled"] | Annotated[int, Field(ge=_LEAST_THINKING)] | None,
        BeforeValidator(_check_thinking),
    ] = Field(
        default=None,
        description="Whether the model thinks before it answers: `adaptive` lets it decide, "
        "`disabled` keeps it from it, a number is the most tokens it may think. None leaves it "
        "to the model. Not every model takes all of them.",
    )
    thinking_display: Literal["summarized", "omitted"] | None = Field(
        default=None,
        description="Whether a summary of the thinking is shown; None leaves it to the model, "
        "and newer ones show none. Only with `thinking: adaptive` or a number.",
    )
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = Field(
        default=None,
        description="How much effort the model puts into an answer, thinking and tool calls "
        "included; None leaves it to the model.",
    )
    parallel_tool_calls: bool | None = Field(
        default=None,
        description="Whether the model may call several tools at once; None leaves it to the "
        "provider. Sent only in turns with tools.",
    )
    cache: Literal["auto", "5m", "1h"] | None = Field(
        default="auto",
        description="How long the provider keeps a prompt for the next one that begins alike. "
        "Writing to the cache costs more than plain input and reading a fraction of it, so it "
        "pays for turns of many tool calls with long prompts. `auto`: five minutes in turns "
        "whose tools give the model more to do, at Anthropic alone. None: prompts are not kept.",
    )
    web_search: bool | WebSearch = Field(
        default=False,
        description="Whether the provider may search the web for the model. What an answer rests "
        "on is told as its sources. Like all the provider's tools, not in turns with an output "
        "schema, such as votes: citations and schemas exclude each other.",
    )
    web_fetch: bool | WebFetch = Field(
        default=False,
        description="Whether the provider may fetch pages and PDF files whose addresses stand in "
        "the conversation.",
    )
    code_execution: bool = Field(
        default=False,
        description="Whether the model may run code in a sandbox of the provider. Files that the "
        "code writes come with the answer.",
    )

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.thinking_display is not None and self.thinking in {None, "disabled"}:
            raise ValueError(
                "'thinking_display' has a meaning only with 'thinking: adaptive' or with a number "
                "of tokens for 'thinking': give one of them, or leave 'thinking_display' out"
            )
        return self
