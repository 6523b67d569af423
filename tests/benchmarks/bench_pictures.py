"""What it takes to prepare a photograph of 12 megapixels, over Pillow doing the same by itself.

Our side is all that a run does with a picture that it has not seen: its type is told from its
content, its header is read and its metadata are removed, it is hashed, checked, brought to the
longest side that models look at, and encoded. The bare side decodes it, resizes it by the same
filter to the same size, and encodes it with the same quality. The photograph has the grain of a
real one, and Exif with a place on earth.
"""

from __future__ import annotations

import gc
import statistics
import time
from io import BytesIO
from typing import TYPE_CHECKING

import anyio
from benchmarks.measuring import figure
from PIL import Image

from massgen_bridge.connection import ImageLimits
from massgen_bridge.media.prepare import Preparer
from massgen_bridge.messages import ImagePart

if TYPE_CHECKING:
    from benchmarks.measuring import Figure

__all__ = ["SMALL", "measure"]

SMALL = {"size": (1600, 1200)}
_SIZE = (4000, 3000)
_LONGEST = 1568
_LIMITS = ImageLimits(max_side=_LONGEST)


def measure(pairs: int = 20, size: tuple[int, int] = _SIZE) -> Figure:
    """Measure the preparation of a photograph.

    Args:
        pairs: How often both sides take their turn.
        size: Its pixels.

    Returns:
        The ratio of seconds, with the medians of both sides.
    """
    photograph = _photograph(size)
    wanted = (_LONGEST, _LONGEST * size[1] // size[0])
    samples = []
    for pair in range(-1, pairs):
        first = _bare(photograph, wanted) if pair % 2 else None
        ours = _ours(photograph)
        samples.append((ours, first or _bare(photograph, wanted)))
    samples = samples[1:]  # one warms both up
    return figure(
        "prepare_12_megapixel_jpeg",
        "preparing a JPEG of 12 megapixels / Pillow's own decode, resize and encode",
        [ours / bare for ours, bare in samples],
        goal=1.2,
        ours_s=statistics.median(ours for ours, _ in samples),
        bare_s=statistics.median(bare for _, bare in samples),
        bytes=len(photograph),
    )


def _photograph(size: tuple[int, int]) -> bytes:
    grain = Image.effect_noise((size[0] // 4, size[1] // 4), 60).resize(size)
    colours = Image.linear_gradient("L").resize(size)
    picture = Image.merge("RGB", (grain, colours, colours.transpose(Image.Transpose.ROTATE_180)))
    exif = Image.Exif()
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    file = BytesIO()
    picture.save(file, "JPEG", quality=92, exif=exif)
    return file.getvalue()


def _ours(photograph: bytes) -> float:
    part = ImagePart(media_type="image/jpeg", data=photograph, name="photograph.jpg")

    async def prepare() -> float:
        gc.collect()
        began = time.perf_counter()
        done = await Preparer()(part, _LIMITS)
        took = time.perf_counter() - began
        if not done.notes:
            raise RuntimeError("nothing was prepared")
        return took

    return anyio.run(prepare)


def _bare(photograph: bytes, wanted: tuple[int, int]) -> float:
    gc.collect()
    began = time.perf_counter()
    with Image.open(BytesIO(photograph)) as picture:
        small = picture.resize(wanted, Image.Resampling.LANCZOS)
    small.save(BytesIO(), "JPEG", quality=90)
    return time.perf_counter() - began
