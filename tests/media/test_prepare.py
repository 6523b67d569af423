"""Pictures made fit: every kind arrives as it was meant, within the limits, without metadata."""

from __future__ import annotations

import struct
import threading
import time
import zlib
from io import BytesIO
from typing import TYPE_CHECKING

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from massgen_bridge.connection import ImageLimits
from massgen_bridge.errors import MediaError
from massgen_bridge.media.prepare import Preparer, prepare_image
from massgen_bridge.messages import ImagePart
from massgen_bridge.testing.pictures import PICTURES, Picture, make, shows, unlike

if TYPE_CHECKING:
    from massgen_bridge.media.rules import Prepared

pytestmark = pytest.mark.anyio

USUAL = ImageLimits()
BY_NAME = {kind.name: kind for kind in PICTURES}
# What has to be decoded; the others arrive with every pixel as it was.
TOUCHED = ("16_bit", "cmyk", "animated", "orientation")


def image(data: bytes, name: str = "x") -> ImagePart:
    return ImagePart(media_type="image/png", data=data, name=name)


def prepared(data: bytes, limits: ImageLimits = USUAL) -> Prepared:
    return prepare_image(image(data), limits)


def pixels(data: bytes) -> tuple[tuple[int, int], bytes]:
    with Image.open(BytesIO(data)) as picture:
        return picture.size, picture.convert("RGBA").tobytes()


@pytest.mark.parametrize("kind", PICTURES, ids=lambda kind: kind.name)
def test_every_kind_of_picture_arrives_as_it_was_meant(kind: Picture) -> None:
    data = make(kind)
    done = prepared(data)
    sent = done.part.data or b""
    assert not unlike(sent, kind)
    assert done.part.media_type in USUAL.formats
    with Image.open(BytesIO(sent)) as seen:
        assert seen.size == kind.size
        assert done.part.media_type == Image.MIME[seen.format or ""]
    assert b"SECRET" not in sent
    if kind.form in {"PNG", "JPEG", "GIF", "WEBP"} and not any(
        touched in kind.name for touched in TOUCHED
    ):
        assert pixels(sent) == pixels(data)
        assert (sent == data) == (not done.notes)


@pytest.mark.parametrize("kind", PICTURES, ids=lambda kind: kind.name)
def test_every_kind_of_picture_is_brought_within_narrow_limits(kind: Picture) -> None:
    limits = ImageLimits(
        formats=frozenset({"image/jpeg"}), max_side=40, max_pixels=1000, max_bytes=900
    )
    data = make(kind)
    done = prepared(data, limits)
    assert done.part.media_type == "image/jpeg"
    assert len(done.part.data or b"") <= 900
    with Image.open(BytesIO(done.part.data or b"")) as seen:
        assert seen.format == "JPEG"
        assert max(seen.size) <= 40
        assert seen.width * seen.height <= 1000
    assert shows(done.part.data or b"", kind)
    assert bool(done.notes) == (done.part.data != data)


def test_the_notes_say_what_was_done() -> None:
    limits = ImageLimits(formats=frozenset({"image/png"}), max_side=32)
    (note,) = prepared(make(BY_NAME["jpeg_orientation_6"]), limits).notes
    assert note == (
        "the picture 'x': turned upright, converted from image/jpeg to image/png, scaled from "
        "48 x 64 to 32 x 24 pixels"
    )
    assert prepared(make(BY_NAME["jpeg_exif"])).notes == ("the picture 'x': metadata removed",)


def test_a_colour_profile_stays_with_the_colours_that_it_describes() -> None:
    profile = b"a profile of colours" + bytes(200)
    picture = Image.new("RGB", (40, 40), "red")
    written = BytesIO()
    picture.save(written, "JPEG", icc_profile=profile)
    for limits in (USUAL, ImageLimits(max_side=20)):
        with Image.open(BytesIO(prepared(written.getvalue(), limits).part.data or b"")) as seen:
            assert seen.info["icc_profile"] == profile
    written = BytesIO()
    picture.convert("CMYK").save(written, "JPEG", icc_profile=profile)
    with Image.open(BytesIO(prepared(written.getvalue()).part.data or b"")) as seen:
        assert "icc_profile" not in seen.info


def test_what_follows_a_picture_is_cut_off() -> None:
    for name in ("jpeg", "png_rgb", "webp_lossy", "gif"):
        data = make(BY_NAME[name])
        assert prepared(data + b"a film of where it was taken").part.data == data


def test_a_picture_that_moves_can_be_refused() -> None:
    for name in ("gif_animated", "webp_animated", "png_animated", "tiff_two_pages"):
        with pytest.raises(MediaError, match="the picture 'x' moves, and that is refused"):
            prepare_image(image(make(BY_NAME[name])), USUAL, animated="refuse")


def _png(width: int, height: int, rows: bytes = b"") -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(name + body))
        return struct.pack(">I", len(body)) + name + body + crc

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def _icon(inner: bytes) -> bytes:
    return (
        b"\x00\x00\x01\x00\x01\x00"
        + struct.pack("<BBBBHHII", 32, 32, 0, 0, 1, 32, len(inner), 22)
        + inner
    )


def _scans(count: int) -> bytes:
    data = make(BY_NAME["jpeg_progressive"])
    start = data.index(b"\xff\xda")
    end = data.index(b"\xff", start + 2)
    big = data.replace(struct.pack(">HH", 48, 64), struct.pack(">HH", 8000, 8000), 1)
    return big[:end] + big[start:end] * count + big[end:]


HOSTILE = {
    "empty": (b"", "the picture 'x' is empty"),
    "text": (b"<html>404</html>", "is no picture: its content is text/plain"),
    "noise": (bytes(range(256)) * 4, "is no picture: its content is of no kind that is known"),
    "pdf": (b"%PDF-1.7", "is no picture: its content is application/pdf"),
    "svg": (
        b'<!DOCTYPE svg [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>\n<svg>&b;</svg>',
        "is an SVG drawing.*export it as PNG",
    ),
    "zero": (_png(0, 7), "has no pixels \\(0 x 7\\)"),
    "gif_zero": (b"GIF89a\x00\x00\x00\x00\x00\x00\x00\x3b", "has no pixels"),
    "100_megapixels": (_png(10_000, 10_000), "has 10,000 x 10,000 pixels; at most 64,000,000"),
    "bomb": (_png(2**31 - 1, 2**31 - 1), "has 2,147,483,647 x 2,147,483,647 pixels"),
    "pixels_missing": (_png(6000, 6000), "cannot be decoded: it is damaged, or not whole"),
    "icon_bomb": (_icon(_png(60_000, 60_000)), "has 60,000 x 60,000 pixels"),
    "scans": (_scans(3000), r"would be decoded [\d,]+ times over"),
    "bmp_bomb": (
        make(BY_NAME["bmp"]).replace(struct.pack("<II", 64, 48), struct.pack("<II", 9000, 9000)),
        "has 9,000 x 9,000 pixels",
    ),
    "tiff_nonsense": (b"II*\x00\xff\xff\xff\x7f", "cannot be decoded"),
    "unknown": (b"8BPS\x00\x01", "is image/vnd.adobe.photoshop, which nothing here can convert"),
    "heic": (b"\x00\x00\x00\x18ftypheic" + bytes(16), "the installed Pillow cannot decode"),
    "truncated_jpeg": (make(BY_NAME["jpeg"])[:-30], "ends in the middle of the picture"),
    "truncated_webp": (make(BY_NAME["webp_lossy"])[:-30], "ends in the middle of the picture"),
    "truncated_gif": (make(BY_NAME["gif"])[:-30], "ends in the middle of the picture"),
    "truncated_tiff": (make(BY_NAME["tiff"])[:4000], "cannot be decoded"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_cannot_be_seen_is_refused_in_a_moment(name: str) -> None:
    data, told = HOSTILE[name]
    began = time.process_time()
    with pytest.raises(MediaError, match=told) as caught:
        prepared(data)
    assert time.process_time() - began < 2
    assert "\n" not in str(caught.value)


def test_what_no_encoder_makes_small_enough_is_refused() -> None:
    with pytest.raises(MediaError, match="cannot be brought below the 50 bytes"):
        prepared(make(BY_NAME["jpeg"]), ImageLimits(max_bytes=50))
    with pytest.raises(MediaError, match="the model takes image/x-other, which is not written"):
        prepared(make(BY_NAME["jpeg"]), ImageLimits(formats=frozenset({"image/x-other"})))


WHOLE = [make(kind) for kind in PICTURES if kind.size == (64, 48)]


@st.composite
def _damaged(draw: st.DrawFn) -> bytes:
    data = draw(st.sampled_from(WHOLE))
    at = draw(st.integers(0, len(data)))
    if draw(st.booleans()):
        return data[:at]
    noise = draw(st.binary(max_size=6))
    return data[:at] + noise + data[at + len(noise) :]


@settings(max_examples=150, deadline=2000)
@given(_damaged())
def test_damage_anywhere_gives_a_picture_or_one_error(data: bytes) -> None:
    try:
        sent = prepared(data).part.data or b""
    except MediaError as error:
        told = str(error)
    else:
        told, _ = "", pixels(sent)
    assert "\n" not in told


async def test_a_run_prepares_a_picture_once_off_the_event_loop() -> None:
    preparer, limits = Preparer(), ImageLimits(max_side=100)
    data = make(BY_NAME["png_large"])
    done: list[Prepared] = []

    async def prepare() -> None:
        done.append(await preparer(image(data), limits))

    async with anyio.create_task_group() as tasks:
        for _ in range(6):
            tasks.start_soon(prepare)
    assert len({id(one) for one in done}) == 1
    other = await preparer(image(data), ImageLimits(max_side=50))
    assert pixels(other.part.data or b"")[0] == (50, 37)
    assert threading.active_count() < 20


async def test_an_error_is_remembered_too() -> None:
    preparer = Preparer()
    for _ in range(2):
        with pytest.raises(MediaError, match="has 10,000 x 10,000 pixels"):
            await preparer(image(_png(10_000, 10_000)), USUAL)
