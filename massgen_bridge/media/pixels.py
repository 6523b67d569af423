"""What needs a decoder: other formats, colours and sizes. Importing this needs Pillow."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Final, cast

from PIL import Image

from massgen_bridge.errors import MediaError
from massgen_bridge.media.rules import (
    Prepared,
    check_moving,
    check_pixels,
    named_image,
    scale_within,
)

if TYPE_CHECKING:
    from massgen_bridge.connection import Animated, ImageLimits
    from massgen_bridge.media.headers import Header
    from massgen_bridge.messages import ImagePart

__all__ = ["check", "converted"]

# Pillow's decoders that may be asked. Others run programs, or are hardly ever met.
_DECODERS: Final = {
    "image/png": ("PNG",),
    "image/jpeg": ("JPEG",),
    "image/gif": ("GIF",),
    "image/webp": ("WEBP",),
    "image/bmp": ("BMP", "DIB"),
    "image/tiff": ("TIFF",),
    "image/vnd.microsoft.icon": ("ICO",),
    "image/x-portable-anymap": ("PPM",),
    "image/avif": ("AVIF",),
    "image/heic": ("HEIF",),
    "image/heif": ("HEIF", "AVIF"),
    "image/jp2": ("JPEG2000",),
    "image/qoi": ("QOI",),
}
_ENCODERS: Final = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP"}
_QUALITY: Final = 90
_SMALLER: Final = 0.75
_MOST_TRIES: Final = 16
_OPAQUE: Final = ("image/jpeg", "image/webp", "image/png")
_CLEAR: Final = ("image/png", "image/webp", "image/jpeg")
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_RANGES: Final = (1.0, 255.0, 65535.0)
_ORIENTATION: Final = 0x0112
_PNG_MARK: Final = b"\x89PNG\r\n\x1a\n"


def check(data: bytes, media_type: str) -> None:
    """See that a picture can be decoded to its end.

    Raises:
        MediaError: It cannot; in one clause without a subject.
    """
    with _opened(data, media_type) as picture:
        # A JPEG is read whole all the same, and only few of its pixels are made.
        picture.draft(None, (1, 1))
        _load(picture)


def converted(
    part: ImagePart,
    media_type: str,
    header: Header | None,
    limits: ImageLimits,
    *,
    animated: Animated,
) -> Prepared:
    """Decode a picture and encode it so that it is fit.

    Args:
        part: The picture.
        media_type: Its type, by its content.
        header: What it says of itself, where that was read already.
        limits: What the provider takes.
        animated: What becomes of one that moves.

    Raises:
        MediaError: It cannot be decoded, or not made fit; in one clause without a subject.
    """
    data = header.clean if header else part.data or b""
    if header is None and media_type == "image/vnd.microsoft.icon":
        _check_icon(data)
    with _opened(data, media_type) as picture:
        check_pixels(*picture.size)
        moves = header.is_animated if header else bool(getattr(picture, "is_animated", False))
        check_moving(animated, is_animated=moves)
        was = picture.size
        scale = scale_within(*was, limits)
        wanted = _scaled(was, scale)
        if scale < 1:
            picture.draft(None, wanted)
        _load(picture)
        # Some decoders turn it while they load it, and say so only then.
        orientation = header.orientation if header else _orientation_of(picture)
        plain = _plain(picture)
    if plain.size != wanted:
        plain = plain.resize(wanted, Image.Resampling.LANCZOS, reducing_gap=2.0)
    if orientation in _TURNS:
        plain = plain.transpose(_TURNS[orientation])
    return _encoded(part, plain, media_type, was, limits, moved=moves, turned=orientation != 1)


def _scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    # Rounded down: a limit is a limit.
    return max(1, int(size[0] * scale + 1e-6)), max(1, int(size[1] * scale + 1e-6))


def _opened(data: bytes, media_type: str) -> Image.Image:
    decoders = _DECODERS.get(media_type)
    if decoders is None:
        raise MediaError(f"is {media_type}, which nothing here can convert: save it as PNG or JPEG")
    Image.preinit()
    if not all(name in Image.OPEN for name in decoders[:1]):
        Image.init()
    known = [name for name in decoders if name in Image.OPEN]
    if not known:
        raise MediaError(
            f"is {media_type}, which the installed Pillow cannot decode: save it as PNG or JPEG"
        )
    try:
        return Image.open(BytesIO(data), formats=known)
    except Exception as error:  # noqa: BLE001 - a decoder that gets foreign bytes raises anything
        raise _damaged(error) from None


def _load(picture: Image.Image) -> None:
    try:
        picture.load()
    except Exception as error:  # noqa: BLE001 - a decoder that gets foreign bytes raises anything
        raise _damaged(error) from None


def _damaged(error: Exception) -> MediaError:
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return MediaError("has far more pixels than anybody can look at: make it smaller")
    words = str(error) if isinstance(error, OSError | SyntaxError | ValueError) else ""
    return MediaError(
        "cannot be decoded: it is damaged, or not whole"
        + (f" ({words})" if words and "BytesIO" not in words else "")
    )


def _check_icon(data: bytes) -> None:
    """An icon may hold whole PNG files, of any size."""
    at = data.find(_PNG_MARK)
    while at >= 0:
        size = data[at + 16 : at + 24]
        check_pixels(int.from_bytes(size[:4]), int.from_bytes(size[4:]))
        at = data.find(_PNG_MARK, at + 8)


def _orientation_of(picture: Image.Image) -> int:
    try:
        return int(picture.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - metadata of foreign bytes; the picture itself is fine
        return 1


def _plain(picture: Image.Image) -> Image.Image:
    """The picture with 8 bits a sample, as gray, RGB or RGBA, and with nothing but its colours."""
    profile = picture.info.get("icc_profile")
    mode = picture.mode
    if mode in {"I", "F"} or mode.startswith("I;16"):
        made = _narrowed(picture)
    elif mode in {"L", "RGB", "RGBA"} and "transparency" not in picture.info:
        made = picture.copy() if picture.readonly else picture
    elif mode in {"1", "L"}:
        made = picture.convert("LA" if "transparency" in picture.info else "L")
        made = made.convert("RGBA") if made.mode == "LA" else made
    elif picture.has_transparency_data:
        made = picture.convert("RGBA")
    else:
        # Of four colours, or of another space: its profile does not fit what it becomes.
        profile = profile if mode in {"P", "RGB"} else None
        made = picture.convert("RGB")
    made.info = {"icc_profile": profile} if profile else {}
    return made


def _narrowed(picture: Image.Image) -> Image.Image:
    """Gray of many bits as gray of eight: by the usual range that it is within, or by its own."""
    if picture.mode.startswith("I;16"):
        picture = picture.convert("I")
        low, high = 0.0, _RANGES[-1]
    else:
        # One pair: these modes have one sample a pixel.
        low, high = cast("tuple[float, float]", picture.getextrema())
        if low >= 0:
            low, high = 0.0, next((top for top in _RANGES if high <= top), high)
    factor = _RANGES[1] / (high - low) if high > low else 0.0
    wide = picture.convert("F")
    return wide.point(lambda value: value * factor + (0.5 - low * factor)).convert("L")


def _encoded(
    part: ImagePart,
    picture: Image.Image,
    media_type: str,
    was: tuple[int, int],
    limits: ImageLimits,
    *,
    moved: bool,
    turned: bool,
) -> Prepared:
    picture, wanted, data = _within_bytes(picture, _format(picture, media_type, limits), limits)
    changes = [
        (moved, "its first frame alone"),
        (turned, "turned upright"),
        (wanted != media_type, f"converted from {media_type} to {wanted}"),
        (
            set(picture.size) != set(was),
            f"scaled from {was[0]} x {was[1]} to {picture.width} x {picture.height} pixels",
        ),
    ]
    told = ", ".join(words for applies, words in changes if applies) or "encoded again"
    made = part.model_copy(update={"media_type": wanted, "data": data})
    return Prepared(part=made, notes=(f"{named_image(part)}: {told}",))


def _within_bytes(
    picture: Image.Image, wanted: str, limits: ImageLimits
) -> tuple[Image.Image, str, bytes]:
    """The picture, its media type and its file: the wanted one, or smaller until it is taken."""
    data = _bytes_of(picture, wanted)
    tries = 0
    while limits.max_bytes is not None and len(data) > limits.max_bytes:
        lossy = next((one for one in _OPAQUE[:2] if one in limits.formats), wanted)
        if wanted != lossy and (lossy == "image/webp" or picture.mode != "RGBA"):
            wanted = lossy
        elif tries >= _MOST_TRIES or max(picture.size) == 1:
            raise MediaError(
                f"cannot be brought below the {limits.max_bytes:,} bytes that the model takes"
            )
        else:
            picture = picture.resize(
                _scaled(picture.size, _SMALLER), Image.Resampling.LANCZOS, reducing_gap=2.0
            )
        tries += 1
        data = _bytes_of(picture, wanted)
    return picture, wanted, data


def _format(picture: Image.Image, media_type: str, limits: ImageLimits) -> str:
    if media_type in limits.formats and media_type in _ENCODERS:
        return media_type
    # What was lossy may be so again; text on a screen must stay sharp.
    is_photo = media_type in {"image/heic", "image/heif", "image/avif", "image/jp2", "image/jpeg"}
    order = _OPAQUE if is_photo and picture.mode != "RGBA" else _CLEAR
    found = next((one for one in order if one in limits.formats), None)
    if found is None:
        taken = ", ".join(sorted(limits.formats)) or "no format at all"
        raise MediaError(f"is {media_type}, and the model takes {taken}, which is not written here")
    return found


def _bytes_of(picture: Image.Image, media_type: str) -> bytes:
    if media_type == "image/jpeg" and picture.mode == "RGBA":
        opaque = Image.new("RGB", picture.size, "white")
        opaque.paste(picture, mask=picture.getchannel("A"))
        opaque.info = dict(picture.info)
        picture = opaque
    options = {} if media_type == "image/png" else {"quality": _QUALITY}
    written = BytesIO()
    picture.save(
        written,
        _ENCODERS[media_type],
        icc_profile=picture.info.get("icc_profile"),
        **options,
    )
    return written.getvalue()
