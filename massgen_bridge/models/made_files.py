"""What a model has made beside its text: pictures, sounds, and files that its code has written."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from massgen_bridge.events import LogLine
from massgen_bridge.media.types import kind_of, part_class
from massgen_bridge.messages import MEDIA_TYPE

if TYPE_CHECKING:
    from massgen_bridge.messages import MediaPart

__all__ = ["left_with_provider", "made_part"]

_UNKNOWN = "application/octet-stream"


def made_part(
    media_type: str | None,
    *,
    data: bytes | None = None,
    url: str | None = None,
    name: str | None = None,
) -> MediaPart:
    """What a model has made, as a part of its answer.

    Args:
        media_type: What its provider says that it is: parameters such as a charset do not count,
            and what is no media type says nothing.
        data: Its bytes; or `url`.
        url: Its address.
        name: What it is called, as far as it is.
    """
    found = re.match(MEDIA_TYPE, (media_type or "").strip().lower())
    known = found[0] if found else _UNKNOWN
    return part_class(kind_of(known))(media_type=known, data=data, url=url, name=name)


def left_with_provider(name: str, why: str) -> LogLine:
    """What is told of a file that the model's code has written and that could not be fetched.

    Args:
        name: Of the file.
        why: What was in the way.
    """
    return LogLine(
        stream="log",
        text=f"the file {name!r}, which the model's code has written, is left with the provider: "
        f"{why}",
    )
