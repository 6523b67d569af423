from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from massgen_bridge import NoOptions

__all__ = ["CodeExecution", "FileSearch", "ImageGeneration", "OpenAIOptions", "WebSearch"]


class WebSearch(NoOptions):
    """How the provider searches the web."""

    allowed_domains: tuple[str, ...] | None = Field(
        default=None, description="The only domains that are searched, such as `example.com`."
    )
    context_size: Literal["low", "medium", "high"] | None = Field(
        default=None,
        description="How much of what is found the model reads; None leaves it to the provider.",
    )
    country: str | None = Field(
        default=None,
        pattern=r"^[A-Z]{2}$",
        description="Where the one who asks is, as a code of two letters, such as `DE`.",
    )


class CodeExecution(NoOptions):
    """Where the model's code runs."""

    memory: Literal["1g", "4g", "16g", "64g"] | None = Field(
        default=None, description="Memory of the sandbox; None leaves it to the provider."
    )


class FileSearch(NoOptions):
    """What the provider searches: stores that are there, files that are uploaded, or both."""

    vector_store_ids: tuple[str, ...] = Field(
        default=(), description="Vector stores at the provider, such as `vs_abc123`."
    )
    files: tuple[str, ...] = Field(
        default=(),
        description="Files, relative to the configuration. They are uploaded into a vector store "
        "when the agent has its first turn, and deleted with it when the run ends.",
    )
    max_results: int | None = Field(
        default=None, ge=1, le=50, description="Most passages that one search gives."
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not (self.vector_store_ids or self.files):
            raise ValueError("give 'vector_store_ids', 'files' or both: there is nothing to search")
        return self


class ImageGeneration(NoOptions):
    """How the provider makes pictures."""

    model: str | None = Field(
        default=None, description="The model that makes them; None leaves it to the provider."
    )
    size: str | None = Field(
        default=None, description="Width and height in pixels, such as `1024x1024`, or `auto`."
    )
    quality: Literal["low", "medium", "high", "auto"] | None = Field(
        default=None, description="How well they are made, which is what they cost by."
    )
    background: Literal["transparent", "opaque", "auto"] | None = Field(
        default=None, description="What is behind what they show."
    )
    output_format: Literal["png", "jpeg", "webp"] | None = Field(
        default=None, description="Format of their files; None: PNG."
    )


class OpenAIOptions(NoOptions):
    """What can be set under `backend` beside `type`, `model` and `isolation`."""

    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = (
        Field(
            default=None,
            description="How much the model thinks before it answers; None leaves it to the model. "
            "Not every model takes all of them.",
        )
    )
    reasoning_summary: Literal["auto", "concise", "detailed"] | None = Field(
        default=None,
        description="Whether and how a summary of the model's thinking is shown. Responses only.",
    )
    verbosity: Literal["low", "medium", "high"] | None = Field(
        default=None,
        description="How long answers are; None leaves it to the model. Not every model takes it.",
    )
    service_tier: Literal["auto", "default", "flex", "priority"] | None = Field(
        default=None,
        description="How fast the provider answers, at what price; None leaves it to the account.",
    )
    parallel_tool_calls: bool | None = Field(
        default=None,
        description="Whether the model may call several tools at once; None leaves it to the "
        "provider. Sent only in turns with tools.",
    )
    max_tokens_parameter: Literal["auto", "max_completion_tokens", "max_tokens"] = Field(
        default="auto",
        description="The request parameter that limits the output. `auto`: "
        "`max_completion_tokens` for OpenAI and Azure OpenAI, `max_tokens` elsewhere. Set it "
        "where a proxy in front of OpenAI wants the other one. Chat Completions only.",
    )
    web_search: bool | WebSearch = Field(
        default=False,
        description="Whether the provider may search the web for the model. What an answer rests "
        "on is told as its sources. Responses only, as all the provider's own tools are.",
    )
    code_execution: bool | CodeExecution = Field(
        default=False,
        description="Whether the model may run code in a sandbox of the provider. Pictures that "
        "the answer refers to come with it.",
    )
    file_search: FileSearch | None = Field(
        default=None, description="What the provider may search for the model."
    )
    image_generation: bool | ImageGeneration = Field(
        default=False,
        description="Whether the provider may make pictures for the model; they are part of the "
        "answer. Not in turns with an output schema, such as votes.",
    )
