"""The text on pictures, read on this machine alone."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image, ImageDraw, ImageFont

from massgen_bridge.media.ocr import Reader
from massgen_bridge.messages import ImagePart

# A few seconds of computing, which take long where others compute, too.
pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]


def written(*lines: str) -> ImagePart:
    picture = Image.new("RGB", (460, 40 + 60 * len(lines)), "white")
    draw = ImageDraw.Draw(picture)
    for number, line in enumerate(lines):
        draw.text((20, 20 + 60 * number), line, fill="black", font=ImageFont.load_default(36))
    file = BytesIO()
    picture.save(file, "PNG")
    return ImagePart(media_type="image/png", data=file.getvalue())


async def test_text_is_read_line_by_line_without_any_network() -> None:
    # The guards of the kit let no test reach the network.
    read = Reader()
    assert await read(written("Invoice 4711", "Total 99.50 EUR")) == "Invoice 4711\nTotal 99.50 EUR"
    assert await read(written()) == ""
