"""The question of a run: text from an argument or stdin, and files that belong to it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from massgen_bridge.cli._output import BadUsage
from massgen_bridge.errors import MediaError
from massgen_bridge.messages import Message, TextPart

if TYPE_CHECKING:
    from collections.abc import Iterable

    from massgen_bridge.messages import MediaPart, Part

__all__ = ["Files", "Images", "attached", "read_question", "with_files"]

Images = Annotated[
    list[str] | None,
    typer.Option(
        "--image", metavar="FILE|URL", help="A picture for the question; may be given repeatedly."
    ),
]
Files = Annotated[
    list[str] | None,
    typer.Option(
        "--file",
        metavar="FILE|URL",
        help="Any file for the question, such as a text or a PDF; may be given repeatedly.",
    ),
]


def read_question(text: str, media: Iterable[MediaPart]) -> Message:
    """The user's message.

    Args:
        text: The question; `-` reads it from stdin.
        media: What belongs to it.

    Raises:
        BadUsage: It is empty, or stdin is not UTF-8.
    """
    if text == "-":
        text = _from_stdin()
    if not text.strip():
        raise BadUsage("the question is empty: give it as the last argument, or '-' for stdin")
    return with_files(text, media)


def with_files(text: str, media: Iterable[MediaPart]) -> Message:
    """A question with what was attached to it."""
    parts: tuple[Part, ...] = (TextPart(text=text), *media)
    return Message(role="user", parts=parts)


def attached(images: Iterable[str] | None, files: Iterable[str] | None) -> list[MediaPart]:
    """What belongs to a question, by the options that name it.

    Raises:
        BadUsage: A file is missing, unreadable, empty, too large, or not what it should be.
    """
    from massgen_bridge.media.given import part_of  # noqa: PLC0415 - most questions have none

    found: list[MediaPart] = []
    for name in images or ():
        try:
            found.append(part_of(name, kind="image"))
        except MediaError as error:
            raise BadUsage(f"--image: {error.message}{_else(name)}") from None
    for name in files or ():
        try:
            found.append(part_of(name))
        except MediaError as error:
            raise BadUsage(f"--file: {error.message}") from None
    return found


def _else(name: str) -> str:
    """The option that takes what is no picture."""
    from massgen_bridge.media.given import part_of  # noqa: PLC0415 - as above

    try:
        part_of(name)
    except MediaError:
        return ""
    return "; it goes with --file"


def _from_stdin() -> str:
    data = sys.stdin.buffer.read()
    try:
        return data.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise BadUsage("the question on stdin is not UTF-8") from None
