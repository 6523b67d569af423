"""What an agent takes of media."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from massgen_bridge.agent import InputKind
    from massgen_bridge.connection import Animated, Blind, ImageLimits

__all__ = ["Sight", "tightest"]

_SIZES: Final = ("max_bytes", "max_pixels", "max_side", "max_request_bytes")
_WRITTEN: Final = frozenset({"image/jpeg", "image/png", "image/webp"})


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What an agent takes of media.

    Attributes:
        inputs: Kinds of media that it takes in messages.
        tool_media: Those that it takes in the results of tools.
        images: The limits of its model; None where pictures are handed on as they are.
        where: Names it in errors.
        blind: What becomes of pictures where it takes none.
        fetch_urls: Whether what has an address is fetched for it.
        animated: What becomes of pictures that move.
    """

    inputs: frozenset[InputKind] = frozenset()
    tool_media: frozenset[InputKind] = frozenset()
    images: ImageLimits | None = None
    where: str = "this agent"
    blind: Blind = "refuse"
    fetch_urls: bool = False
    animated: Animated = "first_frame"


def tightest(limits: ImageLimits, others: Iterable[ImageLimits]) -> ImageLimits:
    """Limits within which a picture is small enough, and has the right format, for several models.

    How many pictures there may be, and whether they may be addresses, stays as it is: no change of
    a picture could help there.

    Args:
        limits: Of the first model. Its formats count alone where it shares none with another that
            could be written.
        others: Those of the others.
    """
    return reduce(_within, others, limits)


def _within(limits: ImageLimits, other: ImageLimits) -> ImageLimits:
    both = [(name, getattr(limits, name), getattr(other, name)) for name in _SIZES]
    update: dict[str, object] = {
        name: min(one for one in sizes if one is not None)
        for name, *sizes in both
        if any(one is not None for one in sizes)
    }
    shared = limits.formats & other.formats
    if shared & _WRITTEN:
        update["formats"] = shared
    return limits.model_copy(update=update)
