"""Files that clients of Gemini keep at the server."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from massgen_bridge.testing.servers.http_response import json_response
from massgen_bridge.testing.servers.protocol import RefusedRequest
from massgen_bridge.testing.servers.script import HttpError

if TYPE_CHECKING:
    from massgen_bridge.testing.servers.files import FileStore, StoredFile
    from massgen_bridge.testing.servers.http_request import HttpRequest
    from massgen_bridge.testing.servers.http_response import Response

__all__ = ["GeminiFiles"]

_VERSION = "v1(?:beta|alpha)?"
_UPLOADS = re.compile(rf"/upload/{_VERSION}/files(?:/(?P<upload>\w+))?")
# Behind `/v1/files`, files of other protocols have their own form.
_FILES = re.compile(r"/v1(?:beta|alpha)/files/(?P<file>\w+)")


@dataclass(slots=True)
class _Upload:
    media_type: str
    name: str
    data: bytearray = field(default_factory=bytearray)


class GeminiFiles:
    """Takes files piece by piece, as the Gemini API does; films are ready once they are asked for.

    Args:
        store: Keeps them.
    """

    def __init__(self, store: FileStore) -> None:
        self._store = store
        self._uploads: dict[str, _Upload] = {}
        self._processing: set[str] = set()

    def respond(self, request: HttpRequest) -> Response | None:
        """The response to a request for a file; None where the request is for something else.

        Raises:
            RefusedRequest: there is no such file, or no such upload.
        """
        if (found := _UPLOADS.fullmatch(request.path)) and request.method == "POST":
            return self._taken(request, found["upload"])
        found = _FILES.fullmatch(request.path)
        if found is None or request.method not in {"DELETE", "GET"}:
            return None
        file = self._store.by_id.get(found["file"])
        if file is None:
            message = "You do not have permission to access the File, or it may not exist."
            raise RefusedRequest(HttpError(status=403, message=message))
        if request.method == "DELETE":
            self._store.remove(file.file_id)
            return json_response({})
        self._processing.discard(file.file_id)
        return json_response(self._document(file, request))

    def _taken(self, request: HttpRequest, upload_id: str | None) -> Response:
        """One step of an upload: its beginning, or some of the bytes."""
        headers = request.headers
        if upload_id is None:
            upload_id = f"upload{len(self._uploads)}"
            self._uploads[upload_id] = _Upload(
                headers.get("x-goog-upload-header-content-type", ""),
                headers.get("x-goog-upload-file-name", ""),
            )
            url = f"http://{headers.get('host', '')}{request.path}/{upload_id}"
            return json_response({}, ("x-goog-upload-url", url), ("x-goog-upload-status", "active"))
        upload = self._uploads.get(upload_id)
        if upload is None or int(headers.get("x-goog-upload-offset", -1)) != len(upload.data):
            message = "There is no such upload, or it is not at this offset."
            raise RefusedRequest(HttpError(status=400, message=message))
        upload.data += request.body
        if "finalize" not in headers.get("x-goog-upload-command", ""):
            return json_response({}, ("x-goog-upload-status", "active"))
        file = self._store.put(upload.name, upload.media_type, bytes(upload.data))
        del self._uploads[upload_id]
        if file.media_type.startswith("video/"):
            self._processing.add(file.file_id)
        told = {"file": self._document(file, request)}
        return json_response(told, ("x-goog-upload-status", "final"))

    def _document(self, file: StoredFile, request: HttpRequest) -> dict[str, Any]:
        name = f"files/{file.file_id}"
        return {
            "name": name,
            "mimeType": file.media_type,
            "sizeBytes": str(len(file.data)),
            "state": "PROCESSING" if file.file_id in self._processing else "ACTIVE",
            "uri": f"http://{request.headers.get('host', '')}/v1beta/{name}",
        }
