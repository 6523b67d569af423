"""Pictures of all kinds and sizes, made with Pillow, with what is meant to be seen on them.

Each shows the same four quarters, so that a test can tell what was turned, cropped or inverted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Final

from PIL import Image, ImageChops, ImageStat

__all__ = ["KINDS", "Kind", "make", "quarters", "shows", "with_exif"]

RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 180, 40), (30, 60, 210), (245, 245, 245)
_CLOSE: Final = 40.0


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of picture: how it is made, and what is meant to be seen.

    `mode` is converted to before it is saved in `form` with `options`. `orientation` is told by
    Exif, and the pixels are turned the other way. `gray` says that its colours are not kept.
    """

    name: str
    form: str
    mode: str = "RGB"
    size: tuple[int, int] = (64, 48)
    options: dict[str, Any] = field(default_factory=dict)
    orientation: int = 1
    frames: int = 1
    gray: bool = False


def quarters(size: tuple[int, int]) -> Image.Image:
    """What is meant to be seen."""
    width, height = size
    picture = Image.new("RGB", size, WHITE)
    picture.paste(RED, (0, 0, width // 2, height // 2))
    picture.paste(GREEN, (width // 2, 0, width, height // 2))
    picture.paste(BLUE, (0, height // 2, width // 2, height))
    return picture


_UNDONE: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def with_exif(orientation: int = 1) -> bytes:
    """Exif with a place on earth, a camera and an orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "SECRET CAMERA"
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    return exif.tobytes()


def _in_mode(picture: Image.Image, mode: str) -> Image.Image:
    match mode:
        case "I;16":
            wide = picture.convert("L").convert("I").point(lambda value: value * 257)
            return wide.convert("I;16")
        case "F":
            return picture.convert("L").convert("F")
        case "P":
            return picture.quantize(16)
        case "RGBA" | "LA" | "PA":
            made = picture.convert("RGBA")
            made.putalpha(255)
            return made if mode == "RGBA" else made.convert(mode)
    return picture.convert(mode)


def make(kind: Kind) -> bytes:
    """The file."""
    picture = quarters(kind.size)
    if kind.orientation != 1:
        picture = picture.transpose(_UNDONE[kind.orientation])
    made = _in_mode(picture, kind.mode)
    options = dict(kind.options)
    if kind.orientation != 1:
        options["exif"] = with_exif(kind.orientation)
    if kind.frames > 1:
        others = [_in_mode(Image.new("RGB", kind.size, (9, 9, 9)), kind.mode)] * (kind.frames - 1)
        options |= {"save_all": True, "append_images": others}
    written = BytesIO()
    made.save(written, kind.form, **options)
    return written.getvalue()


def shows(data: bytes, kind: Kind) -> bool:
    """Whether a file shows what is meant, at whatever size; dots are seen from afar."""
    with Image.open(BytesIO(data)) as picture:
        seen = picture.convert("RGBA")
    opaque = Image.new("RGBA", seen.size, "white")
    opaque.alpha_composite(seen)
    afar = (min(seen.width, 16), min(seen.height, 12))
    got = opaque.convert("RGB").resize(afar, Image.Resampling.BOX)
    meant = quarters(kind.size).resize(afar, Image.Resampling.BOX)
    if kind.gray:
        got, meant = got.convert("L"), meant.convert("L")
    off = ImageStat.Stat(ImageChops.difference(got, meant)).rms
    return max(off) < _CLOSE


def _kinds() -> tuple[Kind, ...]:
    many = [
        Kind(name="png_rgb", form="PNG"),
        Kind(name="png_rgba", form="PNG", mode="RGBA"),
        Kind(name="png_palette", form="PNG", mode="P"),
        Kind(name="png_gray", form="PNG", mode="L", gray=True),
        Kind(name="png_gray_alpha", form="PNG", mode="LA", gray=True),
        Kind(name="png_16_bit", form="PNG", mode="I;16", gray=True),
        Kind(name="png_1_bit", form="PNG", mode="1", size=(400, 300), gray=True),
        Kind(name="png_interlaced_text", form="PNG", options={"exif": with_exif()}),
        Kind(name="png_one_pixel_high", form="PNG", size=(300, 2)),
        Kind(name="png_tall", form="PNG", size=(4, 3000)),
        Kind(name="png_wide", form="PNG", size=(3000, 4)),
        Kind(name="png_large", form="PNG", size=(2400, 1800)),
        Kind(name="png_animated", form="PNG", frames=3),
        Kind(name="jpeg", form="JPEG"),
        Kind(name="jpeg_gray", form="JPEG", mode="L", gray=True),
        Kind(name="jpeg_cmyk", form="JPEG", mode="CMYK"),
        Kind(name="jpeg_progressive", form="JPEG", options={"progressive": True}),
        Kind(name="jpeg_no_subsampling", form="JPEG", options={"subsampling": 0}),
        Kind(name="jpeg_restart_markers", form="JPEG", options={"restart_marker_rows": 1}),
        Kind(name="jpeg_comment", form="JPEG", options={"comment": b"SECRET CAMERA"}),
        Kind(name="jpeg_exif", form="JPEG", options={"exif": with_exif()}),
        Kind(name="jpeg_large", form="JPEG", size=(3000, 2000)),
        Kind(name="mpo_two_views", form="MPO", frames=2),
        Kind(name="gif", form="GIF", mode="P"),
        Kind(name="gif_gray", form="GIF", mode="L", gray=True),
        Kind(name="gif_animated", form="GIF", mode="P", frames=4),
        Kind(name="gif_comment", form="GIF", mode="P", options={"comment": b"SECRET CAMERA"}),
        Kind(name="webp_lossy", form="WEBP"),
        Kind(name="webp_lossless", form="WEBP", options={"lossless": True}),
        Kind(name="webp_alpha", form="WEBP", mode="RGBA"),
        Kind(name="webp_exif", form="WEBP", options={"exif": with_exif()}),
        Kind(name="webp_animated", form="WEBP", frames=3),
        Kind(name="bmp", form="BMP"),
        Kind(name="bmp_palette", form="BMP", mode="P"),
        Kind(name="bmp_1_bit", form="BMP", mode="1", size=(400, 300), gray=True),
        Kind(name="tiff", form="TIFF"),
        Kind(name="tiff_lzw", form="TIFF", options={"compression": "tiff_lzw"}),
        Kind(name="tiff_cmyk", form="TIFF", mode="CMYK"),
        Kind(name="tiff_16_bit", form="TIFF", mode="I;16", gray=True),
        Kind(name="tiff_float", form="TIFF", mode="F", gray=True),
        Kind(name="tiff_lab", form="TIFF", mode="LAB"),
        Kind(name="tiff_two_pages", form="TIFF", frames=2),
        Kind(name="ico", form="ICO", mode="RGBA", size=(48, 48)),
        Kind(name="ppm", form="PPM"),
        Kind(name="pgm", form="PPM", mode="L", gray=True),
        Kind(name="pbm", form="PPM", mode="1", size=(400, 300), gray=True),
        Kind(name="avif", form="AVIF"),
        Kind(name="avif_alpha", form="AVIF", mode="RGBA"),
        Kind(name="jpeg_2000", form="JPEG2000"),
        Kind(name="qoi", form="QOI"),
    ]
    many += [
        Kind(name=f"{form.lower()}_orientation_{turn}", form=form, orientation=turn)
        for form, turns in (("JPEG", range(2, 9)), ("PNG", (6,)), ("WEBP", (8,)), ("TIFF", (6,)))
        for turn in turns
    ]
    return tuple(many)


KINDS: Final = _kinds()
