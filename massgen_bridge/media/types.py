"""What kind of file some bytes are, told from the bytes themselves and not from a name."""

from __future__ import annotations

import mimetypes
import re
from typing import TYPE_CHECKING, Final

from massgen_bridge.messages import AudioPart, DocumentPart, ImagePart, VideoPart

if TYPE_CHECKING:
    from massgen_bridge.agent import InputKind
    from massgen_bridge.messages import MediaPart

__all__ = ["SVG", "kind_of", "media_type_of", "named_type", "part_class", "suffix_of"]

SVG: Final = "image/svg+xml"

_HEAD: Final = 4096
# (offset, bytes there, media type): the first that fits counts.
_MARKS: Final[tuple[tuple[int, bytes, str], ...]] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (0, b"II+\x00", "image/tiff"),
    (0, b"MM\x00+", "image/tiff"),
    (0, b"\x00\x00\x01\x00", "image/vnd.microsoft.icon"),
    (0, b"8BPS", "image/vnd.adobe.photoshop"),
    (0, b"\x00\x00\x00\x0cjP  \r\n\x87\n", "image/jp2"),
    (0, b"\xffO\xffQ", "image/jp2"),
    (0, b"\x00\x00\x00\x0cJXL \r\n\x87\n", "image/jxl"),
    (0, b"\xff\n", "image/jxl"),
    (0, b"qoif", "image/qoi"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"#!AMR", "audio/amr"),
    (0, b"FLV\x01", "video/x-flv"),
    (0, b"\x00\x00\x01\xba", "video/mpeg"),
    (0, b"\x00\x00\x01\xb3", "video/mpeg"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"{\\rtf", "application/rtf"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"7z\xbc\xaf'\x1c", "application/x-7z-compressed"),
)
_CHUNKED: Final = {
    (b"RIFF", b"WEBP"): "image/webp",
    (b"RIFF", b"WAVE"): "audio/wav",
    (b"RIFF", b"AVI "): "video/x-msvideo",
    (b"FORM", b"AIFF"): "audio/aiff",
    (b"FORM", b"AIFC"): "audio/aiff",
}
# The brand of an ISO base media file, which may hold a picture, a sound or a film.
_BRANDS: Final = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"hevc": "image/heic",
    b"heim": "image/heic",
    b"heis": "image/heic",
    b"mif1": "image/heif",
    b"msf1": "image/heif",
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"qt  ": "video/quicktime",
    b"3gp4": "video/3gpp",
    b"3gp5": "video/3gpp",
}
_OFFICE: Final = {
    b"word/": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    b"xl/": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    b"ppt/": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}
_BMP_HEADERS: Final = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
# The second byte of a frame: layer II or III, with and without a checksum, or ADTS.
_FRAMES: Final = {
    **dict.fromkeys((b"\xe2", b"\xe3", b"\xf2", b"\xf3", b"\xfa", b"\xfb"), "audio/mpeg"),
    **dict.fromkeys((b"\xf4", b"\xf5", b"\xfc", b"\xfd"), "audio/mpeg"),
    **dict.fromkeys((b"\xf0", b"\xf1", b"\xf8", b"\xf9"), "audio/aac"),
}
_SHORTEST_SOUND: Final = 128
_PACKED: Final = re.compile(rb"mimetype(application/[a-z0-9.+-]+)")
_NETPBM: Final = re.compile(rb"P[1-6]\s(?:\s|#[^\n]*\n)*\d+\s|P7\n(?:#|WIDTH|HEIGHT)")
_SPACE: Final = re.compile(rb"\s*")
_SVG_TAG: Final = re.compile(rb"<(?:\w{1,64}:)?svg[\s>/]", re.IGNORECASE)
# What may stand before the first element of a document, and how it ends.
_PROLOGUES: Final = ((b"<?", b"?>"), (b"<!--", b"-->"))
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# Text by its ending; mimetypes knows some only from files of the system.
_TEXTS: Final = {
    ".csv": "text/csv",
    ".css": "text/css",
    ".htm": "text/html",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".md": "text/markdown",
    ".py": "text/x-python",
    ".toml": "application/toml",
    ".tsv": "text/tab-separated-values",
    ".xml": "application/xml",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}
_SUFFIXES: Final = {
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/avif": ".avif",
    "image/heic": ".heic",
    "image/tiff": ".tif",
    "image/vnd.microsoft.icon": ".ico",
    "audio/mpeg": ".mp3",
    "audio/wav": ".wav",
    "audio/flac": ".flac",
    "audio/mp4": ".m4a",
    "audio/ogg": ".ogg",
    "video/mp4": ".mp4",
    "video/webm": ".webm",
    "text/plain": ".txt",
    **{media_type: suffix for suffix, media_type in _TEXTS.items()},
}


def media_type_of(data: bytes, name: str = "") -> str | None:
    """What some bytes are.

    The content decides. The name only tells apart what the content cannot: what kind of text it
    is, or which program's file.

    Args:
        data: The whole file.
        name: Its name, as far as one is known.

    Returns:
        The IANA media type, such as `image/png`; None where nothing says what it is.
    """
    head = data[:_HEAD]
    for offset, mark, media_type in _MARKS:
        if head.startswith(mark, offset):
            return media_type
    return _of_container(data, head) or _of_looks(head, len(data)) or _of_text(data, name)


def _of_container(data: bytes, head: bytes) -> str | None:
    chunked = _CHUNKED.get((head[:4], head[8:12]))
    if chunked is not None:
        return chunked
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "video/mp4")
    if head.startswith(b"OggS"):
        return "video/ogg" if b"theora" in head else "audio/ogg"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "video/webm" if b"webm" in head[:64] else "video/x-matroska"
    if head.startswith(b"PK\x03\x04"):
        packed = _PACKED.match(head, 30)
        if packed:
            return packed[1].decode()
        # The names of what is packed stand at the end once more.
        names = data[-65536:]
        found = (kind for folder, kind in _OFFICE.items() if folder in head or folder in names)
        return (
            next(found, "application/zip") if b"[Content_Types].xml" in data else "application/zip"
        )
    return None


def _of_looks(head: bytes, size: int) -> str | None:
    """By what is no certain mark, but hardly anything else."""
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "image/bmp"
    if _NETPBM.match(head):
        return "image/x-portable-anymap"
    if head[:1] == b"\xff" and head[1:2] in _FRAMES and size > _SHORTEST_SOUND:
        return _FRAMES[head[1:2]]
    return None


def _of_text(data: bytes, name: str) -> str | None:
    guessed = named_type(name)
    if data.startswith(_OLE):
        return guessed if guessed and guessed.startswith("application/") else "application/x-ole"
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    if "\x00" in text:
        return None
    if _is_svg(data):
        return SVG
    is_text = guessed is not None and kind_of(guessed) == "document"
    return guessed if is_text and guessed not in _BINARY else "text/plain"


def _is_svg(data: bytes) -> bool:
    at = 3 if data.startswith(b"\xef\xbb\xbf") else 0
    while True:
        space = _SPACE.match(data, at)
        at = space.end() if space else at
        end = next((end for start, end in _PROLOGUES if data.startswith(start, at)), None)
        if end is None:
            break
        closed = data.find(end, at)
        if closed < 0:
            return False
        at = closed + len(end)
    if data[at : at + 9].upper() == b"<!DOCTYPE":
        # Its own declarations may follow, and be anything.
        return bool(_SVG_TAG.search(data, at))
    return bool(_SVG_TAG.match(data, at))


_BINARY: Final = frozenset({"application/pdf", "application/zip", "application/octet-stream"})


def named_type(name: str) -> str | None:
    """What the ending of a file's name says that it is; None where it says nothing."""
    if not name:
        return None
    dot = name.rfind(".")
    known = _TEXTS.get(name[dot:].lower()) if dot >= 0 else None
    return known or mimetypes.guess_type(name, strict=False)[0]


def kind_of(media_type: str) -> InputKind:
    """The kind of input that a media type is."""
    match media_type.partition("/")[0]:
        case "image":
            return "image"
        case "audio":
            return "audio"
        case "video":
            return "video"
    return "document"


def part_class(kind: InputKind) -> type[MediaPart]:
    """The class of parts of a kind."""
    return _PARTS[kind]


_PARTS: Final[dict[InputKind, type[MediaPart]]] = {
    "image": ImagePart,
    "audio": AudioPart,
    "video": VideoPart,
    "document": DocumentPart,
}


def suffix_of(media_type: str) -> str:
    """The usual ending of such files' names, with its dot; `.bin` where there is none."""
    return _SUFFIXES.get(media_type) or mimetypes.guess_extension(media_type) or ".bin"
