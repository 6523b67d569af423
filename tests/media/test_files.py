"""Parts from files, bytes and addresses: the content says what they are."""

from __future__ import annotations

import base64
import os
import zipfile
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from massgen_bridge.errors import MediaError
from massgen_bridge.media.files import part_of_bytes, part_of_file, part_of_url
from massgen_bridge.media.types import media_type_of, suffix_of
from massgen_bridge.messages import AudioPart, DocumentPart, ImagePart, VideoPart

if TYPE_CHECKING:
    from pathlib import Path

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SVG = b'<?xml version="1.0"?><!-- a drawing --><svg xmlns="http://www.w3.org/2000/svg"/>'


def _office(folder: str) -> bytes:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr(f"{folder}/document.xml", "<w/>")
    return packed.getvalue()


CONTENTS = [
    (PNG, "x.jpg", "image/png"),
    (b"\xff\xd8\xff\xe0\x00\x10JFIF", "x", "image/jpeg"),
    (b"GIF89a\x01\x00\x01\x00", "x.png", "image/gif"),
    (b"RIFF\x24\x00\x00\x00WEBPVP8 ", "", "image/webp"),
    (b"RIFF\x24\x00\x00\x00WAVEfmt ", "", "audio/wav"),
    (b"RIFF\x24\x00\x00\x00AVI LIST", "", "video/x-msvideo"),
    (b"II*\x00\x08\x00\x00\x00", "", "image/tiff"),
    (b"P6\n# made by hand\n2 2\n255\n" + bytes(12), "", "image/x-portable-anymap"),
    (b"BM" + bytes(12) + b"\x28\x00\x00\x00" + bytes(40), "", "image/bmp"),
    (b"\x00\x00\x00\x18ftypmp42isommp42", "", "video/mp4"),
    (b"\x00\x00\x00\x18ftypM4A isommp42", "", "audio/mp4"),
    (b"\x00\x00\x00\x1cftypavif\x00\x00\x00\x00", "", "image/avif"),
    (b"\x00\x00\x00\x1cftypheic\x00\x00\x00\x00", "", "image/heic"),
    (b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm", "", "video/webm"),
    (b"OggS\x00\x02" + bytes(22) + b"\x01\x1eOpusHead", "", "audio/ogg"),
    (b"ID3\x04" + bytes(20), "", "audio/mpeg"),
    (b"\xff\xfb\x90\x00" + bytes(400), "", "audio/mpeg"),
    (b"\xff\xf1\x50\x80" + bytes(400), "", "audio/aac"),
    (b"fLaC" + bytes(40), "", "audio/flac"),
    (b"%PDF-1.7\n", "x.txt", "application/pdf"),
    (SVG, "x.png", "image/svg+xml"),
    (b"P1 is the first of them, 2 the second", "", "text/plain"),
    ("Grüße, alle".encode(), "notes.md", "text/markdown"),
    (b"a,b\n1,2\n", "table.csv", "text/csv"),
    (b"just text", "paper.pdf", "text/plain"),
    (
        _office("word"),
        "",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ),
    (_office("xl"), "", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    (_office("other"), "", "application/zip"),
    ("BOM and UTF-16".encode("utf-16"), "x.txt", None),
    (b"\x00\x01\x02\x03" * 40, "x.bin", None),
]


@pytest.mark.parametrize(("data", "name", "media_type"), CONTENTS)
def test_the_content_says_what_a_file_is(data: bytes, name: str, media_type: str | None) -> None:
    assert media_type_of(data, name) == media_type


def test_a_long_row_of_comments_before_a_drawing_is_read_in_a_moment() -> None:
    assert media_type_of(b"<!-- -->" * 20_000 + b"<svg >") == "image/svg+xml"
    assert media_type_of(b"<!-- -->" * 20_000 + b"<html>") == "text/plain"


@pytest.mark.parametrize(
    ("data", "name", "part"),
    [
        (PNG, "x.bin", ImagePart(media_type="image/png", data=PNG, name="x.bin")),
        (b"ID3", "x.png", AudioPart(media_type="audio/mpeg", data=b"ID3", name="x.png")),
        (
            b"\x1a\x45\xdf\xa3webm",
            "x",
            VideoPart(media_type="video/webm", data=b"\x1a\x45\xdf\xa3webm", name="x"),
        ),
        (b"hello", "x.txt", DocumentPart(media_type="text/plain", data=b"hello", name="x.txt")),
    ],
)
def test_a_file_becomes_a_part_of_its_kind(
    tmp_path: Path, data: bytes, name: str, part: object
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    assert part_of_file(path) == part


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty.png").touch()
    (tmp_path / "big.png").write_bytes(PNG)
    for name, told in (
        ("missing.png", r"cannot read '.*missing.png': No such file"),
        ("pipe", "is no regular file"),
        ("", "is a folder; give the path of one file"),
        ("empty.png", "is empty"),
        ("big.png", "has 70 bytes; at most 60 can be sent"),
        ("a\x00b", "cannot read .*: embedded null byte"),
    ):
        with pytest.raises(MediaError, match=told):
            part_of_file(tmp_path / name, largest=60)


@pytest.mark.parametrize(
    ("data", "name", "told"),
    [
        (b"\x00garbage\xff", "x.png", "'x.png': its name says image/png, its content does not"),
        (b"<html>404</html>", "x.png", "'x.png': its name says image/png, its content does not"),
        (SVG, "x.svg", "'x.svg' is an SVG drawing.*: export it as PNG"),
        (b"%PDF-1.7", "x.pdf", r"'x.pdf' is no picture: its content is a document \(application"),
        (b"\x00\xff" * 9, "x", "'x': its content is of no kind that is known; expected a picture"),
    ],
)
def test_what_is_no_picture_is_told(data: bytes, name: str, told: str) -> None:
    with pytest.raises(MediaError, match=told):
        part_of_bytes(data, name=name, kind="image")


def test_a_drawing_can_be_read_as_a_document() -> None:
    part = part_of_bytes(SVG, name="x.svg", kind="document")
    assert part == DocumentPart(media_type="image/svg+xml", data=SVG, name="x.svg")


@pytest.mark.parametrize(
    ("url", "kind", "media_type", "name"),
    [
        ("https://example.com/a%20cat.PNG?size=2#top", None, "image/png", "a cat.PNG"),
        ("http://example.com/paper.pdf", None, "application/pdf", "paper.pdf"),
        ("https://example.com/picture", "image", "application/octet-stream", "picture"),
        ("https://example.com/show.html", "image", "application/octet-stream", "show.html"),
        ("https://[2001:db8::1]/x.gif", None, "image/gif", "x.gif"),
    ],
)
def test_an_address_becomes_a_part_without_being_fetched(
    url: str, kind: None, media_type: str, name: str
) -> None:
    part = part_of_url(url, kind=kind)
    assert (part.url, part.media_type, part.name) == (url, media_type, name)


def test_an_address_of_data_becomes_its_bytes() -> None:
    url = "data:image/jpeg;base64," + base64.b64encode(PNG).decode()
    assert part_of_url(url) == ImagePart(media_type="image/png", data=PNG)
    assert part_of_url("data:,a%20b").data == b"a b"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("file:///etc/passwd", "is no address of a file"),
        ("ftp://example.com/x.png", "is no address of a file"),
        ("https:///x.png", "is no address of a file"),
        ("https://[x]/x.png", "is no address"),
        ("https://example.com:port/x.png", "is no address"),
        ("https://me:secret@example.com/x.png", "with a user name or a password"),
        ("https://example.com/x", "nothing says what is at"),
        ("data:image/png;base64", "the comma before the data is missing"),
        ("data:image/png;base64,$$$", "is no valid base64"),
        ("data:image/png;base64,", "is empty"),
    ],
)
def test_what_is_no_address_is_told(url: str, told: str) -> None:
    with pytest.raises(MediaError, match=told) as caught:
        part_of_url(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("media_type", "suffix"),
    [("image/jpeg", ".jpg"), ("image/png", ".png"), ("application/x-none", ".bin")],
)
def test_a_media_type_has_a_usual_ending(media_type: str, suffix: str) -> None:
    assert suffix_of(media_type) == suffix
