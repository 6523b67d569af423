"""Pictures made fit for a model: checked, upright, without metadata, within its limits.

What needs no decoding is done without Pillow, and then the pixels stay as they are, bit for bit.
"""

from __future__ import annotations

import hashlib
import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

import anyio
from anyio import to_thread

from massgen_bridge.errors import MediaError
from massgen_bridge.media.headers import read_header
from massgen_bridge.media.rules import (
    MOST_PIXELS,
    Prepared,
    check_moving,
    check_pixels,
    named_image,
    scale_within,
)
from massgen_bridge.media.types import SVG, media_type_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from massgen_bridge.connection import Animated, ImageLimits
    from massgen_bridge.media.headers import Header
    from massgen_bridge.messages import ImagePart

    # Hash of the bytes, name, limits, and what becomes of one that moves.
    _Key: TypeAlias = tuple[str, str, ImageLimits, Animated]

__all__ = ["Preparer", "check_image", "prepare_image"]

# Each scan of a progressive JPEG goes over all pixels; a hostile one has thousands.
_MOST_WORK: Final = 20 * MOST_PIXELS
_MOST_S: Final = 60.0
_MOST_AT_ONCE: Final = 2
_CACHED_BYTES: Final = 128 * 2**20


def prepare_image(
    part: ImagePart, limits: ImageLimits, *, animated: Animated = "first_frame"
) -> Prepared:
    """Make one picture fit; takes time and memory, so call it in a thread.

    Args:
        part: The picture, with its bytes.
        limits: What the provider takes.
        animated: What becomes of one that moves.

    Raises:
        MediaError: It is damaged, no picture, too large to be decoded, moves against the option,
            or cannot be brought within the limits.
    """
    with _named(part):
        media_type, header = _examined(part, animated=animated)
        fit = header is not None and _is_fit(header, media_type, limits)
        return _prepared(part, media_type, header, limits, fit=fit, animated=animated)


def check_image(part: ImagePart) -> None:
    """See, before anything is asked of a model, that a picture of a usual format is whole.

    Of other formats nothing but the type is looked at: whether they can be decoded depends on what
    is installed, and they are when they are made fit. Takes time, as above.

    Raises:
        MediaError: It is damaged, no picture, or too large to be decoded.
    """
    with _named(part):
        media_type, header = _examined(part, animated="first_frame")
        if header is None:
            return
        try:
            from massgen_bridge.media import pixels  # noqa: PLC0415 - Pillow is an extra
        except ImportError:
            return
        pixels.check(header.clean, media_type)


@contextmanager
def _named(part: ImagePart) -> Iterator[None]:
    """Say in errors which picture they are about."""
    try:
        yield
    except MediaError as error:
        raise MediaError(f"{named_image(part)} {error.message}") from None


def _examined(part: ImagePart, *, animated: Animated) -> tuple[str, Header | None]:
    """A picture's type by its content, and what it says of itself."""
    data = part.data or b""
    if not data:
        raise MediaError("is empty")
    media_type = media_type_of(data, part.name or "")
    if media_type is None or not media_type.startswith("image/") or media_type == SVG:
        raise MediaError(_no_picture(media_type))
    header = read_header(data, media_type)
    if header is not None:
        _check_size(header, animated=animated)
    return media_type, header


def _no_picture(media_type: str | None) -> str:
    if media_type == SVG:
        return (
            "is an SVG drawing, which is a program for drawing and no picture that a model takes: "
            "export it as PNG"
        )
    if media_type is None:
        return "is no picture: its content is of no kind that is known; is it damaged?"
    return f"is no picture: its content is {media_type}"


def _check_size(header: Header, *, animated: Animated) -> None:
    check_pixels(header.width, header.height)
    if header.width * header.height * header.scans > _MOST_WORK:
        raise MediaError(f"would be decoded {header.scans:,} times over, which no honest one needs")
    check_moving(animated, is_animated=header.is_animated)


def _is_fit(header: Header, media_type: str, limits: ImageLimits) -> bool:
    """Whether it need not be decoded to be fit."""
    return (
        media_type in limits.formats
        and header.is_plain
        and header.orientation == 1
        and not header.is_animated
        and scale_within(header.width, header.height, limits) == 1
        and (limits.max_bytes is None or len(header.clean) <= limits.max_bytes)
    )


def _prepared(
    part: ImagePart,
    media_type: str,
    header: Header | None,
    limits: ImageLimits,
    *,
    fit: bool,
    animated: Animated,
) -> Prepared:
    try:
        from massgen_bridge.media import pixels  # noqa: PLC0415 - Pillow is an extra
    except ImportError:
        if header is None or not fit:
            raise MediaError(_needs_pillow(media_type, header, limits)) from None
    else:
        if header is None or not fit:
            return pixels.converted(part, media_type, header, limits, animated=animated)
        pixels.check(header.clean, media_type)
    notes = () if header.clean is part.data else (f"{named_image(part)}: metadata removed",)
    changed = {"media_type": media_type, "data": header.clean}
    return Prepared(part=part.model_copy(update=changed), notes=notes)


def _needs_pillow(media_type: str, header: Header | None, limits: ImageLimits) -> str:
    if header is None or media_type not in limits.formats:
        what = f"is {media_type}, and has to be converted"
    elif header.orientation != 1:
        what = "has to be turned upright"
    elif header.is_animated:
        what = "moves, and has to be made a single frame"
    elif not header.is_plain:
        what = "has colours that have to be converted"
    else:
        what = "is beyond the limits of the model, and has to be made smaller"
    return f"{what}, which needs Pillow: pip install 'massgen-bridge[images]'"


class Preparer:
    """Prepares the pictures of a run, each once for the same limits, off the event loop."""

    def __init__(self) -> None:
        self._done: dict[_Key, Prepared | MediaError] = {}
        self._bytes = 0
        self._locks: dict[_Key, threading.Lock] = {}
        self._lock = threading.Lock()
        self._limiter = anyio.CapacityLimiter(_MOST_AT_ONCE)

    async def __call__(
        self, part: ImagePart, limits: ImageLimits, *, animated: Animated = "first_frame"
    ) -> Prepared:
        """Make one picture fit.

        Raises:
            MediaError: It cannot be made so, or not within a minute.
        """
        with anyio.move_on_after(_MOST_S):
            return await to_thread.run_sync(
                partial(self._once, part, limits, animated),
                abandon_on_cancel=True,
                limiter=self._limiter,
            )
        raise MediaError(f"{named_image(part)} was not prepared within {_MOST_S:g} s")

    def _once(self, part: ImagePart, limits: ImageLimits, animated: Animated) -> Prepared:
        digest = hashlib.sha256(part.data or b"").hexdigest()
        key = (digest, part.name or "", limits, animated)
        with self._lock:
            own = self._locks.setdefault(key, threading.Lock())
        with own:
            # Asked once: another thread may make room for its own at any time.
            done = self._done.get(key)
            if done is None:
                try:
                    done = prepare_image(part, limits, animated=animated)
                except MediaError as error:
                    done = error
                self._keep(key, done)
        if isinstance(done, MediaError):
            raise MediaError(done.message)
        return done

    def _keep(self, key: _Key, done: Prepared | MediaError) -> None:
        with self._lock:
            self._done[key] = done
            self._bytes += _weight(done)
            for old in list(self._done):
                if self._bytes <= _CACHED_BYTES or old == key:
                    break
                self._bytes -= _weight(self._done.pop(old))
                self._locks.pop(old, None)


def _weight(done: Prepared | MediaError) -> int:
    return 0 if isinstance(done, MediaError) else len(done.part.data or b"")
