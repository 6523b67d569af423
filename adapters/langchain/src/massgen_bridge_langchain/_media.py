"""Media in the form that Chat Completions takes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from massgen_bridge import InputKind, MediaPart, Message
from massgen_bridge.adapting import chat_media

__all__ = ["portable"]


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
            parts = tuple(
                chat_media(part, inputs) if isinstance(part, MediaPart) else part
                for part in message.parts
            )
            yield message.model_copy(update={"parts": parts})
        else:
            yield message
