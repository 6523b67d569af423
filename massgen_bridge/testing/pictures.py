"""Pictures of all kinds and sizes, made with Pillow, with what is meant to be seen on them.

    for picture in PICTURES:
        arrived = send(make(picture))
        assert not unlike(arrived, picture)

Each shows the same four quarters, so that a test can tell what was turned, cropped or inverted.
This needs Pillow, which `massgen-bridge[testing]` brings along.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Final

from PIL import Image, ImageChops, ImageStat

__all__ = ["PICTURES", "Picture", "make", "quarters", "shows", "unlike", "with_exif"]

RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 180, 40), (30, 60, 210), (245, 245, 245)
_CLOSE: Final = 40.0
_NEAR: Final = 20.0
_LOSSY: Final = frozenset({"AVIF", "JPEG", "JPEG2000", "MPO"})


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One kind of picture: how it is made, and what is meant to be seen.

    `mode` is converted to before it is saved in `form` with `options`. `orientation` is told by
    Exif, and the pixels are turned the other way. `gray` says that its colours are not kept, and
    `clear` that what is to be white is transparent, with black below.
    """

    name: str
    form: str
    mode: str = "RGB"
    size: tuple[int, int] = (64, 48)
    options: dict[str, Any] = field(default_factory=dict)
    orientation: int = 1
    frames: int = 1
    gray: bool = False
    clear: bool = False

    @property
    def lossy(self) -> bool:
        """Whether the file itself, or what it can be made for a model, loses pixels."""
        is_webp = self.form == "WEBP" and not self.options.get("lossless")
        return is_webp or self.form in _LOSSY or self.mode == "LAB"


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


def make(kind: Picture) -> bytes:
    """The file."""
    picture = quarters(kind.size)
    if kind.orientation != 1:
        picture = picture.transpose(_UNDONE[kind.orientation])
    made = _in_mode(picture, kind.mode)
    if kind.clear:
        made.paste((0, 0, 0, 0), (kind.size[0] // 2, kind.size[1] // 2, *kind.size))
    options = dict(kind.options)
    if kind.orientation != 1:
        options["exif"] = with_exif(kind.orientation)
    if kind.frames > 1:
        others = [_in_mode(Image.new("RGB", kind.size, (9, 9, 9)), kind.mode)] * (kind.frames - 1)
        options |= {"save_all": True, "append_images": others}
    written = BytesIO()
    made.save(written, kind.form, **options)
    return written.getvalue()


def shows(data: bytes, kind: Picture) -> bool:
    """Whether a file shows what is meant, at whatever size; it is looked at from afar."""
    seen, _ = _seen(data)
    afar = (min(seen.width, 16), min(seen.height, 12))
    meant = quarters(kind.size).resize(afar, Image.Resampling.BOX)
    return _off(seen.resize(afar, Image.Resampling.BOX), meant, gray=kind.gray) < _CLOSE


def unlike(data: bytes, kind: Picture, *, max_side: int | None = None) -> str:
    """What is wrong with the pixels of a file; nothing where they are as they are meant.

    Where nothing on the way may lose any, each has to be as it is meant. Colours of JPEG and the
    like may be off by a little, and those of a picture that was scaled down, too.

    Args:
        data: The file.
        kind: What is meant to be seen.
        max_side: To what longer side it was to be scaled down; None: not at all.
    """
    seen, form = _seen(data)
    wanted = _within(kind.size, max_side)
    if any(
        abs(side - most) > (wanted != kind.size)
        for side, most in zip(seen.size, wanted, strict=True)
    ):
        return f"it has {seen.size} pixels in place of {wanted}"
    meant = quarters(kind.size)
    if kind.mode == "1":
        meant = meant.convert("1").convert("RGB")  # dots
    if seen.size != meant.size:
        meant = meant.resize(seen.size, Image.Resampling.BOX)
    off = _off(seen, meant, gray=kind.gray)
    kept = not kind.lossy and form not in _LOSSY and seen.size == kind.size
    if kept and off:
        return f"nothing on the way loses pixels, and its colours are off by {off:.1f}"
    return "" if off < _NEAR else f"its colours are off by {off:.1f}"


def _seen(data: bytes) -> tuple[Image.Image, str]:
    """What a file shows on the white of the quarters, and its format."""
    with Image.open(BytesIO(data)) as picture:
        form = picture.format or ""
        seen = picture.convert("RGBA")
    opaque = Image.new("RGBA", seen.size, WHITE)
    opaque.alpha_composite(seen)
    return opaque.convert("RGB"), form


def _within(size: tuple[int, int], max_side: int | None) -> tuple[int, int]:
    scale = min(1.0, max_side / max(size)) if max_side else 1.0
    return max(1, int(size[0] * scale)), max(1, int(size[1] * scale))


def _off(seen: Image.Image, meant: Image.Image, *, gray: bool) -> float:
    """By how much colours are off: the root of the mean square, of 255, of the worst channel."""
    if gray:
        seen, meant = seen.convert("L"), meant.convert("L")
    return max(ImageStat.Stat(ImageChops.difference(seen, meant)).rms)


def _pictures() -> tuple[Picture, ...]:
    many = [
        Picture(name="png_rgb", form="PNG"),
        Picture(name="png_rgba", form="PNG", mode="RGBA"),
        Picture(name="png_transparent", form="PNG", mode="RGBA", clear=True),
        Picture(name="png_palette", form="PNG", mode="P"),
        Picture(name="png_gray", form="PNG", mode="L", gray=True),
        Picture(name="png_gray_alpha", form="PNG", mode="LA", gray=True),
        Picture(name="png_16_bit", form="PNG", mode="I;16", gray=True),
        Picture(name="png_1_bit", form="PNG", mode="1", size=(400, 300), gray=True),
        Picture(name="png_interlaced_text", form="PNG", options={"exif": with_exif()}),
        Picture(name="png_one_pixel", form="PNG", size=(1, 1)),
        Picture(name="png_one_pixel_high", form="PNG", size=(300, 2)),
        Picture(name="png_tall", form="PNG", size=(4, 3000)),
        Picture(name="png_wide", form="PNG", size=(3000, 4)),
        Picture(name="png_odd", form="PNG", size=(641, 479)),
        Picture(name="png_large", form="PNG", size=(2400, 1800)),
        Picture(name="png_animated", form="PNG", frames=3),
        Picture(name="jpeg", form="JPEG"),
        Picture(name="jpeg_gray", form="JPEG", mode="L", gray=True),
        Picture(name="jpeg_cmyk", form="JPEG", mode="CMYK"),
        Picture(name="jpeg_progressive", form="JPEG", options={"progressive": True}),
        Picture(name="jpeg_no_subsampling", form="JPEG", options={"subsampling": 0}),
        Picture(name="jpeg_restart_markers", form="JPEG", options={"restart_marker_rows": 1}),
        Picture(name="jpeg_comment", form="JPEG", options={"comment": b"SECRET CAMERA"}),
        Picture(name="jpeg_exif", form="JPEG", options={"exif": with_exif()}),
        Picture(name="jpeg_one_pixel", form="JPEG", size=(1, 1)),
        Picture(name="jpeg_odd", form="JPEG", size=(641, 479)),
        Picture(name="jpeg_large", form="JPEG", size=(3000, 2000)),
        Picture(name="mpo_two_views", form="MPO", frames=2),
        Picture(name="gif", form="GIF", mode="P"),
        Picture(name="gif_gray", form="GIF", mode="L", gray=True),
        Picture(name="gif_animated", form="GIF", mode="P", frames=4),
        Picture(name="gif_comment", form="GIF", mode="P", options={"comment": b"SECRET CAMERA"}),
        Picture(name="webp_lossy", form="WEBP"),
        Picture(name="webp_lossless", form="WEBP", options={"lossless": True}),
        Picture(name="webp_alpha", form="WEBP", mode="RGBA"),
        Picture(
            name="webp_transparent",
            form="WEBP",
            mode="RGBA",
            clear=True,
            options={"lossless": True},
        ),
        Picture(name="webp_exif", form="WEBP", options={"exif": with_exif()}),
        Picture(name="webp_animated", form="WEBP", frames=3),
        Picture(name="bmp", form="BMP"),
        Picture(name="bmp_palette", form="BMP", mode="P"),
        Picture(name="bmp_1_bit", form="BMP", mode="1", size=(400, 300), gray=True),
        Picture(name="tiff", form="TIFF"),
        Picture(name="tiff_lzw", form="TIFF", options={"compression": "tiff_lzw"}),
        Picture(name="tiff_cmyk", form="TIFF", mode="CMYK"),
        Picture(name="tiff_16_bit", form="TIFF", mode="I;16", gray=True),
        Picture(name="tiff_float", form="TIFF", mode="F", gray=True),
        Picture(name="tiff_lab", form="TIFF", mode="LAB"),
        Picture(name="tiff_two_pages", form="TIFF", frames=2),
        Picture(name="ico", form="ICO", mode="RGBA", size=(48, 48)),
        Picture(name="ppm", form="PPM"),
        Picture(name="pgm", form="PPM", mode="L", gray=True),
        Picture(name="pbm", form="PPM", mode="1", size=(400, 300), gray=True),
        Picture(name="avif", form="AVIF"),
        Picture(name="avif_alpha", form="AVIF", mode="RGBA"),
        Picture(name="jpeg_2000", form="JPEG2000"),
        Picture(name="qoi", form="QOI"),
    ]
    many += [
        Picture(name=f"{form.lower()}_orientation_{turn}", form=form, orientation=turn)
        for form, turns in (("JPEG", range(2, 9)), ("PNG", (6,)), ("WEBP", (8,)), ("TIFF", (6,)))
        for turn in turns
    ]
    return tuple(many)


PICTURES: Final = _pictures()
