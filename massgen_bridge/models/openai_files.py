"""Files that an agent lends to OpenAI, or to a provider with its API: uploaded, then deleted."""

from __future__ import annotations

import base64
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
from anyio import to_thread

from massgen_bridge.errors import BadRequest, TimedOut
from massgen_bridge.media.types import named_type
from massgen_bridge.models.made_files import left_with_provider, made_part
from massgen_bridge.models.sdk_errors import error_text
from massgen_bridge.models.uploads import InlineMedia, Uploads, base64_size

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from massgen_bridge.agent import Emit
    from massgen_bridge.messages import MediaPart
    from massgen_bridge.models.responses_items import MadeFile

__all__ = ["INLINE_BYTES", "LentFiles", "fetch_made", "inline_documents"]

INLINE_BYTES = 8 * 1024 * 1024
"""Bytes of documents that stand in the request itself, which every call of a turn repeats."""

_PURPOSE = "user_data"
_EXPIRES_S = 24 * 3600
_EXPIRES_DAYS = 1
_POLL_S = 0.5
_INDEXING_S = 300.0


def inline_documents(items: Iterable[Mapping[str, Any]]) -> Iterator[InlineMedia[str]]:
    """The documents that stand in a request of Responses itself."""
    for item in items:
        for field in ("content", "output"):
            parts = item.get(field)
            for part in parts if isinstance(parts, list) else ():
                if "file_data" in part:
                    yield _inline(part)


def _inline(part: dict[str, Any]) -> InlineMedia[str]:
    head, _, encoded = part["file_data"].partition(",")

    def refer(file_id: str) -> None:
        part.clear()
        part.update(type="input_file", file_id=file_id)

    return InlineMedia(
        media_type=head.removeprefix("data:").removesuffix(";base64"),
        name=part["filename"],
        size=base64_size(encoded),
        read=partial(base64.b64decode, encoded),
        refer=refer,
    )


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
            await emit(left_with_provider(file.name, error_text(error)))
            continue
        found.append(made_part(await _type_of(file.name), data=data, name=file.name))
    return tuple(found)


async def _type_of(name: str) -> str:
    # What endings mean is read from files of the system.
    return await to_thread.run_sync(named_type, name) or "application/octet-stream"


class LentFiles(Uploads[str]):
    """Files at the provider, by their ids, and the store in which some of them are searched.

    Args:
        openai: The SDK's module.
        client: Gives its client.
        headers: Of every request.
    """

    def __init__(
        self, openai: Any, client: Callable[[], Awaitable[Any]], headers: Mapping[str, Any]
    ) -> None:
        super().__init__(openai.OpenAIError)
        self._client = client
        self._headers = dict(headers)
        self._store: str | None = None
        self._storing = anyio.Lock()

    async def store(self, paths: Sequence[Path]) -> str:
        """The id of the vector store with these files, which is made when it is first asked for.

        Raises:
            BadRequest: The provider cannot read one of them.
            TimedOut: It takes too long to.
        """
        async with self._storing:
            if self._store is None:
                ids = [await self._uploaded_file(path) for path in paths]
                stores = (await self._client()).vector_stores
                store = await stores.create(
                    file_ids=ids,
                    name="massgen-bridge",
                    expires_after={"anchor": "last_active_at", "days": _EXPIRES_DAYS},
                    extra_headers=self._headers,
                )
                self._store = store.id
                await self._indexed(stores, store)
            return self._store

    async def upload(self, data: bytes, media_type: str, name: str) -> str:
        """Upload a file."""
        uploaded = await (await self._client()).files.create(
            file=(name, data, media_type),
            purpose=_PURPOSE,
            expires_after={"anchor": "created_at", "seconds": _EXPIRES_S},
            extra_headers=self._headers,
        )
        return str(uploaded.id)

    async def delete(self, uploaded: str) -> None:
        """Delete a file."""
        await (await self._client()).files.delete(uploaded, extra_headers=self._headers)

    async def clear(self) -> None:
        """Delete the store and the files."""
        store, self._store = self._store, None
        if store is not None:
            with suppress(*self.errors):
                stores = (await self._client()).vector_stores
                await stores.delete(store, extra_headers=self._headers)
        await super().clear()

    async def _uploaded_file(self, path: Path) -> str:
        data = await anyio.Path(path).read_bytes()
        return await self.uploaded(data, await _type_of(path.name), path.name)

    async def _indexed(self, stores: Any, store: Any) -> None:
        """Wait until the provider has read all files of a new store."""
        with anyio.move_on_after(_INDEXING_S):
            while store.status == "in_progress":
                await anyio.sleep(_POLL_S)
                store = await stores.retrieve(store.id, extra_headers=self._headers)
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
