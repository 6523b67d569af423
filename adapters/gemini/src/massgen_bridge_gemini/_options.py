from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from massgen_bridge import NoOptions

__all__ = ["FileSearch", "GeminiOptions", "ImageGeneration"]


class FileSearch(NoOptions):
    """Where the provider's own search of files looks."""

    stores: list[str] = Field(
        min_length=1,
        description="Names of the provider's file search stores, such as `fileSearchStores/mine`.",
    )
    top_k: int | None = Field(default=None, ge=1, description="Most passages that it gives.")


class ImageGeneration(NoOptions):
    """What pictures a model that makes some shall make."""

    aspect_ratio: str | None = Field(
        default=None, pattern=r"^\d+:\d+$", description="Width to height, such as `16:9`."
    )
    size: Literal["512", "1K", "2K", "4K"] | None = Field(
        default=None, description="Resolution, as far as the model knows it."
    )


class GeminiOptions(NoOptions):
    """What can be set under `backend` beside `type`, `model` and `isolation`.

    The kind speaks the Gemini API with a key. Vertex AI, which takes Google Cloud's credentials,
    is not spoken.
    """

    reasoning_effort: Literal["minimal", "low", "medium", "high"] | None = Field(
        default=None,
        description="How much the model thinks before it answers, for Gemini 3 and newer; None "
        "leaves it to the model.",
    )
    thinking_budget: int | None = Field(
        default=None,
        ge=-1,
        description="Most tokens that the model may think, for Gemini 2.5: 0 for none, -1 lets it "
        "decide. Not together with `reasoning_effort`.",
    )
    reasoning_summary: bool | None = Field(
        default=None,
        description="Whether a summary of the thinking is shown; None leaves it to the model, "
        "which shows none.",
    )
    web_search: bool = Field(
        default=False,
        description="Whether the model may search the web with Google. Models before Gemini 3 have "
        "none of the provider's own tools in turns with an output schema, or whose tools end the "
        "turn, such as votes: they do not take them together.",
    )
    code_execution: bool = Field(
        default=False, description="Whether the model may run Python in Google's sandbox."
    )
    url_context: bool = Field(
        default=False, description="Whether the model may read addresses that it is told."
    )
    file_search: FileSearch | None = Field(
        default=None, description="Which of the provider's file stores the model may search."
    )
    image_generation: bool | ImageGeneration = Field(
        default=False,
        description="Whether the answer may hold pictures, with a model that makes some; in what "
        "form, by `aspect_ratio` and `size`.",
    )
    media_resolution: Literal["low", "medium", "high"] | None = Field(
        default=None,
        description="How closely the model looks at media, and so how many tokens they take; None "
        "leaves it to the model.",
    )

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.reasoning_effort is not None and self.thinking_budget is not None:
            raise ValueError(
                "'reasoning_effort' and 'thinking_budget' say the same in two ways: give the "
                "first for Gemini 3 and newer, the second for Gemini 2.5"
            )
        return self
