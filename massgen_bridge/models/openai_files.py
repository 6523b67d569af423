"""Files that an agent lends to OpenAI, or to a provider with its API: uploaded, then deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
from anyio import to_thread

from massgen_bridge.errors import BadRequest, TimedOut
from massgen_bridge.events import LogLine
from massgen_bridge.media.types import named_type
from massgen_bridge.messages import DocumentPart, ImagePart, ToolResult
from massgen_bridge.models.responses_messages import upload_key
from massgen_bridge.models.sdk_errors import error_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from massgen_bridge.agent import Emit
    from massgen_bridge.messages import MediaPart, Message
    from massgen_bridge.models.responses_items import MadeFile

__all__ = ["INLINE_BYTES", "LentFiles", "fetch_made", "large_documents"]

INLINE_BYTES = 8 * 1024 * 1024
"""Documents up to this size stand in the request itself, which every call of a turn repeats."""

_PURPOSE = "user_data"
_EXPIRES_S = 24 * 3600
_EXPIRES_DAYS = 1
_POLL_S = 0.5
_INDEXING_S = 300.0
_DELETING_S = 10.0


def large_documents(messages: Iterable[Message]) -> Iterator[DocumentPart]:
    """The documents of a history that are too large to be sent with every request."""
    for message in messages:
        for part in message.parts:
            media = part.media if isinstance(part, ToolResult) else (part,)
            for one in media:
                if isinstance(one, DocumentPart) and len(one.data or b"") > INLINE_BYTES:
                    yield one


async def fetch_made(
    client: Any, files: Iterable[MadeFile], emit: Emit, *, headers: Mapping[str, Any], failed: Any
) -> tuple[MediaPart, ...]:
    """Fetch what code has written. A file that cannot be had costs only itself, and a line tells.

    Args:
        client: The SDK's client.
        files: The files, in sandboxes of the provider.
        emit: Takes the lines.
        headers: Of every request.
        failed: The SDK's exception.
    """
    found: list[MediaPart] = []
    for file in files:
        try:
            content = await client.containers.files.content.retrieve(
                file.file_id, container_id=file.container, extra_headers=dict(headers)
            )
            data = await content.aread()
        except failed as error:
            left = f"the file {file.name!r}, which the model's code has written, is left with the"
            await emit(LogLine(stream="log", text=f"{left} provider: {error_text(error)}"))
            continue
        media_type = await _type_of(file.name)
        kind = ImagePart if media_type.startswith("image/") else DocumentPart
        found.append(kind(media_type=media_type, data=data, name=file.name))
    return tuple(found)


async def _type_of(name: str) -> str:
    # What endings mean is read from files of the system.
    return await to_thread.run_sync(named_type, name) or "application/octet-stream"


class LentFiles:
    """Files at the provider, each uploaded once; what is left there by a crash expires by itself.

    Args:
        openai: The SDK's module.
        client: Its client.
        headers: Of every request.
    """

    def __init__(self, openai: Any, client: Any, headers: Mapping[str, Any]) -> None:
        self._error = openai.OpenAIError
        # Uploads are repeated by the SDK: nothing is told of them, and nobody waits for a token.
        self._client = client.with_options(max_retries=2)
        self._headers = dict(headers)
        self._ids: dict[str, str] = {}
        self._store: str | None = None
        self._busy = anyio.Lock()

    async def documents(self, parts: Iterable[DocumentPart]) -> Mapping[str, str]:
        """Upload documents.

        Args:
            parts: With their bytes.

        Returns:
            The ids of all documents so far, by `upload_key`.
        """
        async with self._busy:
            for part in parts:
                name = part.name or f"document.{part.media_type.partition('/')[2]}"
                await self._upload(name, part.data or b"", part.media_type)
        return self._ids

    async def store(self, paths: Sequence[Path]) -> str:
        """The id of the vector store with these files, which is made when it is first asked for.

        Raises:
            BadRequest: The provider cannot read one of them.
            TimedOut: It takes too long to.
        """
        async with self._busy:
            if self._store is None:
                ids = [await self._upload_file(path) for path in paths]
                store = await self._client.vector_stores.create(
                    file_ids=ids,
                    name="massgen-bridge",
                    expires_after={"anchor": "last_active_at", "days": _EXPIRES_DAYS},
                    extra_headers=self._headers,
                )
                self._store = store.id
                await self._indexed(store)
            return self._store

    async def aclose(self) -> None:
        """Delete all of it; what cannot be deleted now expires."""
        ids, self._ids = list(self._ids.values()), {}
        store, self._store = self._store, None
        if not ids and store is None:
            return
        with anyio.move_on_after(_DELETING_S, shield=True):
            if store is not None:
                await self._gone(self._client.vector_stores, store)
            for file_id in ids:
                await self._gone(self._client.files, file_id)

    async def _gone(self, resource: Any, name: str) -> None:
        try:
            await resource.delete(name, extra_headers=self._headers)
        except self._error:
            return

    async def _upload_file(self, path: Path) -> str:
        data = await anyio.Path(path).read_bytes()
        media_type = await _type_of(path.name)
        return await self._upload(path.name, data, media_type)

    async def _upload(self, name: str, data: bytes, media_type: str) -> str:
        key = upload_key(data)
        if key not in self._ids:
            uploaded = await self._client.files.create(
                file=(name, data, media_type),
                purpose=_PURPOSE,
                expires_after={"anchor": "created_at", "seconds": _EXPIRES_S},
                extra_headers=self._headers,
            )
            self._ids[key] = uploaded.id
        return self._ids[key]

    async def _indexed(self, store: Any) -> None:
        """Wait until the provider has read all files of a new store."""
        with anyio.move_on_after(_INDEXING_S):
            while store.status == "in_progress":
                await anyio.sleep(_POLL_S)
                store = await self._client.vector_stores.retrieve(
                    store.id, extra_headers=self._headers
                )
            if store.file_counts.failed:
                raise BadRequest(
                    f"the provider could not read {store.file_counts.failed} of the "
                    f"{store.file_counts.total} files of 'file_search': give text, PDF or office "
                    "documents"
                )
            return
        raise TimedOut(
            f"the provider has not made the files of 'file_search' searchable in "
            f"{_INDEXING_S:g} seconds"
        )
