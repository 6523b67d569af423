"""The question of a run: text from an argument or stdin, and files that belong to it."""

from __future__ import annotations

import mimetypes
import sys
from typing import TYPE_CHECKING

from massgen_bridge.cli._output import BadUsage
from massgen_bridge.messages import (
    AudioPart,
    DocumentPart,
    ImagePart,
    Message,
    TextPart,
    VideoPart,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from massgen_bridge.messages import MediaPart, Part

__all__ = ["attachment", "read_question", "with_files"]

_LARGEST = 64 * 2**20
# The pictures that models take are known by their first bytes, whatever the file is called.
_PICTURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


def read_question(text: str, *, images: Iterable[Path], files: Iterable[Path]) -> Message:
    """The user's message.

    Args:
        text: The question; `-` reads it from stdin.
        images: Pictures that belong to it.
        files: Files of any kind that belong to it.

    Raises:
        BadUsage: It is empty, or a file is missing, unreadable or of an unknown kind.
    """
    if text == "-":
        text = _from_stdin()
    if not text.strip():
        raise BadUsage("the question is empty: give it as the last argument, or '-' for stdin")
    return with_files(text, [*(_picture(path) for path in images), *map(attachment, files)])


def with_files(text: str, media: Iterable[MediaPart]) -> Message:
    """A question with what was attached to it."""
    parts: tuple[Part, ...] = (TextPart(text=text), *media)
    return Message(role="user", parts=parts)


def _from_stdin() -> str:
    data = sys.stdin.buffer.read()
    try:
        return data.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise BadUsage("the question on stdin is not UTF-8") from None


def _picture(path: Path) -> ImagePart:
    part = attachment(path)
    if not isinstance(part, ImagePart):
        raise BadUsage(
            f"--image {str(path)!r}: this is no picture, but {part.media_type}; expected PNG, "
            "JPEG, GIF or WebP (other files: --file)"
        )
    return part


def attachment(path: Path) -> MediaPart:
    """A file of any kind that belongs to a question.

    Raises:
        BadUsage: It is missing, unreadable, empty, too large, or of an unknown kind.
    """
    data = _read(path)
    media_type = _media_type(path, data)
    match media_type.partition("/")[0]:
        case "image":
            return ImagePart(media_type=media_type, data=data, name=path.name)
        case "audio":
            return AudioPart(media_type=media_type, data=data, name=path.name)
        case "video":
            return VideoPart(media_type=media_type, data=data, name=path.name)
    return DocumentPart(media_type=media_type, data=data, name=path.name)


def _read(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > _LARGEST:
            raise BadUsage(f"{str(path)!r} has {size:,} bytes; at most {_LARGEST:,} can be sent")
        data = path.read_bytes()
    except OSError as error:
        raise BadUsage(f"cannot read {str(path)!r}: {error.strerror}") from None
    if not data:
        raise BadUsage(f"{str(path)!r} is empty")
    return data


def _media_type(path: Path, data: bytes) -> str:
    for start, media_type in _PICTURES:
        if data.startswith(start):
            return media_type
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    guessed, _ = mimetypes.guess_type(path.name)
    if guessed is not None and guessed.startswith("image/") and guessed != "image/svg+xml":
        raise BadUsage(
            f"{str(path)!r}: its name says {guessed}, its content does not; expected PNG, JPEG, "
            "GIF or WebP"
        )
    if guessed is not None:
        return guessed
    try:
        data.decode()
    except UnicodeDecodeError:
        raise BadUsage(
            f"{str(path)!r}: nothing says what kind of file this is; give its name an ending, such "
            "as .pdf or .mp3"
        ) from None
    return "text/plain"
