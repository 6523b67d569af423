"""Vector stores as OpenAI's API keeps them, and the files that its code execution has made."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from massgen_bridge.testing.servers.http_response import json_response, whole_response
from massgen_bridge.testing.servers.protocol import RefusedRequest
from massgen_bridge.testing.servers.script import HttpError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_bridge.testing.servers.files import FileStore
    from massgen_bridge.testing.servers.http_request import HttpRequest
    from massgen_bridge.testing.servers.http_response import Response

__all__ = ["VectorStore", "VectorStores"]

_STORES = "/v1/vector_stores"
_MADE = re.compile(r"/v1/containers/([\w-]+)/files/([\w.-]+)/content")


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorStore:
    """A vector store that a client has made.

    Attributes:
        store_id: as requests name it.
        file_ids: the files in it.
        body: what it was made with.
    """

    store_id: str
    file_ids: tuple[str, ...]
    body: Mapping[str, Any]


class VectorStores:
    """The vector stores of one server; a test looks into it.

    Args:
        files: what can be put into them.

    Attributes:
        made: what code execution has made, by the ids of container and file.
        polls: how often a new store is said to be in progress.
        failed: how many files of each store are said to be unreadable.
    """

    def __init__(self, files: FileStore) -> None:
        self.made: dict[tuple[str, str], bytes] = {}
        self.polls = 1
        self.failed = 0
        self._files = files
        self._stores: dict[str, VectorStore] = {}
        self._polls: dict[str, int] = {}
        self._count = 0

    @property
    def stores(self) -> tuple[VectorStore, ...]:
        """Those that are there now, in the order of their making."""
        return tuple(self._stores.values())

    def respond(self, request: HttpRequest) -> Response | None:
        """The response to a request for a store; None where the request is for something else.

        Raises:
            RefusedRequest: there is no such store or file.
        """
        if request.method == "POST" and request.path == _STORES:
            return json_response(self._make(json.loads(request.body or b"{}")))
        if request.path.startswith(f"{_STORES}/"):
            return self._stored(request.method, request.path.removeprefix(f"{_STORES}/"))
        made = _MADE.fullmatch(request.path)
        if made is None:
            return None
        data = self.made.get((made[1], made[2]))
        if data is None:
            raise _missing(made[2])
        return whole_response(data, "application/octet-stream")

    def _stored(self, method: str, store_id: str) -> Response:
        if store_id not in self._stores:
            raise _missing(store_id)
        if method == "DELETE":
            del self._stores[store_id]
            return json_response(
                {"id": store_id, "object": "vector_store.deleted", "deleted": True}
            )
        return json_response(self._document(store_id))

    def _make(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        file_ids = tuple(body.get("file_ids") or ())
        for file_id in file_ids:
            if file_id not in self._files.by_id:
                raise _missing(file_id)
        self._count += 1
        store_id = f"vs_{self._count:020d}"
        self._stores[store_id] = VectorStore(store_id=store_id, file_ids=file_ids, body=body)
        self._polls[store_id] = self.polls
        return self._document(store_id)

    def _document(self, store_id: str) -> Mapping[str, Any]:
        """What is said of a store, which is ready once it was asked for often enough."""
        left = self._polls[store_id]
        self._polls[store_id] = max(left - 1, 0)
        total = len(self._stores[store_id].file_ids)
        return {
            "id": store_id,
            "object": "vector_store",
            "created_at": 0,
            "status": "in_progress" if left else "completed",
            "usage_bytes": 0,
            "file_counts": {
                "cancelled": 0,
                "completed": 0 if left else total - self.failed,
                "failed": 0 if left else self.failed,
                "in_progress": total if left else 0,
                "total": total,
            },
        }


def _missing(name: str) -> RefusedRequest:
    return RefusedRequest(HttpError(status=404, message=f"there is no {name}"))
