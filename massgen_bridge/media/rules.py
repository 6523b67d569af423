"""What a picture may be, whoever looks at it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from massgen_bridge.errors import MediaError

if TYPE_CHECKING:
    from massgen_bridge.connection import Animated, ImageLimits
    from massgen_bridge.messages import ImagePart

__all__ = [
    "MOST_PIXELS",
    "Prepared",
    "check_moving",
    "check_pixels",
    "named_image",
    "scale_within",
]

MOST_PIXELS: Final = 64_000_000
"""Pixels of the largest picture that is decoded; it takes about 256 MB of memory."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A picture that is fit, and in words what was done to it."""

    part: ImagePart
    notes: tuple[str, ...] = ()


def named_image(part: ImagePart) -> str:
    """How a picture is called in errors and notes."""
    return f"the picture {part.name!r}" if part.name else "a picture"


def check_pixels(width: int, height: int) -> None:
    """Refuse a picture that is empty, or too large to be decoded.

    Raises:
        MediaError: It is; in one clause without a subject.
    """
    if not width or not height:
        raise MediaError(f"has no pixels ({width} x {height})")
    if width * height > MOST_PIXELS:
        raise MediaError(
            f"has {width:,} x {height:,} pixels; at most {MOST_PIXELS:,} are decoded: make it "
            "smaller"
        )


def scale_within(width: int, height: int, limits: ImageLimits) -> float:
    """By what a picture's sides are multiplied so that it is within the limits; at most 1."""
    side = limits.max_side / max(width, height) if limits.max_side else 1.0
    area = math.sqrt(limits.max_pixels / (width * height)) if limits.max_pixels else 1.0
    return min(1.0, side, area)


def check_moving(animated: Animated, *, is_animated: bool) -> None:
    """Refuse a picture that moves, where that is not wanted.

    Raises:
        MediaError: It does; in one clause without a subject.
    """
    if is_animated and animated == "refuse":
        raise MediaError("moves, and that is refused: give a single frame")
