"""What a model says when nothing goes wrong, free of any wire protocol."""

from __future__ import annotations

import json
import re
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Answer",
    "Cited",
    "FinishReason",
    "HostedCall",
    "Refusal",
    "Structured",
    "Text",
    "ToolCalls",
    "Usage",
    "is_large",
    "split_evenly",
]

FinishReason = Literal[
    "content_filter",
    "context_window",
    "length",
    "pause",
    "stop",
    "stop_sequence",
    "tool_calls",
]
"""Why a model stops: its answer is complete, or it is cut off by the provider's filter, at the end
of the context window, at the limit of tokens, by a pause amid a long turn, at a stop sequence; or
it wants tools called. A protocol without a word for it says what comes nearest."""

_WORD = re.compile(r"\s*\S+|\s+\Z")
_PIECE_CHARS = 4
_LARGE_CHARS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Token counts to report instead of the server's own.

    Attributes:
        input_tokens: all of the prompt, the cached part included.
        output_tokens: all that was generated, the reasoning included.
        cached_tokens: the part of `input_tokens` that came from the provider's cache.
        cache_write_tokens: the part of `input_tokens` that went into the provider's cache; Chat
            Completions does not tell.
        reasoning_tokens: the part of `output_tokens` that was reasoning.
    """

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class HostedCall:
    """A tool of the provider's own, which it runs by itself before it answers.

    Attributes:
        name: `code_execution`, `file_search`, `image_generation` or `web_search`.
        arguments: what it is called with, as JSON text: `query`, `code`, `queries`, `prompt`.
        output: what it gave, as text.
        image: the PNG file that it made.
    """

    name: str
    arguments: str = "{}"
    _: KW_ONLY
    output: str = ""
    image: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cited:
    """What an answer is said to rest on: a page, or a file that was searched.

    Attributes:
        url: of the page; None: it is a file.
        title: of the page, or the file's name.
        text: the words of the page; protocols without a place for them leave them out.
        container: the sandbox that code has written the file in, where it is such a file, which
            its title names.
    """

    url: str | None = None
    title: str = ""
    text: str = ""
    container: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What every answer has.

    Attributes:
        tokens_per_second: the pace of a stream; None: the server's.
        latency_s: seconds before the first byte, beside the server's own latency.
        finish_reason: what is reported as the reason to stop; None: the usual one.
        usage: what is reported; None: counted; `"absent"`: no usage, as some servers do.
        reasoning: what the model thinks before it answers; empty: it shows none.
        hosted: what the provider's own tools did before the answer.
        sources: what the text is said to rest on.
        headers: further headers of the response, such as those of a quota.
    """

    tokens_per_second: float | None = None
    latency_s: float = 0.0
    finish_reason: FinishReason | None = None
    usage: Usage | Literal["absent"] | None = None
    reasoning: str = ""
    hosted: tuple[HostedCall, ...] = ()
    sources: tuple[Cited, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if self.tokens_per_second is not None and self.tokens_per_second <= 0:
            raise ValueError(
                f"tokens_per_second is {self.tokens_per_second!r}; expected a number above 0, "
                "or None for a stream without pauses"
            )
        if self.latency_s < 0:
            raise ValueError(f"latency_s is {self.latency_s!r}; expected 0 or more seconds")

    @property
    def reasoning_pieces(self) -> tuple[str, ...]:
        """The reasoning as the server's tokens."""
        return tuple(_WORD.findall(self.reasoning)) if self.reasoning else ()


@dataclass(frozen=True, slots=True)
class Text(_Answer):
    """Plain text.

    Attributes:
        text: the whole answer.
        chunks: the text in the pieces to stream; None: one piece a word.
    """

    text: str
    _: KW_ONLY
    chunks: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        _Answer.__post_init__(self)
        if self.chunks is not None and "".join(self.chunks) != self.text:
            raise ValueError(
                f"the chunks join to {''.join(self.chunks)!r}; expected the text {self.text!r}"
            )

    @property
    def pieces(self) -> tuple[str, ...]:
        """The text as the server's tokens."""
        return self.chunks if self.chunks is not None else tuple(_WORD.findall(self.text))

    @classmethod
    def of_tokens(cls, count: int, *, tokens_per_second: float | None = None) -> Text:
        """A text of exactly so many tokens."""
        chunks = tuple(f" word{index}" for index in range(count))
        return cls("".join(chunks), chunks=chunks, tokens_per_second=tokens_per_second)


@dataclass(frozen=True, slots=True)
class Refusal(_Answer):
    """The model declines, in the protocol's own form for that."""

    text: str

    @property
    def pieces(self) -> tuple[str, ...]:
        """The refusal as the server's tokens."""
        return tuple(_WORD.findall(self.text))


@dataclass(frozen=True, slots=True, init=False)
class ToolCalls(_Answer):
    """Calls of tools, each a name and its arguments; call ids differ from request to request.

    Arguments given as text are sent as they are, also when they are not JSON.

    Attributes:
        calls: pairs of a tool's name and its arguments as JSON text.
        text: said before the calls.
    """

    calls: tuple[tuple[str, str], ...]
    text: str

    def __init__(
        self,
        *calls: tuple[str, Mapping[str, Any] | str],
        text: str = "",
        tokens_per_second: float | None = None,
        latency_s: float = 0.0,
        finish_reason: FinishReason | None = None,
        usage: Usage | Literal["absent"] | None = None,
        reasoning: str = "",
    ) -> None:
        _Answer.__init__(
            self,
            tokens_per_second=tokens_per_second,
            latency_s=latency_s,
            finish_reason=finish_reason,
            usage=usage,
            reasoning=reasoning,
        )
        if not calls:
            raise ValueError("ToolCalls() calls nothing; expected (name, arguments) pairs")
        encoded = tuple(
            (name, arguments if isinstance(arguments, str) else _json(arguments))
            for name, arguments in calls
        )
        object.__setattr__(self, "calls", encoded)
        object.__setattr__(self, "text", text)

    @property
    def pieces(self) -> tuple[str, ...]:
        """The text before the calls, as the server's tokens."""
        return tuple(_WORD.findall(self.text))


@dataclass(frozen=True, slots=True, init=False)
class Structured(_Answer):
    """A JSON value as the answer's text.

    Attributes:
        text: the value as JSON text.
    """

    text: str

    def __init__(
        self,
        value: Any,
        *,
        tokens_per_second: float | None = None,
        latency_s: float = 0.0,
        finish_reason: FinishReason | None = None,
        usage: Usage | Literal["absent"] | None = None,
        reasoning: str = "",
    ) -> None:
        _Answer.__init__(
            self,
            tokens_per_second=tokens_per_second,
            latency_s=latency_s,
            finish_reason=finish_reason,
            usage=usage,
            reasoning=reasoning,
        )
        object.__setattr__(self, "text", _json(value))

    @property
    def pieces(self) -> tuple[str, ...]:
        """The JSON text as the server's tokens."""
        return split_evenly(self.text)


Answer = Text | Refusal | ToolCalls | Structured
"""What a model says when nothing goes wrong."""


def is_large(answer: Answer) -> bool:
    """Whether it is so long that no rendered form of it should be kept for the next time."""
    chars = len(answer.text) + len(answer.reasoning)
    if isinstance(answer, ToolCalls):
        chars += sum(len(arguments) for _, arguments in answer.calls)
    return chars > _LARGE_CHARS


def split_evenly(text: str, size: int = _PIECE_CHARS) -> tuple[str, ...]:
    """The text in pieces of so many characters, as models emit JSON."""
    return tuple(text[start : start + size] for start in range(0, len(text), size))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
