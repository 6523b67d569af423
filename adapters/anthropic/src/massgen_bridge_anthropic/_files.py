"""Files that go to the provider and come from it beside a message."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from typing import Any

import anthropic

from massgen_bridge import DocumentPart, Emit, ImagePart, LogLine, MediaPart

__all__ = ["Files"]

# A request may have 32 MB in all, and base64 makes four bytes of three.
_LARGEST_WITHIN = 16_000_000
_KEPT_S = 24 * 3600
_LARGEST_MADE = 20_000_000


class Files:
    """The files of one agent at the provider; those it sent are deleted in the end."""

    def __init__(self) -> None:
        self._sent: dict[str, anthropic.AsyncAnthropic] = {}

    async def send_large(self, client: anthropic.AsyncAnthropic, request: dict[str, Any]) -> None:
        """Send documents that are too large for a request ahead of it; it then refers to them.

        Args:
            client: Sends them.
            request: The body; changed in place, so that nothing is sent again with it.
        """
        for block in _large_documents(request["messages"]):
            source = block["source"]
            name = block.get("title") or "document.pdf"
            sent = await client.files.upload(
                file=(name, base64.b64decode(source["data"]), source["media_type"]),
                expires_in_seconds=_KEPT_S,
            )
            self._sent[sent.id] = client
            block["source"] = {"type": "file", "file_id": sent.id}

    async def fetch(
        self, client: anthropic.AsyncAnthropic, file_ids: Iterable[str], emit: Emit
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
                    await emit(_left(about.filename, f"it has {about.size_bytes:,} bytes"))
                    continue
                content = await client.files.download(file_id)
                data = await content.read()
            except anthropic.AnthropicError as error:
                await emit(_left(file_id, str(error)))
                continue
            kind = ImagePart if about.mime_type.startswith("image/") else DocumentPart
            found.append(kind(media_type=about.mime_type, data=data, name=about.filename))
        return tuple(found)

    async def aclose(self) -> None:
        """Delete what was sent; what cannot be deleted expires by itself."""
        while self._sent:
            file_id, client = self._sent.popitem()
            try:
                await client.files.delete(file_id)
            except anthropic.AnthropicError:
                continue


def _left(name: str, why: str) -> LogLine:
    return LogLine(
        stream="log",
        text=f"the file {name!r}, which the model's code has written, is left with the provider: "
        f"{why}",
    )


def _large_documents(messages: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    room = _LARGEST_WITHIN
    for message in messages:
        content = message["content"]
        for block in content if isinstance(content, list) else ():
            source = block.get("source") or {}
            if source.get("type") != "base64":
                continue
            room -= len(source["data"])
            if room < 0 and block["type"] == "document":
                room += len(source["data"])
                yield block
