"""What the four usual picture formats say of themselves, read without decoding a single pixel.

The same walk finds what is not the picture: places, cameras, comments, and whatever was appended.
Sources: ITU T.81 Annex B (JPEG), Exif 3.0 §4.6, PNG (Third Edition) §5 and §11, the WebP container
specification, GIF89a.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from massgen_bridge.errors import MediaError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Header", "read_header"]


_UPRIGHT: Final = 1


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a picture says of itself.

    Attributes:
        width: Pixels, before `orientation`.
        height: Likewise.
        clean: The file without metadata and without what follows the picture; colour profiles
            stay. The same object where there is none.
        orientation: By Exif, from 1 (upright) to 8.
        is_animated: Whether it has a second frame.
        is_plain: Whether its samples have at most 8 bits, in gray, RGB or a palette.
        scans: How often a decoder goes over the whole picture.
    """

    width: int
    height: int
    clean: bytes
    orientation: int = _UPRIGHT
    is_animated: bool = False
    is_plain: bool = True
    scans: int = 1


def read_header(data: bytes, media_type: str) -> Header | None:
    """Read a picture's header.

    Args:
        data: The whole file.
        media_type: Its type, by its content.

    Returns:
        None for a format that only Pillow knows.

    Raises:
        MediaError: The file ends too early, or its parts do not fit together; in one clause
            without a subject.
    """
    read = _READERS.get(media_type)
    if read is None:
        return None
    try:
        return read(data)
    except (IndexError, struct.error):
        raise MediaError("ends in the middle of the picture") from None


_JPEG_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_END: Final = 0xD9
_JPEG_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD8), _JPEG_END})
_JPEG_MARK: Final = 0xFF
_JPEG_EXIF: Final = 0xE1
_JPEG_SCAN: Final = 0xDA
_JPEG_COMMENT: Final = 0xFE
_NEXT_MARKER: Final = re.compile(rb"\xff+[\x01-\xcf\xd8-\xfe]")
_FOUR_COLOURS: Final = 4
_BITS: Final = 8


def _jpeg(data: bytes) -> Header:
    size, is_plain, orientation, scans = (0, 0), True, _UPRIGHT, 0
    kept: list[bytes] = [data[:2]]
    for marker, start, end in _jpeg_segments(data):
        body = data[start + 4 : end]
        if marker in _JPEG_FRAMES:
            bits, height, width, colours = struct.unpack_from(">BHHB", body)
            # More than one is against the rules, and no way around a limit.
            size = max(size, (width, height), key=lambda sides: sides[0] * sides[1])
            is_plain = bits == _BITS and colours != _FOUR_COLOURS
        elif marker == _JPEG_SCAN:
            scans += 1
        elif marker == _JPEG_EXIF and body.startswith(b"Exif\x00\x00"):
            orientation = _exif_orientation(body[6:])
        if _is_of_jpeg(marker, body):
            kept.append(data[start:end])
    clean = b"".join(kept)
    return Header(
        width=size[0],
        height=size[1],
        clean=data if len(clean) == len(data) else clean,
        orientation=orientation,
        is_plain=is_plain,
        scans=scans,
    )


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of each segment; a scan's pixels belong to it."""
    at = 2
    while True:
        if data[at] != _JPEG_MARK:
            raise MediaError("is damaged: its segments do not follow each other")
        while data[at + 1] == _JPEG_MARK:  # may be repeated
            at += 1
        marker = data[at + 1]
        end = at + 2
        if marker not in _JPEG_ALONE:
            (length,) = struct.unpack_from(">H", data, end)
            end += length
        if marker == _JPEG_SCAN:
            found = _NEXT_MARKER.search(data, end)
            end = found.start() if found else len(data) + 1
        if end > len(data):
            raise MediaError("ends in the middle of the picture")
        yield marker, at, end
        if marker == _JPEG_END:
            return
        at = end


def _is_of_jpeg(marker: int, body: bytes) -> bool:
    """Whether a segment belongs to the picture, or to its colours."""
    match marker:
        case 0xE0:
            return body.startswith(b"JFIF\x00")
        case 0xE2:
            return body.startswith(b"ICC_PROFILE\x00")
        case 0xEE:
            return body.startswith(b"Adobe")
    return not (0xE0 <= marker <= 0xEF or marker == _JPEG_COMMENT)  # noqa: PLR2004 - APP0 to APP15


_ORIENTATION: Final = 0x0112
_MOST_ENTRIES: Final = 512
_ORIENTATIONS: Final = range(1, 9)


def _exif_orientation(exif: bytes) -> int:
    """The orientation that an Exif block gives; upright where it is damaged."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return _UPRIGHT
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start)
        for index in range(min(count, _MOST_ENTRIES)):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", exif, start + 2 + 12 * index)
            if tag == _ORIENTATION:
                return value if value in _ORIENTATIONS else _UPRIGHT
    except struct.error:
        return _UPRIGHT
    return _UPRIGHT


_PNG_KEPT: Final = frozenset(
    {b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP", b"bKGD", b"pHYs"}
)


def _png(data: bytes) -> Header:
    width, height, bits = struct.unpack_from(">IIB", data, 16)
    kept: list[bytes] = [data[:8]]
    orientation, is_animated, at = _UPRIGHT, False, 8
    while True:
        length, name = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise MediaError("ends in the middle of the picture")
        is_animated = is_animated or name == b"acTL"
        if name == b"eXIf":
            orientation = _exif_orientation(data[at + 8 : end - 4])
        # A capital letter marks what no decoder can do without.
        if name in _PNG_KEPT or name[:1].isupper():
            kept.append(data[at:end])
        at = end
        if name == b"IEND":
            break
    clean = b"".join(kept)
    return Header(
        width=width,
        height=height,
        clean=data if len(clean) == len(data) else clean,
        orientation=orientation,
        is_animated=is_animated,
        is_plain=bits <= _BITS,
    )


_WEBP_DROPPED: Final = frozenset({b"EXIF", b"XMP "})
_WEBP_METADATA: Final = 0x0C
_WEBP_ANIMATED: Final = 0x02


def _webp(data: bytes) -> Header:
    (length,) = struct.unpack_from("<I", data, 4)
    if length + 8 > len(data):
        raise MediaError("ends in the middle of the picture")
    size, orientation, is_animated = (0, 0), _UPRIGHT, False
    kept: list[bytes] = []
    at, whole = 12, min(len(data), length + 8)
    while at + 8 <= whole:
        name, length = struct.unpack_from("<4sI", data, at)
        end = at + 8 + length + length % 2
        body = data[at + 8 : at + 8 + length]
        chunk = data[at:end]
        if name == b"VP8X":
            is_animated = bool(body[0] & _WEBP_ANIMATED)
            size = (1 + _int24(body, 4), 1 + _int24(body, 7))
            chunk = chunk[:8] + bytes([body[0] & ~_WEBP_METADATA]) + chunk[9:]
        elif name == b"VP8 " and size == (0, 0):
            width, height = struct.unpack_from("<HH", body, 6)
            size = (width & 0x3FFF, height & 0x3FFF)
        elif name == b"VP8L" and size == (0, 0):
            (packed,) = struct.unpack_from("<I", body, 1)
            size = (1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF))
        elif name == b"EXIF":
            orientation = _exif_orientation(body.removeprefix(b"Exif\x00\x00"))
        if name not in _WEBP_DROPPED:
            kept.append(chunk)
        at = end
    inner = b"WEBP" + b"".join(kept)
    clean = b"RIFF" + struct.pack("<I", len(inner)) + inner
    return Header(
        width=size[0],
        height=size[1],
        clean=data if clean == data else clean,
        orientation=orientation,
        is_animated=is_animated,
    )


def _int24(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 3], "little")


_GIF_PICTURE: Final = 0x2C
_GIF_EXTENSION: Final = 0x21
_GIF_CONTROL: Final = 0xF9
_GIF_TRAILER: Final = b"\x3b"


def _gif(data: bytes) -> Header:
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at = 13 + _gif_colours(flags)
    kept: list[bytes] = [data[:at]]
    frames = 0
    while data[at : at + 1] != _GIF_TRAILER:
        start = at
        if data[at] == _GIF_PICTURE:
            frames += 1
            if frames > 1:
                break
            at += 11 + _gif_colours(data[at + 9])
        elif data[at] == _GIF_EXTENSION:
            at += 2
        else:
            raise MediaError("is damaged: its blocks do not follow each other")
        while data[at]:
            at += 1 + data[at]
        at += 1
        if data[start] == _GIF_PICTURE or data[start + 1] == _GIF_CONTROL:
            kept.append(data[start:at])
    clean = b"".join([*kept, _GIF_TRAILER])
    return Header(
        width=width,
        height=height,
        clean=data if len(clean) == len(data) else clean,
        is_animated=frames > 1,
    )


def _gif_colours(flags: int) -> int:
    """Bytes of a table of colours."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


_READERS: Final[dict[str, Callable[[bytes], Header]]] = {
    "image/gif": _gif,
    "image/jpeg": _jpeg,
    "image/png": _png,
    "image/webp": _webp,
}
