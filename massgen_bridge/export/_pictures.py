"""The pictures of a run: on its page, or in files beside its Markdown."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from typing import TYPE_CHECKING, Final

from massgen_bridge.display.words import medium_words
from massgen_bridge.export._markup import Html, el, safe_text
from massgen_bridge.messages import ImagePart

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_bridge.export.model import Attachment, RunExport
    from massgen_bridge.messages import MediaPart

__all__ = ["Album", "caption", "file_name", "pictures_of", "shown"]

# What every browser shows, and what acts in none.
_SUFFIXES: Final[Mapping[str, str]] = {
    "image/gif": ".gif",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
}
_MOST_BYTES: Final = 20_000_000


def shown(part: MediaPart) -> ImagePart | None:
    """The picture to show; None for an address, a sound, a rare format."""
    if isinstance(part, ImagePart) and part.data and part.media_type in _SUFFIXES:
        return part
    return None


def file_name(picture: ImagePart) -> str:
    """A name by the content, so that a picture that several answers show is one file."""
    return f"{_digest(picture)}{_SUFFIXES[picture.media_type]}"


def caption(one: Attachment) -> str:
    """What stands with a picture that is there to be seen.

    The file that it is saved in is left out: an export is sent to people who don't have it.
    """
    return medium_words(one.picture) if one.picture and one.picture.path else one.words


def pictures_of(run: RunExport) -> dict[str, bytes]:
    """The pictures of a run's question and answers, by `file_name`."""
    found: dict[str, bytes] = {}
    of_answers = (one for answer in run.answers for one in answer.attachments)
    for picture in (one.picture for one in (*run.attachments, *of_answers)):
        if picture is not None and picture.data is not None:
            found[file_name(picture)] = picture.data
    return found


def _digest(picture: ImagePart) -> str:
    return hashlib.sha256(picture.data or b"").hexdigest()[:16]


class Album:
    """The pictures on one page, each of them once, as far as it may grow.

    Args:
        most_bytes: Of all of them together.
    """

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most = most_bytes
        self._left = most_bytes
        self._on_page: set[str] = set()

    @property
    def has_pictures(self) -> bool:
        """Whether any is on the page by now."""
        return bool(self._on_page)

    def entry(self, one: Attachment) -> Html:
        """What stands for something that belongs to an answer: the picture, or words for it."""
        words, picture = one.words, one.picture
        if picture is None or picture.data is None:
            return el("p", words)
        key = f"picture-{_digest(picture)}"
        if key in self._on_page:
            return el("p", caption(one), " ", el("a", "It stands above.", href=f"#{key}"))
        if len(picture.data) > self._left:
            most = f"{self._most / 1e6:g} MB"
            return el("p", f"{words} It is not on this page, whose pictures are at most {most}.")
        words = caption(one)
        self._left -= len(picture.data)
        self._on_page.add(key)
        encoded = base64.b64encode(picture.data).decode()
        image = Html(
            f'<img src="data:{picture.media_type};base64,{encoded}"'
            f' alt="{escape(safe_text(words))}">'
        )
        return el("figure", image, el("figcaption", words), id=key)
