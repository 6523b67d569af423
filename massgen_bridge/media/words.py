"""What stands in words where a picture, sound, film or document cannot be shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from massgen_bridge.errors import MediaError
from massgen_bridge.media.headers import read_header
from massgen_bridge.media.types import media_type_of
from massgen_bridge.messages import DocumentPart

if TYPE_CHECKING:
    from massgen_bridge.messages import MediaPart

__all__ = ["described", "is_text", "placeholder", "read_aloud", "told", "written_out"]

_KILO = 1000
_HEAD = 64
_TEXTS = frozenset({"application/json", "application/xml", "application/yaml", "image/svg+xml"})


def told(part: MediaPart) -> str:
    """Kind, name, type and size, such as `image 'cat.png' (image/png, 640 x 480, 12 kB)`."""
    name = f" {part.name!r}" if part.name else ""
    facts = [part.media_type]
    if part.data is None:
        facts.append(f"at {part.url}")
    else:
        facts += [*_sides(part.data), _bytes(len(part.data))]
    return f"{part.type}{name} ({', '.join(facts)})"


def placeholder(part: MediaPart, why: str, *, source: str = "") -> str:
    """What stands in the place of media that are not shown.

    Args:
        part: What is not shown.
        why: The reason.
        source: Where it comes from, such as `from the tool 'camera'`.
    """
    return f"[{told(part)}{f' {source}' if source else ''} is not shown here: {why}]"


def described(part: MediaPart, text: str, *, by: str) -> str:
    """What stands in the place of a picture that another model described.

    Args:
        part: The picture.
        text: The description.
        by: The model.
    """
    return f"[{told(part)} cannot be seen here; {by} describes it:]\n{text}\n[end of what it says]"


def read_aloud(part: MediaPart, text: str) -> str:
    """What stands in the place of a picture whose text was read."""
    if not text:
        return f"[{told(part)} cannot be seen here; no text was found on it]"
    return f"[{told(part)} cannot be seen here; the text on it:]\n{text}\n[end of the text]"


def is_text(part: MediaPart) -> bool:
    """Whether it is a text as it stands, which every model can read."""
    if not isinstance(part, DocumentPart) or part.data is None:
        return False
    if not part.media_type.startswith("text/") and part.media_type not in _TEXTS:
        return False
    try:
        part.data.decode()
    except UnicodeDecodeError:
        return False
    return True


def written_out(part: MediaPart) -> str:
    """What stands in the place of a text file where documents are not taken: all of it."""
    text = (part.data or b"").decode("utf-8-sig")
    return f"[{told(part)}, its text:]\n{text.rstrip()}\n[end of the text]"


def _sides(data: bytes) -> tuple[str, ...]:
    try:
        header = read_header(data, media_type_of(data[:_HEAD]) or "")
    except MediaError:
        return ()
    return (f"{header.width} x {header.height}",) if header else ()


def _bytes(size: int) -> str:
    for unit in ("bytes", "kB"):
        if size < _KILO:
            return f"{size} {unit}"
        size = round(size / _KILO)
    return f"{size} MB"
