"""Media that go to a provider ahead of a request: each uploaded once, all deleted in the end."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import anyio
from anyio import to_thread

from massgen_bridge.errors import TimedOut, UnsupportedContent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = ["InlineMedia", "UploadFailed", "Uploads", "base64_size", "check_room"]

R = TypeVar("R")

_DELETING_S = 10.0
_READY_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class InlineMedia(Generic[R]):
    """Media as they stand in the body of a request.

    Attributes:
        media_type: Such as `application/pdf`.
        name: Of the file, where the provider wants one.
        size: Bytes of the file.
        read: Gives the file; may take its time.
        refer: Puts in its place what an upload has given; None where the protocol has no form for
            that.
    """

    media_type: str
    name: str = ""
    size: int
    read: Callable[[], bytes]
    refer: Callable[[R], None] | None = None


class UploadFailed(Exception):
    """A file did not reach the provider; the cause says why, and the text which file."""


class Uploads(ABC, Generic[R]):
    """What one agent has uploaded; what is left there by a crash expires by itself.

    Args:
        errors: What the SDK raises where a file cannot be uploaded or deleted.
        ready_s: Seconds within which an upload has to be ready, such as `timeout_s` of the
            connection.

    Attributes:
        errors: The same.
    """

    def __init__(self, *errors: type[Exception], ready_s: float = _READY_S) -> None:
        self.errors = errors
        self._ready_s = ready_s
        self._sent: dict[str, R] = {}
        self._busy = anyio.Lock()

    @abstractmethod
    async def upload(self, data: bytes, media_type: str, name: str) -> R:
        """Upload a file; what the SDK raises may come out as it is.

        Nobody repeats it: where that may help, it repeats its requests itself. Its client gives
        up where nothing moves for the `timeout_s` of the connection.

        Args:
            data: The file.
            media_type: Such as `application/pdf`.
            name: Of the file, where the provider wants one.

        Returns:
            What `InlineMedia.refer` and `delete` take.
        """

    async def ready(self, uploaded: R) -> R:
        """Wait until an upload can be used, and tell its new state.

        Raises:
            BadRequest: The provider cannot read it.
        """
        return uploaded

    @abstractmethod
    async def delete(self, uploaded: R) -> None:
        """Delete a file."""

    async def send_ahead(self, media: Iterable[InlineMedia[R]], *, room: int) -> None:
        """Upload the largest media of a request, until the rest fits into it.

        Args:
            media: All that stand in the request.
            room: Bytes that may.
        """
        for one, refer in _beyond(list(media), room):
            data, key = await to_thread.run_sync(_read, one)
            refer(await self.uploaded(data, one.media_type, one.name, key=key))

    async def uploaded(
        self, data: bytes, media_type: str, name: str, *, key: str | None = None
    ) -> R:
        """Upload a file, unless it was before.

        Args:
            data: The file.
            media_type: Such as `application/pdf`.
            name: Of the file, where the provider wants one.
            key: The hash of the file, where it is known.

        Raises:
            UploadFailed: The SDK has raised.
            TimedOut: The provider takes too long to make it ready.
        """
        key = key or _key(data)
        async with self._busy:
            file = f"{name!r}" if name else f"a file of type {media_type!r}"
            if key not in self._sent:
                try:
                    self._sent[key] = await self.upload(data, media_type, name)
                except self.errors as error:
                    raise UploadFailed(f"the upload of {file} ({len(data):,} bytes)") from error
            with anyio.move_on_after(self._ready_s) as waiting:
                self._sent[key] = await self.ready(self._sent[key])
            if waiting.cancelled_caught:
                raise TimedOut(
                    f"the provider has not made {file} ready in {self._ready_s:g} s ('timeout_s')"
                )
            return self._sent[key]

    async def aclose(self) -> None:
        """Delete all of it, though the agent be cancelled; what cannot be deleted now expires."""
        with anyio.move_on_after(_DELETING_S, shield=True):
            await self.clear()

    async def clear(self) -> None:
        """Delete all of it."""
        while self._sent:
            _, uploaded = self._sent.popitem()
            with suppress(*self.errors):
                await self.delete(uploaded)


def check_room(media: Iterable[InlineMedia[R]], room: int) -> None:
    """Refuse media that are too large for a request, where none can be sent ahead of it.

    Args:
        media: All that stand in the request.
        room: Bytes that may.

    Raises:
        UnsupportedContent: They are too large.
    """
    size = sum(one.size for one in media)
    if size > room:
        raise UnsupportedContent(
            f"media of {size:,} bytes are more than a request takes ({room:,} bytes), and an "
            "agent in a process of its own cannot send them ahead: run it with "
            "'isolation: none', or give less"
        )


def base64_size(encoded: str) -> int:
    """Bytes that a text in base64 stands for."""
    return len(encoded) * 3 // 4 - encoded[-2:].count("=")


def _beyond(
    media: Sequence[InlineMedia[R]], room: int
) -> Iterator[tuple[InlineMedia[R], Callable[[R], None]]]:
    excess = sum(one.size for one in media) - room
    for one in sorted(media, key=lambda one: -one.size):
        if excess <= 0:
            return
        if one.refer is not None:
            yield one, one.refer
            excess -= one.size


def _read(media: InlineMedia[R]) -> tuple[bytes, str]:
    data = media.read()
    return data, _key(data)


def _key(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
