"""Parts of a message from files, bytes and addresses."""

from __future__ import annotations

import base64
import binascii
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from massgen_bridge.errors import MediaError
from massgen_bridge.media.types import SVG, kind_of, media_type_of, named_type, part_class

if TYPE_CHECKING:
    from massgen_bridge.agent import InputKind
    from massgen_bridge.messages import MediaPart

__all__ = ["LARGEST_FILE", "part_of_bytes", "part_of_file", "part_of_url"]

LARGEST_FILE: Final = 64 * 2**20
"""Bytes of the largest file that is read."""

_WORDS: Final[dict[InputKind, str]] = {
    "image": "picture",
    "audio": "sound",
    "video": "film",
    "document": "document",
}
_SHOWN: Final = 80


def part_of_file(
    path: Path | str, *, kind: InputKind | None = None, largest: int = LARGEST_FILE
) -> MediaPart:
    """A file as a part of a message, with its bytes; reads the disk, so call it in a thread.

    Args:
        path: The file.
        kind: What it has to be; None: whatever it is.
        largest: Most bytes that it may have.

    Returns:
        A part of the type that the file's content says, under the file's name.

    Raises:
        MediaError: It is missing, unreadable, no file, empty, too large, of another kind, or of a
            kind that nobody knows.
    """
    path = Path(path)
    where = repr(str(path))
    try:
        found = path.stat()
        # Not a pipe or a device, which may never end.
        if not stat.S_ISREG(found.st_mode):
            what = "a folder" if stat.S_ISDIR(found.st_mode) else "no regular file"
            raise MediaError(f"{where} is {what}; give the path of one file")
        with path.open("rb") as file:
            # One more than it may have: it may have grown since.
            data = b"" if found.st_size > largest else file.read(largest + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise MediaError(f"cannot read {where}: {reason}") from None
    size = max(found.st_size, len(data))
    if size > largest:
        raise MediaError(f"{where} has {size:,} bytes; at most {largest:,} can be sent")
    return part_of_bytes(data, name=path.name, kind=kind, where=where)


def part_of_bytes(
    data: bytes,
    *,
    name: str | None = None,
    kind: InputKind | None = None,
    where: str | None = None,
) -> MediaPart:
    """Bytes as a part of a message, of the type that they say themselves.

    Args:
        data: The whole content of a file.
        name: The file's name, as far as there is one.
        kind: What it has to be; None: whatever it is.
        where: Names it in errors; its name by default.

    Raises:
        MediaError: It is empty, of another kind, or of a kind that nobody knows.
    """
    where = where or (repr(name) if name else f"a file of {len(data):,} bytes")
    if not data:
        raise MediaError(f"{where} is empty")
    media_type = media_type_of(data, name or "")
    if media_type is None or (name and _is_broken(media_type, name, kind)):
        raise MediaError(_unknown(where, name, kind))
    if media_type == SVG and kind != "document":
        raise MediaError(
            f"{where} is an SVG drawing, which is a program for drawing and no picture that a "
            "model takes: export it as PNG"
        )
    own = kind_of(media_type)
    # A drawing is told as text to who wants to read it.
    if kind is not None and own != kind and media_type != SVG:
        raise MediaError(
            f"{where} is no {_WORDS[kind]}: its content is a {_WORDS[own]} ({media_type})"
        )
    return part_class(kind or own)(media_type=media_type, data=data, name=name)


def _is_broken(media_type: str, name: str, kind: InputKind | None) -> bool:
    """Whether what is called a picture, sound or film is but text."""
    named = named_type(name)
    return (
        media_type == "text/plain"
        and kind != "document"
        and named is not None
        and kind_of(named) != "document"
    )


def _unknown(where: str, name: str | None, kind: InputKind | None) -> str:
    named = named_type(name or "")
    if named is not None and kind_of(named) != "document":
        return f"{where}: its name says {named}, its content does not; it is damaged or misnamed"
    wanted = f"a {_WORDS[kind]}" if kind else "a picture, sound, film, PDF, office file or text"
    return f"{where}: its content is of no kind that is known; expected {wanted}"


def part_of_url(url: str, *, kind: InputKind | None = None, name: str | None = None) -> MediaPart:
    """An address as a part of a message; nothing is fetched.

    An address `data:…` gives a part with the bytes in it. Of any other one, the ending of its
    path says the media type; where it says none, that is `application/octet-stream`.

    Args:
        url: Beginning with `http://`, `https://` or `data:`.
        kind: What is there; None: what the address's ending says.
        name: What it is called; by default the last part of the address's path.

    Raises:
        MediaError: It is no such address, has a password in it, or nothing says what is there.
    """
    shown = repr(url if len(url) <= _SHOWN else f"{url[:_SHOWN]}…")
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError as error:
        raise MediaError(f"{shown} is no address: {error}") from None
    if parts.scheme == "data":
        return _within(url, kind=kind, name=name, shown=shown)
    if parts.scheme not in {"http", "https"} or not host:
        raise MediaError(
            f"{shown} is no address of a file; expected one that begins with 'https://', "
            "'http://' or 'data:'"
        )
    if parts.username is not None or parts.password is not None:
        raise MediaError(
            "an address with a user name or a password in it is shown to models and in logs: "
            "download the file, and give its path"
        )
    last = unquote(parts.path.rpartition("/")[2])
    media_type = named_type(last)
    if kind is None and media_type is None:
        raise MediaError(
            f"nothing says what is at {shown}: its path has no ending such as '.png'; say what "
            "it is, for example with 'image'"
        )
    if media_type is None or (kind not in {None, "document"} and kind_of(media_type) != kind):
        # A page such as `picture.php` may give anything.
        media_type = "application/octet-stream"
    made = part_class(kind or kind_of(media_type))
    return made(media_type=media_type, url=url, name=name or last or None)


def _within(url: str, *, kind: InputKind | None, name: str | None, shown: str) -> MediaPart:
    head, comma, body = url.partition(",")
    if not comma:
        raise MediaError(f"{shown} is no address of data: the comma before the data is missing")
    # Percent signs make three characters of one; base64 makes four of three.
    if len(body) > 3 * LARGEST_FILE:
        raise MediaError(f"{shown} is too long; at most {LARGEST_FILE:,} bytes can be sent")
    data = unquote_to_bytes(body)
    if head.endswith(";base64"):
        try:
            data = base64.b64decode(data, validate=True)
        except binascii.Error as error:
            raise MediaError(f"{shown} is no valid base64: {error}") from None
    return part_of_bytes(data, name=name, kind=kind, where=shown)
