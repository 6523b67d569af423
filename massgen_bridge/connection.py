"""A connection: where a model is and how to speak to it, resolved and ready for an adapter."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Final, Literal, Protocol, TypeVar

from pydantic import BeforeValidator, Field, SecretStr

from massgen_bridge.agent import InputKind
from massgen_bridge.messages import Frozen, JsonValue, set_of_list

if TYPE_CHECKING:
    from massgen_bridge.agent import Emit

__all__ = [
    "UNCARRIED",
    "Animated",
    "Blind",
    "BreakerPolicy",
    "Connection",
    "ImageLimits",
    "ModelCaller",
    "ModelTraits",
    "Protocols",
    "Quirks",
    "RetryPolicy",
    "Sampling",
]

Protocols = Literal["chat", "messages", "responses", "gemini"]
"""Wire protocols: OpenAI Chat Completions, Anthropic Messages, OpenAI Responses, Gemini."""

UNCARRIED: Final[Mapping[Protocols, frozenset[InputKind]]] = {
    "responses": frozenset({"audio", "video"}),
}
"""Kinds of media that a protocol has no form for, whatever a model takes by another one."""

Animated = Literal["first_frame", "refuse"]
"""What becomes of a picture that moves."""

Blind = Literal["refuse", "describe", "ocr"]
"""What becomes of pictures for a model that sees none."""

T = TypeVar("T")


class ImageLimits(Frozen):
    """What a provider takes of pictures; None stands for no limit that is known.

    Bytes are those of the picture's file, before base64. `max_request_bytes` bounds all pictures
    of one request together, in base64.
    """

    formats: Annotated[frozenset[str], BeforeValidator(set_of_list)] = Field(
        default=frozenset({"image/gif", "image/jpeg", "image/png", "image/webp"}),
        strict=False,  # YAML knows no sets
        description="Media types that are taken; others are converted to one of them.",
    )
    max_bytes: int | None = Field(default=None, ge=1, description="Bytes of one picture.")
    max_pixels: int | None = Field(default=None, ge=1, description="Width times height of one.")
    max_side: int | None = Field(default=None, ge=1, description="Pixels of its longer side.")
    max_count: int | None = Field(default=None, ge=1, description="Pictures of one request.")
    max_request_bytes: int | None = Field(
        default=None, ge=1, description="Bytes in base64 of all pictures of one request."
    )
    urls: bool = Field(default=True, description="Whether the provider fetches addresses itself.")


class ModelTraits(Frozen):
    """What a model can do, whoever asks it. `context_window` is in tokens, None if unknown."""

    tools: bool = True
    structured: bool = True
    inputs: frozenset[InputKind] = frozenset({"image"})
    images: ImageLimits = Field(default_factory=ImageLimits)
    context_window: int | None = None


class Quirks(Frozen):
    """How a provider's Chat Completions differ from the common form of the protocol.

    Requests are built in the common form; what the provider does not know is left out, or written
    as it knows it, before they are sent. What a connection has in `extra_body` stays as it is.
    """

    output_limit: Literal["max_completion_tokens", "max_tokens"] = Field(
        default="max_tokens", description="Request parameter that limits the output."
    )
    stream_usage: bool = Field(
        default=True,
        description="Whether `stream_options` with `include_usage` is understood; false where "
        "usage comes without it, or never.",
    )
    parallel_tool_calls: bool = Field(
        default=True, description="Whether `parallel_tool_calls` is understood."
    )
    seed: str | None = Field(
        default="seed", description="Request parameter for the seed; `null` where there is none."
    )
    strict_schemas: bool = Field(
        default=True, description="Whether `strict` is understood beside a JSON Schema."
    )
    system_role: Literal["system", "developer", "user"] = Field(
        default="system", description="Role of what the model is told before the task."
    )
    reasoning_field: Literal["reasoning_content", "reasoning"] | None = Field(
        default="reasoning_content",
        description="Field of a message in which a model's thoughts come, and go back to it while "
        "a turn with tools goes on; `null` where they must not go back.",
    )


class Sampling(Frozen):
    """How a model generates; None leaves the provider's default.

    `extra` goes into the request body unchanged.
    """

    temperature: float | None = Field(default=None, ge=0)
    top_p: float | None = Field(default=None, gt=0, le=1)
    max_output_tokens: int | None = Field(default=None, ge=1)
    seed: int | None = None
    extra: dict[str, JsonValue] = Field(default_factory=dict)


class RetryPolicy(Frozen):
    """When a failed model call is made again.

    Waits double from `base_s` up to `max_s` with jitter; a provider's Retry-After counts instead
    where it is given, unless it exceeds `max_retry_after_s`: then the call fails at once.
    """

    attempts: int = Field(default=4, ge=1, description="Attempts in all; 1 never tries again.")
    base_s: float = Field(
        default=0.5, gt=0, description="Seconds before the second attempt; then they double."
    )
    max_s: float = Field(default=20.0, gt=0, description="Longest wait of this kind, in seconds.")
    max_retry_after_s: float = Field(
        default=120.0,
        ge=0,
        description="Longest wait that a provider may ask for, in seconds; where it asks for "
        "more, the call fails at once.",
    )


class BreakerPolicy(Frozen):
    """When no further calls are made over a connection that fails again and again.

    Server and network failures, timeouts and broken streams count, in a row and of all agents
    together. When the time is over, a single call is let through first.
    """

    failures: int = Field(
        default=10, ge=0, description="Failures in a row that open it; 0: it never opens."
    )
    open_s: float = Field(
        default=10.0, gt=0, description="Seconds without calls, until one is let through."
    )


class Connection(Frozen):
    """One model behind one endpoint.

    `base_url` is what the protocol's SDK expects (with `/v1` for Chat Completions). `api_key` is
    None where none is needed. `timeout_s` bounds one wait for bytes, `first_token_timeout_s` the
    wait for the first token, `total_timeout_s` one attempt at a call as a whole. The host asks
    those of `fallback`, in order, where a call over this one fails for good.
    """

    name: str
    provider: str
    protocol: Protocols
    model: str
    base_url: str
    api_key: SecretStr | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    traits: ModelTraits = Field(default_factory=ModelTraits)
    quirks: Quirks = Field(default_factory=Quirks)
    sampling: Sampling = Field(default_factory=Sampling)
    retry: RetryPolicy = Field(default_factory=RetryPolicy)
    timeout_s: float = Field(default=300.0, gt=0)
    first_token_timeout_s: float | None = Field(default=None, gt=0)
    total_timeout_s: float | None = Field(default=None, gt=0)
    fallback: tuple[Connection, ...] = Field(default=(), exclude=True, repr=False)


class ModelCaller(Protocol):
    """The one retry policy around one model call."""

    async def __call__(self, attempt: Callable[[], Awaitable[T]], emit: Emit) -> T:
        """Make a model call, again if it failed in a way that may pass.

        `attempt` sends one request with the SDK's own retries off and raises an `AgentError`.
        `ModelCallStarted` is emitted before each attempt, `ModelRetried` before each wait after a
        failure, `ModelWaiting` where the connection has no room yet.

        Raises:
            AgentError: The last attempt's error, or the first that is not retryable.
        """
