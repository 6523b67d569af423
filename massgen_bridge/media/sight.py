"""What an agent takes of media."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from massgen_bridge.agent import InputKind
    from massgen_bridge.connection import Animated, Blind, ImageLimits

__all__ = ["Sight"]


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
