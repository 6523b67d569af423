"""One entry of `providers:` in the YAML: a provider of a name of the file's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator

from massgen_bridge.agent import InputKind
from massgen_bridge.connection import ImageLimits, ModelTraits, Protocols, Quirks
from massgen_bridge.messages import Frozen
from massgen_bridge.models.settings import check_url, check_variable_name
from massgen_bridge.specs import ProviderSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PROVIDER_NAME", "ProviderConfig", "provider_specs"]

PROVIDER_NAME: Final = r"^[a-z][a-z0-9_-]{0,63}$"
"""What a provider may be called: it stands before a slash in `backend.model`."""

Url = Annotated[str, AfterValidator(check_url)]
Variable = Annotated[str, AfterValidator(check_variable_name)]


class ProviderConfig(Frozen):
    """A provider of models: what is written under a name in `providers:`."""

    base_url: Url | None = Field(
        default=None,
        description="Address of the endpoint, as the protocol's SDK takes it: with `/v1` for "
        "`chat` and `responses`, without for `messages`. `${NAME}` stands for an environment "
        "variable.",
    )
    protocol: Protocols = Field(
        default="chat",
        description="Wire protocol of `base_url`: `chat` (OpenAI Chat Completions), `responses` "
        "(OpenAI Responses), `messages` (Anthropic Messages) or `gemini`.",
    )
    base_urls: dict[Protocols, Url] = Field(
        default_factory=dict,
        description="In place of `base_url`, the address for each protocol that it speaks; the "
        "first is preferred.",
    )
    api_key_env: Variable | None = Field(
        default=None,
        description="Name of the environment variable that holds the key, which goes to the hosts "
        "of this provider alone. Without it, no key is sent.",
    )
    summary: str = Field(default="", description="Who it is, for people.")
    default_model: str | None = Field(
        default=None, min_length=1, description="Model used where a connection names none."
    )
    prices: str | None = Field(
        default="",
        description="Its name in the price list of `genai-prices`; `null` where nothing is "
        "charged. Default: its own name, and where the list has none of that name, the price of "
        "its models is unknown.",
    )
    tools: bool = Field(default=True, description="Whether its models can call tools.")
    structured: bool = Field(
        default=False, description="Whether its models can be held to a JSON Schema."
    )
    inputs: frozenset[InputKind] = Field(
        default=frozenset(),
        strict=False,  # YAML knows no sets
        description="Media that its models take: any of `image`, `audio`, `video`, `document`.",
    )
    image_limits: ImageLimits = Field(
        default_factory=ImageLimits, description="What its models take of pictures."
    )
    quirks: Quirks = Field(
        default_factory=Quirks,
        description="How its Chat Completions differ from the common form of the protocol.",
    )
    context_window: int | None = Field(
        default=None,
        ge=1,
        description="Tokens of prompt and answer together that its models can take.",
    )

    @model_validator(mode="after")
    def _one_way_to_say_where(self) -> Self:
        if (self.base_url is None) == (not self.base_urls):
            raise ValueError("give one of 'base_url' and 'base_urls'")
        return self

    def spec(self, name: str) -> ProviderSpec:
        """The provider that it describes."""
        return ProviderSpec(
            name=name,
            summary=self.summary,
            base_urls=self.base_urls or {self.protocol: self.base_url or ""},
            key_variables=() if self.api_key_env is None else (self.api_key_env,),
            needs_key=self.api_key_env is not None,
            traits=ModelTraits(
                tools=self.tools,
                structured=self.structured,
                inputs=self.inputs,
                images=self.image_limits,
                context_window=self.context_window,
            ),
            quirks=self.quirks,
            default_model=self.default_model,
            prices_id=name if self.prices == "" else self.prices,
        )


def provider_specs(rows: Mapping[str, ProviderConfig]) -> dict[str, ProviderSpec]:
    """The providers that a configuration describes, by name."""
    return {name: row.spec(name) for name, row in rows.items()}
