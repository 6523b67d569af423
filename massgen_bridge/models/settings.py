"""One entry of `models:` in the YAML: a named connection to a model."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from massgen_bridge.agent import InputKind
from massgen_bridge.connection import (
    Animated,
    Blind,
    BreakerPolicy,
    ImageLimits,
    Protocols,
    Quirks,
    RetryPolicy,
)
from massgen_bridge.messages import Frozen, JsonValue, set_of_list
from massgen_bridge.models.providers import LOCAL

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ModelConfig", "check_url", "check_variable_name", "expand", "variables_in"]

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_VARIABLE: Final = re.compile(r"\$\{(" + _NAME + r")\}")
_VARIABLE_NAME: Final = re.compile(_NAME)
_SECRET_HEADERS: Final = frozenset(
    {"authorization", "proxy-authorization", "cookie", "api-key", "x-api-key", "x-goog-api-key"}
)
_HIDDEN: Final = "(not shown)"
_PATHS_OF_CALLS: Final = ("/chat/completions", "/messages", "/responses")
_LOCAL_ONLY: Final[tuple[str, ...]] = ("slots", "context")
_NOT_LOCAL: Final[tuple[str, ...]] = ("base_url", "api_key", "api_key_env")


def variables_in(text: str) -> tuple[str, ...]:
    """The names of the variables `${NAME}` in `text`, in order."""
    return tuple(_VARIABLE.findall(text))


def expand(text: str, value_of: Callable[[str], str]) -> str:
    """`text` with each `${NAME}` replaced by `value_of(NAME)`, once."""
    return _VARIABLE.sub(lambda match: value_of(match[1]), text)


def _check_variables(text: str) -> str:
    if "${" in _VARIABLE.sub("", text):
        raise ValueError(
            "a '${' begins the name of an environment variable, such as '${MY_VARIABLE}': "
            "letters, digits and underscores, closed by '}'"
        )
    return text


def _check_key(text: str) -> str:
    if not _VARIABLE.fullmatch(text):
        raise ValueError(
            "a key does not belong in a file that is shared and committed: put it into an "
            "environment variable and write its name, such as 'api_key: ${MY_API_KEY}'"
        )
    return text


def check_variable_name(text: str) -> str:
    """The name of an environment variable, as it is.

    Raises:
        ValueError: It is none.
    """
    if not _VARIABLE_NAME.fullmatch(text):
        raise ValueError(
            "expected the name of an environment variable, such as 'MY_API_KEY': letters, digits "
            "and underscores; the key itself does not belong in a file"
        )
    return text


def _is_literal_secret(name: Any, value: Any) -> bool:
    return (
        isinstance(name, str)
        and isinstance(value, str)
        and name.lower() in _SECRET_HEADERS
        and not variables_in(value)
    )


def _check_headers(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        _check_variables(value)
        if _is_literal_secret(name, value):
            raise ValueError(
                f"the header {name!r} holds a secret, which does not belong in a file that is "
                "shared and committed: put it into an environment variable and write its name, "
                f"such as '{name}: ${{MY_SECRET}}'"
            )
    return headers


def check_url(url: str) -> str:
    """An address from a configuration, as it is.

    Raises:
        ValueError: It is none, or holds what does not belong in a file.
    """
    _check_variables(url)
    parts = urlsplit(_VARIABLE.sub("http://variable", url, count=1) if url[:1] == "$" else url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("expected an address such as 'https://api.example.com/v1'")
    if parts.username is not None or parts.password is not None:
        raise ValueError(
            "an address with a user name or a password in it is shown in logs: "
            "use 'api_key: ${MY_API_KEY}' or 'headers' instead"
        )
    if parts.query or parts.fragment:
        raise ValueError("an address ends with its path: no '?' and no '#' after it")
    call = next((one for one in _PATHS_OF_CALLS if parts.path.rstrip("/").endswith(one)), None)
    if call is not None:
        raise ValueError(f"{call!r} at its end is added for each call: leave it out")
    return url


class ModelConfig(Frozen):
    """A connection to a model: what is written under a name in `models:`."""

    provider: str = Field(
        description="Who serves the model: a known provider, such as `openai`, `anthropic`, "
        "`openrouter`, `ollama`, or `local` for the small built-in model."
    )
    model: str | None = Field(
        default=None,
        min_length=1,
        description="The model's name as the provider spells it. Only providers with a model of "
        "their own (`local`) can do without.",
    )
    protocol: Protocols | None = Field(
        default=None,
        description="Wire protocol: `chat` (OpenAI Chat Completions), `responses` (OpenAI "
        "Responses), `messages` (Anthropic Messages) or `gemini`. Default: the provider's first "
        "one that the agent's kind speaks.",
    )
    base_url: Annotated[str, AfterValidator(check_url)] | None = Field(
        default=None,
        description="Address of the endpoint instead of the provider's own, as the protocol's SDK "
        "takes it: with `/v1` for `chat` and `responses`, without for `messages`. `${NAME}` "
        "stands for an environment variable. The provider's usual key never goes to a foreign "
        "host: name the key with `api_key` as well.",
    )
    api_key: Annotated[str, AfterValidator(_check_key)] | None = Field(
        default=None,
        description="Where the key is, in the form `${NAME}`: the name of an environment "
        "variable. The key itself is refused here.",
    )
    api_key_env: Annotated[str, AfterValidator(check_variable_name)] | None = Field(
        default=None,
        description="Name of the environment variable that holds the key; another way to write "
        "`api_key: ${NAME}`. Default: the provider's usual variables.",
    )
    headers: Annotated[dict[str, str], AfterValidator(_check_headers)] = Field(
        default_factory=dict,
        description="Further HTTP headers of every request; `${NAME}` in a value stands for an "
        "environment variable.",
    )
    temperature: float | None = Field(
        default=None, ge=0, description="Sampling temperature. Default: the provider's."
    )
    top_p: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Share of probability to sample from. Default: the provider's.",
    )
    max_output_tokens: int | None = Field(
        default=None, ge=1, description="Most tokens of one answer. Default: the provider's."
    )
    seed: int | None = Field(
        default=None,
        description="Seed of sampling, for providers that take one; seldom a promise of the same "
        "answer.",
    )
    extra_body: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="Further keys of the request's body, sent as they are.",
    )
    timeout_s: float = Field(
        default=300.0,
        gt=0,
        description="Seconds to wait for the next bytes of an answer (not for all of it).",
    )
    first_token_timeout_s: float | None = Field(
        default=None,
        gt=0,
        description="Seconds to wait for the first token of an answer. Default: `timeout_s` alone "
        "counts.",
    )
    total_timeout_s: float | None = Field(
        default=None,
        gt=0,
        description="Seconds that one attempt at a call may take in all. Default: no limit.",
    )
    retry: RetryPolicy = Field(
        default=RetryPolicy(),
        description="When a failed call is made again: `attempts` in all, waits that double from "
        "`base_s` to `max_s` seconds with jitter, and the longest Retry-After that is waited for, "
        "`max_retry_after_s`.",
    )
    max_concurrent: int | None = Field(
        default=None,
        ge=1,
        description="Most calls at the same time over this connection, all agents together. "
        "Default: no limit.",
    )
    requests_per_minute: int | None = Field(
        default=None,
        ge=1,
        description="Most requests within any 60 seconds over this connection, all agents and "
        "further attempts included; calls beyond wait in the order in which they came. "
        "Default: no limit.",
    )
    tokens_per_minute: int | None = Field(
        default=None,
        ge=1,
        description="Most tokens, of prompts and answers, within any 60 seconds over this "
        "connection, all agents together: guessed before a call, corrected by what the provider "
        "reports after it. Default: no limit.",
    )
    fallback: list[str] = Field(
        default_factory=list,
        description="Other connections, by their names, that are asked in order where a call over "
        "this one has failed for good: busy, down, too slow, or with a key or model that is "
        "refused. All are asked in one protocol, which they have to share, and have to take tools "
        "where this one does; calls with media or forms that one does not take do not go there. "
        "Their own fallbacks do not count.",
    )
    breaker: BreakerPolicy = Field(
        default=BreakerPolicy(),
        description="When no further calls are made over a connection that fails again and again: "
        "after `failures` in a row, of all agents together, for `open_s` seconds.",
    )
    tools: bool | None = Field(
        default=None,
        description="Whether the model can call tools. Default: what the provider's models can.",
    )
    structured: bool | None = Field(
        default=None,
        description="Whether the model can be held to a JSON Schema. Default: what all the "
        "provider's models can.",
    )
    inputs: Annotated[frozenset[InputKind], BeforeValidator(set_of_list)] | None = Field(
        default=None,
        description="Media that the model takes: any of `image`, `audio`, `video`, `document`. "
        "Default: what the provider's models take.",
    )
    image_limits: ImageLimits | None = Field(
        default=None,
        description="What the model takes of pictures, where it differs from what its provider "
        "usually takes: any of `formats`, `max_bytes`, `max_pixels`, `max_side`, `max_count`, "
        "`max_request_bytes` and `urls`. Bytes are those of a file; `null` lifts a limit.",
    )
    quirks: Quirks | None = Field(
        default=None,
        description="How the endpoint's Chat Completions differ from the common form, where it is "
        "otherwise than usual with the provider: any of `output_limit`, `stream_usage`, "
        "`parallel_tool_calls`, `seed`, `strict_schemas`, `system_role` and `reasoning_field`.",
    )
    images: Blind = Field(
        default="refuse",
        description="What becomes of pictures where the model sees none: `refuse` fails the turn "
        "before any call, `describe` gives it what the model of `describe_by` sees on them, `ocr` "
        "the text on them, read on this machine (needs `massgen-bridge[ocr]`).",
    )
    describe_by: str | None = Field(
        default=None,
        min_length=1,
        description="For `images: describe`: the connection whose model describes pictures, as "
        "`backend.model` would name it.",
    )
    animated_images: Animated = Field(
        default="first_frame",
        description="What becomes of pictures that move: `first_frame` is kept, or `refuse`.",
    )
    fetch_urls: bool = Field(
        default=False,
        description="Whether pictures and files that are given by an address are fetched by the "
        "bridge, from the open internet alone, and sent as bytes. Default: the address is handed "
        "on, where the provider fetches it itself.",
    )
    context_window: int | None = Field(
        default=None,
        ge=1,
        description="Tokens of prompt and answer together that the model can take. "
        "Default: unknown.",
    )
    slots: int | None = Field(
        default=None,
        ge=1,
        le=64,
        description="For `local`: calls that run at the same time. Default: one for each agent "
        "that uses it, up to four. One server serves all connections; the largest value counts.",
    )
    context: int | None = Field(
        default=None,
        ge=256,
        description="For `local`: tokens of prompt and answer together of one call; 8192 at most "
        "for the built-in model. Default: 4096. One server serves all connections; the largest "
        "value counts.",
    )

    @model_validator(mode="before")
    @classmethod
    def _hide_literal_secrets(cls, data: Any) -> Any:
        """Keep a key that was written here by mistake out of the errors, which quote the input."""
        if not isinstance(data, dict):
            return data
        hidden: dict[str, Any] = {
            name: _HIDDEN
            for name, form in (("api_key", _VARIABLE), ("api_key_env", _VARIABLE_NAME))
            if (value := data.get(name)) is not None
            and not (isinstance(value, str) and form.fullmatch(value))
        }
        headers = data.get("headers")
        if isinstance(headers, dict):
            hidden["headers"] = {
                name: _HIDDEN if _is_literal_secret(name, value) else value
                for name, value in headers.items()
            }
        return {**data, **hidden}

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.api_key is not None and self.api_key_env is not None:
            raise ValueError("give one of 'api_key' and 'api_key_env', not both")
        if (self.images == "describe") != (self.describe_by is not None):
            raise ValueError(
                "'images: describe' and 'describe_by' belong together: the one says that pictures "
                "are described, the other names the connection whose model does it"
            )
        return self

    @model_validator(mode="after")
    def _suit_the_provider(self) -> Self:
        wrong, why = _LOCAL_ONLY, f"only provider {LOCAL!r} takes it"
        if self.provider == LOCAL:
            wrong, why = _NOT_LOCAL, "its server is started, and given a key, by the run itself"
        for name in wrong:
            if getattr(self, name) is not None:
                raise ValueError(f"{name!r} has no meaning for provider {self.provider!r}: {why}")
        return self

    @property
    def key_variable(self) -> str | None:
        """Name of the environment variable that the configuration says holds the key."""
        return variables_in(self.api_key)[0] if self.api_key else self.api_key_env
