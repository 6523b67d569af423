"""What a model has made, as parts of its answer."""

from __future__ import annotations

import pytest

from massgen_bridge.messages import AudioPart, DocumentPart, ImagePart, MediaPart, VideoPart
from massgen_bridge.models.made_files import made_part


@pytest.mark.parametrize(
    ("media_type", "kind", "known"),
    [
        ("image/png", ImagePart, "image/png"),
        ("Image/PNG", ImagePart, "image/png"),
        ("audio/L16;codec=pcm;rate=24000", AudioPart, "audio/l16"),
        ("video/mp4", VideoPart, "video/mp4"),
        (" text/csv; charset=utf-8", DocumentPart, "text/csv"),
        ("x-conference/x-cool_talk", DocumentPart, "x-conference/x-cool_talk"),
        ("png", DocumentPart, "application/octet-stream"),
        ("", DocumentPart, "application/octet-stream"),
        (None, DocumentPart, "application/octet-stream"),
    ],
)
def test_it_is_of_the_kind_that_its_media_type_says(
    media_type: str | None, kind: type[MediaPart], known: str
) -> None:
    made = made_part(media_type, data=b"made", name="it")
    assert made == kind(media_type=known, data=b"made", name="it")


def test_it_may_be_known_by_its_address_alone() -> None:
    at = "https://files.example/1"
    assert made_part("image/webp", url=at) == ImagePart(media_type="image/webp", url=at)
