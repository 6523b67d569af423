"""Reading HTTP/1.1 requests from a byte stream, incrementally."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["HttpRequest", "ProtocolViolation", "RequestParser"]

_MAX_HEAD_BYTES = 64 * 1024
_MAX_BODY_BYTES = 64 * 1024 * 1024
_MAX_CHUNK_LINE_BYTES = 1024
_HEAD_END = b"\r\n\r\n"
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_LENGTH = re.compile(r"[0-9]{1,15}")
_VERSION = re.compile(r"HTTP/1\.[01]")


class ProtocolViolation(Exception):
    """The bytes of the client are not a request that this server reads.

    Attributes:
        status: the HTTP status to answer with before the connection is closed.
    """

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """One request, read completely.

    Attributes:
        method: as sent, such as `POST`.
        path: the target without its query.
        query: what follows the `?` of the target.
        headers: names in lower case; repeated headers joined by a comma.
        body: decoded from its transfer coding, not from its content coding.
        version: `HTTP/1.0` or `HTTP/1.1`.
        keep_alive: whether the client wants the connection again afterwards.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    version: str
    keep_alive: bool
    query: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    method: str
    path: str
    query: str
    version: str
    headers: Mapping[str, str]
    length: int
    chunked: bool


class RequestParser:
    """Turns the bytes of one connection into requests, in order."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head: _Head | None = None
        self._chunks = bytearray()
        self._last_chunk_seen = False

    @property
    def buffered(self) -> int:
        """Bytes received and not yet part of a returned request."""
        return len(self._buffer)

    @property
    def wants_continue(self) -> bool:
        """Whether the client waits for `100 Continue` before it sends the body."""
        return (
            self._head is not None
            and not self._buffer
            and self._head.headers.get("expect", "").lower() == "100-continue"
        )

    def feed(self, data: bytes) -> None:
        """Add bytes received."""
        self._buffer += data

    def next_request(self) -> HttpRequest | None:
        """The next complete request, or None while bytes are missing.

        Raises:
            ProtocolViolation: the connection cannot be read any further.
        """
        if self._head is None:
            self._head = self._read_head()
        head = self._head
        if head is None:
            return None
        body = self._read_chunked() if head.chunked else self._read_exactly(head.length)
        if body is None:
            return None
        self._head = None
        wanted = {
            option.strip() for option in head.headers.get("connection", "").lower().split(",")
        }
        return HttpRequest(
            method=head.method,
            path=head.path,
            query=head.query,
            headers=head.headers,
            body=body,
            version=head.version,
            keep_alive="close" not in wanted
            and (head.version == "HTTP/1.1" or "keep-alive" in wanted),
        )

    def _read_head(self) -> _Head | None:
        while self._buffer.startswith(b"\r\n"):
            del self._buffer[:2]
        end = self._buffer.find(_HEAD_END)
        if end > _MAX_HEAD_BYTES or (end < 0 and len(self._buffer) > _MAX_HEAD_BYTES):
            raise ProtocolViolation(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                f"the request's head is longer than {_MAX_HEAD_BYTES} bytes",
            )
        if end < 0:
            return None
        raw = bytes(self._buffer[:end])
        del self._buffer[: end + len(_HEAD_END)]
        return _parse_head(raw)

    def _read_exactly(self, length: int) -> bytes | None:
        if len(self._buffer) < length:
            return None
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        return body

    def _read_chunked(self) -> bytes | None:
        while not self._last_chunk_seen:
            line_end = self._find_line_end()
            if line_end is None:
                return None
            size = _chunk_size(bytes(self._buffer[:line_end]))
            _check_body_size(len(self._chunks) + size)
            if size == 0:
                # The terminator's line end is kept: it may begin the blank line after it.
                del self._buffer[:line_end]
                self._last_chunk_seen = True
                break
            chunk_end = line_end + 2 + size
            if len(self._buffer) < chunk_end + 2:
                return None
            if self._buffer[chunk_end : chunk_end + 2] != b"\r\n":
                raise ProtocolViolation(HTTPStatus.BAD_REQUEST, "a chunk is longer than its size")
            self._chunks += self._buffer[line_end + 2 : chunk_end]
            del self._buffer[: chunk_end + 2]
        return self._end_of_chunks()

    def _end_of_chunks(self) -> bytes | None:
        trailer_end = self._buffer.find(_HEAD_END)
        if trailer_end < 0:
            if len(self._buffer) > _MAX_HEAD_BYTES:
                raise ProtocolViolation(HTTPStatus.BAD_REQUEST, "the trailers are too long")
            return None
        del self._buffer[: trailer_end + len(_HEAD_END)]
        body = bytes(self._chunks)
        self._chunks.clear()
        self._last_chunk_seen = False
        return body

    def _find_line_end(self) -> int | None:
        line_end = self._buffer.find(b"\r\n", 0, _MAX_CHUNK_LINE_BYTES)
        if line_end >= 0:
            return line_end
        if len(self._buffer) >= _MAX_CHUNK_LINE_BYTES:
            raise ProtocolViolation(HTTPStatus.BAD_REQUEST, "a chunk's size line is too long")
        return None


@lru_cache(maxsize=128)  # a client's heads hardly differ
def _parse_head(raw: bytes) -> _Head:
    request_line, *lines = raw.decode("latin-1").split("\r\n")
    parts = request_line.split(" ")
    if len(parts) != 3 or not all(parts) or not _VERSION.fullmatch(parts[2]):  # noqa: PLR2004 method, target, version
        raise ProtocolViolation(
            HTTPStatus.BAD_REQUEST, f"not an HTTP/1.1 request line: {request_line!r}"
        )
    method, target, version = parts
    # A client that takes this server for a proxy sends the whole address.
    address = urlsplit(target)
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not _HEADER_NAME.fullmatch(name):
            raise ProtocolViolation(HTTPStatus.BAD_REQUEST, f"not a header line: {line!r}")
        key, value = name.lower(), value.strip(" \t")
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    length, chunked = _body_framing(headers)
    return _Head(
        method=method,
        path=address.path,
        query=address.query,
        version=version,
        headers=MappingProxyType(headers),
        length=length,
        chunked=chunked,
    )


def _body_framing(headers: Mapping[str, str]) -> tuple[int, bool]:
    coding = headers.get("transfer-encoding")
    length = headers.get("content-length")
    if coding is not None:
        if length is not None or coding.lower() != "chunked":
            raise ProtocolViolation(
                HTTPStatus.BAD_REQUEST,
                f"a body framed by transfer-encoding {coding!r} and content-length {length!r}; "
                "expected one of: content-length, or transfer-encoding 'chunked'",
            )
        return 0, True
    if length is None:
        return 0, False
    if not _LENGTH.fullmatch(length):
        raise ProtocolViolation(HTTPStatus.BAD_REQUEST, f"not a content-length: {length!r}")
    _check_body_size(int(length))
    return int(length), False


def _chunk_size(line: bytes) -> int:
    digits = line.partition(b";")[0].strip()
    if not re.fullmatch(rb"[0-9A-Fa-f]{1,15}", digits):
        raise ProtocolViolation(HTTPStatus.BAD_REQUEST, f"not a chunk size: {digits!r}")
    return int(digits, 16)


def _check_body_size(size: int) -> None:
    if size > _MAX_BODY_BYTES:
        raise ProtocolViolation(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the body has {size} bytes; this server reads at most {_MAX_BODY_BYTES}",
        )
