"""Media that are too large for a request: they are sent ahead of it."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import anyio
import httpx2
from google.genai import errors, types

from massgen_bridge import BadRequest
from massgen_bridge.adapting import InlineMedia, Uploads
from massgen_bridge_gemini._clients import GeminiClient
from massgen_bridge_gemini._convert import JsonPart, bytes_of

__all__ = ["ROOM", "Files", "inline_media"]

# A request may have 20 MB in all, and base64 makes four bytes of three.
ROOM = 14_000_000
"""Bytes of media in a request."""
_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 5.0
_REPEATED = types.HttpRetryOptions(attempts=3)


class Files(Uploads[types.File]):
    """The files of one agent at the provider.

    Args:
        client: Gives the client.
        ready_s: Seconds within which the provider has to have read a file.
    """

    def __init__(self, client: Callable[[], Awaitable[GeminiClient]], *, ready_s: float) -> None:
        super().__init__(errors.APIError, httpx2.HTTPError, ready_s=ready_s)
        self._client = client

    async def upload(self, data: bytes, media_type: str, name: str) -> types.File:  # noqa: ARG002 - the provider gives files names of its own
        """Upload a file."""
        files = (await self._client()).sdk.aio.files
        options = types.HttpOptions(retry_options=_REPEATED)
        return await files.upload(
            file=io.BytesIO(data),
            config=types.UploadFileConfig(mime_type=media_type, http_options=options),
        )

    async def ready(self, uploaded: types.File) -> types.File:
        """Wait until the provider has read it, which takes its time for films.

        Raises:
            BadRequest: It could not.
        """
        wait_s = _FIRST_WAIT_S
        while uploaded.state is types.FileState.PROCESSING:
            await anyio.sleep(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
            files = (await self._client()).sdk.aio.files
            uploaded = await files.get(name=uploaded.name or "")
        if uploaded.state is types.FileState.FAILED:
            raise BadRequest(f"the provider could not read a file of type {uploaded.mime_type!r}")
        return uploaded

    async def delete(self, uploaded: types.File) -> None:
        """Delete a file."""
        await (await self._client()).sdk.aio.files.delete(name=uploaded.name or "")


def inline_media(contents: Sequence[Mapping[str, Any]]) -> Iterator[InlineMedia[types.File]]:
    """The media that stand in a request itself."""
    for content in contents:
        for part in content["parts"]:
            blob = part.get("inlineData")
            if blob is not None:
                data = bytes_of(blob["data"])
                yield InlineMedia(
                    media_type=(media_type := blob.get("mimeType") or ""),
                    size=len(data),
                    read=partial(bytes, data),
                    refer=partial(_refer, part, media_type),
                )


def _refer(part: JsonPart, media_type: str, file: types.File) -> None:
    part["fileData"] = {"fileUri": file.uri, "mimeType": media_type}
    del part["inlineData"]
