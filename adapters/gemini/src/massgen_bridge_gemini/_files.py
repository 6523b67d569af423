"""Media that are too large for a request: they are sent ahead of it."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence

import anyio
import httpx2
from anyio import to_thread
from google.genai import errors, types

from massgen_bridge import BadRequest, UnsupportedContent
from massgen_bridge_gemini._clients import GeminiClient

__all__ = ["Files", "check_size"]

# A request may have 20 MB in all, and base64 makes four bytes of three.
_LARGEST_WITHIN = 14_000_000
_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 5.0


class Files:
    """The files of one agent at the provider; what it sent is deleted in the end."""

    def __init__(self) -> None:
        self._sent: dict[str, tuple[GeminiClient, types.File]] = {}

    async def send_large(self, client: GeminiClient, contents: Sequence[types.Content]) -> None:
        """Send the largest media ahead of a request that they are too large for.

        What was sent once is not sent again as long as the agent lives.

        Args:
            client: Sends them.
            contents: Of the request; changed in place, so that it refers to them.

        Raises:
            BadRequest: The provider could not read one of them.
        """
        parts = list(_with_data(contents))
        excess = sum(len(blob.data or b"") for _, blob in parts) - _LARGEST_WITHIN
        for part, blob in sorted(parts, key=lambda one: -len(one[1].data or b"")):
            if excess <= 0:
                break
            data = blob.data or b""
            sent = await self._sent_once(client, data, blob.mime_type or "")
            part.file_data = types.FileData(file_uri=sent.uri, mime_type=blob.mime_type)
            part.inline_data = None
            excess -= len(data)

    async def aclose(self) -> None:
        """Delete what was sent; what cannot be deleted expires by itself."""
        while self._sent:
            _, (client, file) = self._sent.popitem()
            try:
                await client.sdk.aio.files.delete(name=file.name or "")
            except (errors.APIError, httpx2.HTTPError):
                continue

    async def _sent_once(self, client: GeminiClient, data: bytes, media_type: str) -> types.File:
        key = await to_thread.run_sync(lambda: hashlib.sha256(data).hexdigest())
        files = client.sdk.aio.files
        if key in self._sent:
            file = self._sent[key][1]
        else:
            file = await files.upload(
                file=io.BytesIO(data), config=types.UploadFileConfig(mime_type=media_type)
            )
            self._sent[key] = client, file
        wait_s = _FIRST_WAIT_S
        while file.state is types.FileState.PROCESSING:
            await anyio.sleep(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
            file = await files.get(name=file.name or "")
            self._sent[key] = client, file
        if file.state is types.FileState.FAILED:
            raise BadRequest(f"the provider could not read a file of type {media_type!r}")
        return file


def check_size(contents: Sequence[types.Content]) -> None:
    """Refuse media that are too large for a request, where none can be sent ahead of it.

    Raises:
        UnsupportedContent: They are too large.
    """
    size = sum(len(blob.data or b"") for _, blob in _with_data(contents))
    if size > _LARGEST_WITHIN:
        raise UnsupportedContent(
            f"media of {size:,} bytes are more than a request takes ({_LARGEST_WITHIN:,} bytes), "
            "and an agent in a process of its own cannot send them ahead: run it with "
            "'isolation: none', or give less"
        )


def _with_data(contents: Sequence[types.Content]) -> Iterator[tuple[types.Part, types.Blob]]:
    for content in contents:
        for part in content.parts or ():
            if part.inline_data is not None:
                yield part, part.inline_data
