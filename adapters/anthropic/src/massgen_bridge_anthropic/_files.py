"""Files that go to the provider and come from it beside a message."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial
from typing import Any

import anthropic

from massgen_bridge import Emit, MediaPart
from massgen_bridge.adapting import (
    InlineMedia,
    Uploads,
    base64_size,
    left_with_provider,
    made_part,
)

__all__ = ["LARGEST_REQUEST", "ROOM", "Files", "fetch_made", "inline_media"]

# A request may have 32 MB in all, and base64 makes four bytes of three.
ROOM = 12_000_000
"""Bytes of media in a request, which every call of a turn repeats, where files can be sent."""
LARGEST_REQUEST = 22_000_000
"""Bytes of media that a request takes at the most."""
_KEPT_S = 24 * 3600
_LARGEST_MADE = 20_000_000


class Files(Uploads[str]):
    """The documents of one agent at the provider, by their ids.

    Args:
        client: Gives the SDK's client.
    """

    def __init__(self, client: Callable[[], Awaitable[anthropic.AsyncAnthropic]]) -> None:
        super().__init__(anthropic.AnthropicError)
        self._client = client

    async def upload(self, data: bytes, media_type: str, name: str) -> str:
        """Upload a document."""
        client = (await self._client()).with_options(max_retries=2)
        sent = await client.files.upload(file=(name, data, media_type), expires_in_seconds=_KEPT_S)
        return sent.id

    async def delete(self, uploaded: str) -> None:
        """Delete a document."""
        client = (await self._client()).with_options(max_retries=2)
        await client.files.delete(uploaded)


async def fetch_made(
    client: anthropic.AsyncAnthropic, file_ids: Iterable[str], emit: Emit
) -> tuple[MediaPart, ...]:
    """Fetch what code wrote. A file that cannot be had costs only itself, and a line tells.

    Args:
        client: Fetches them.
        file_ids: The files at the provider.
        emit: Takes the lines.
    """
    found: list[MediaPart] = []
    for file_id in file_ids:
        try:
            about = await client.files.retrieve_metadata(file_id)
            if about.size_bytes > _LARGEST_MADE:
                why = f"it has {about.size_bytes:,} bytes"
                await emit(left_with_provider(about.filename, why))
                continue
            content = await client.files.download(file_id)
            data = await content.read()
        except anthropic.AnthropicError as error:
            await emit(left_with_provider(file_id, str(error)))
            continue
        found.append(made_part(about.mime_type, data=data, name=about.filename))
    return tuple(found)


def inline_media(messages: Iterable[dict[str, Any]]) -> Iterator[InlineMedia[str]]:
    """The media that stand in a request itself; of these, documents can go ahead of it."""
    for message in messages:
        yield from _in_blocks(message["content"])


def _in_blocks(content: Any) -> Iterator[InlineMedia[str]]:
    for block in content if isinstance(content, list) else ():
        yield from _in_blocks(block.get("content"))  # a tool's result has blocks of its own
        source = block.get("source") or {}
        if source.get("type") == "base64":
            yield InlineMedia(
                media_type=source["media_type"],
                name=block.get("title") or "document.pdf",
                size=base64_size(source["data"]),
                read=partial(base64.b64decode, source["data"]),
                refer=partial(_refer, block) if block["type"] == "document" else None,
            )


def _refer(block: dict[str, Any], file_id: str) -> None:
    block["source"] = {"type": "file", "file_id": file_id}
