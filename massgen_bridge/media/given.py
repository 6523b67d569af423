"""Media as users give them: files and addresses, in words or as parts that are ready."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from massgen_bridge.errors import MediaError
from massgen_bridge.media.files import part_of_file, part_of_url
from massgen_bridge.media.prepare import check_image
from massgen_bridge.messages import (
    AudioPart,
    DocumentPart,
    ImagePart,
    MediaPart,
    VideoPart,
    user,
    with_media,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from massgen_bridge.agent import InputKind
    from massgen_bridge.messages import Message

__all__ = ["Given", "is_address", "media_of", "message_of", "part_of"]

Given: TypeAlias = str | Path | ImagePart | AudioPart | VideoPart | DocumentPart
"""A file, an address (`https://…`, `data:…`), or a part that is ready."""

_ADDRESS = re.compile(r"(?:https?|data):", re.IGNORECASE)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


def is_address(given: str) -> bool:
    """Whether it is an address, not the path of a file."""
    return _ADDRESS.match(given) is not None


def part_of(
    given: Given, *, kind: InputKind | None = None, base_dir: Path | None = None
) -> MediaPart:
    """What is given, as a part of a message; reads the disk, so call it in a thread.

    Args:
        given: A file, an address or a part.
        kind: What it has to be; None: whatever it is.
        base_dir: The folder that paths are relative to; None: the working directory.

    Raises:
        MediaError: It cannot be had, is something else, or a damaged picture.
    """
    part = _read(given, kind, base_dir)
    if isinstance(part, ImagePart) and part.data is not None:
        check_image(part)
    return part


def _read(given: Given, kind: InputKind | None, base_dir: Path | None) -> MediaPart:
    if isinstance(given, MediaPart):
        return given
    if isinstance(given, str) and is_address(given):
        return part_of_url(given, kind=kind)
    if isinstance(given, str) and (scheme := _SCHEME.match(given)):
        raise MediaError(
            f"{given!r}: addresses of {scheme[1]!r} are not for pictures and files: give the path "
            "of a file, or an address with 'https', 'http' or 'data'"
        )
    path = Path(given).expanduser()
    return part_of_file(path if base_dir is None else base_dir / path, kind=kind)


def media_of(images: Iterable[Given], files: Iterable[Given]) -> tuple[MediaPart, ...]:
    """Pictures, and files of any kind, in this order.

    Raises:
        MediaError: One of them cannot be had, or is something else.
    """
    pictures = tuple(part_of(one, kind="image") for one in images)
    return (*pictures, *(part_of(one) for one in files))


def message_of(
    question: str | Message, images: Iterable[Given] = (), files: Iterable[Given] = ()
) -> Message:
    """A question with what goes along with it.

    Raises:
        MediaError: As for `media_of`.
    """
    message = user(question) if isinstance(question, str) else question
    return with_media(message, media_of(images, files))
