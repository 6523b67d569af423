"""Media in the form that Chat Completions takes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import assert_never

from massgen_bridge import (
    AudioPart,
    DocumentPart,
    ImagePart,
    InputKind,
    MediaPart,
    Message,
    Part,
    UnsupportedContent,
    VideoPart,
)

__all__ = ["portable"]

_AUDIO_TYPES = {
    "audio/mp3": "audio/mp3",
    "audio/mpeg": "audio/mp3",
    "audio/vnd.wave": "audio/wav",
    "audio/wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/x-wav": "audio/wav",
}


def portable(messages: Sequence[Message], inputs: Collection[InputKind]) -> Iterator[Message]:
    """The history, its media in the form that Chat Completions takes.

    Args:
        messages: The history.
        inputs: Kinds of media that the model takes.

    Raises:
        UnsupportedContent: A part cannot be carried.
    """
    for message in messages:
        if any(isinstance(part, MediaPart) for part in message.parts):
            parts = tuple(_portable_part(part, inputs) for part in message.parts)
            yield message.model_copy(update={"parts": parts})
        else:
            yield message


def _portable_part(part: Part, inputs: Collection[InputKind]) -> Part:
    if not isinstance(part, MediaPart):
        return part
    if part.type not in inputs:
        taken = ", ".join(sorted(inputs)) or "text only"
        raise UnsupportedContent(
            f"the model takes no {part.type!r} input (it takes: {taken}); leave it out, choose "
            "another model, or correct the traits of its connection"
        )
    match part:
        case ImagePart():
            return part
        case VideoPart():
            raise UnsupportedContent("Chat Completions has no form for video")
        case AudioPart() | DocumentPart() if part.data is None:
            raise UnsupportedContent(
                f"Chat Completions takes {part.type!r} input as data, not by address; "
                f"load {part.url!r} and give its bytes"
            )
        case AudioPart():
            if part.media_type not in _AUDIO_TYPES:
                raise UnsupportedContent(
                    "Chat Completions takes audio as wav or mp3, not as "
                    f"{part.media_type!r}; convert it"
                )
            return part.model_copy(update={"media_type": _AUDIO_TYPES[part.media_type]})
        case DocumentPart():
            name = part.name or f"document.{part.media_type.partition('/')[2]}"
            return part.model_copy(update={"name": name})
        case _:
            assert_never(part)
