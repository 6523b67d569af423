"""Files that clients keep at the server, at `/v1/files`: OpenAI's and Anthropic's alike."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from massgen_bridge.testing.servers.anthropic_messages import AnthropicMessages
from massgen_bridge.testing.servers.http_response import json_response, whole_response
from massgen_bridge.testing.servers.protocol import RefusedRequest
from massgen_bridge.testing.servers.script import HttpError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_bridge.testing.servers.http_request import HttpRequest
    from massgen_bridge.testing.servers.http_response import Response
    from massgen_bridge.testing.servers.protocol import WireProtocol

__all__ = ["FILES_PATH", "FileStore", "StoredFile"]

FILES_PATH = "/v1/files"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """One file.

    Attributes:
        file_id: as requests name it.
        name: the name of the file.
        media_type: such as `application/pdf`.
        data: its bytes.
        fields: what else stood in the form that it was sent by, such as `purpose`.
    """

    file_id: str
    name: str
    media_type: str
    data: bytes
    fields: Mapping[str, str]


class FileStore:
    """The files of one server; a test looks into it, and puts in what a model is said to make."""

    def __init__(self) -> None:
        self._files: dict[str, StoredFile] = {}
        self._count = 0

    @property
    def files(self) -> tuple[StoredFile, ...]:
        """Those that are there now, in the order of their arrival."""
        return tuple(self._files.values())

    @property
    def by_id(self) -> Mapping[str, StoredFile]:
        """Those that are there now, by their id."""
        return MappingProxyType(self._files)

    def put(
        self, name: str, media_type: str, data: bytes, fields: Mapping[str, str] | None = None
    ) -> StoredFile:
        """Keep a file."""
        self._count += 1
        file_id = f"file_{self._count:020d}"
        stored = StoredFile(
            file_id=file_id, name=name, media_type=media_type, data=data, fields=fields or {}
        )
        self._files[file_id] = stored
        return stored

    def remove(self, file_id: str) -> None:
        """Keep a file no longer."""
        del self._files[file_id]

    def respond(self, request: HttpRequest, protocol: WireProtocol) -> Response | None:
        """The response to a request for a file; None where the request is for something else.

        Raises:
            RefusedRequest: there is no such file, or the form is none.
        """
        path = request.path
        if path == FILES_PATH and request.method == "POST":
            return json_response(_document(self._sent(request), protocol))
        if path == FILES_PATH and request.method == "GET":
            listed = [_document(file, protocol) for file in self.files]
            return json_response({"object": "list", "data": listed, "has_more": False})
        file_id, _, rest = path.removeprefix(f"{FILES_PATH}/").partition("/")
        if not path.startswith(f"{FILES_PATH}/") or rest not in {"", "content"}:
            return None
        file = self._files.get(file_id)
        if file is None:
            raise RefusedRequest(HttpError(status=404, message=f"there is no file {file_id}"))
        match request.method, rest:
            case "GET", "content":
                return whole_response(file.data, file.media_type)
            case "GET", _:
                return json_response(_document(file, protocol))
            case "DELETE", "":
                self.remove(file_id)
                kind = {"type": "file_deleted", "object": "file", "deleted": True}
                return json_response({"id": file_id, **kind})
            case _:
                return None

    def _sent(self, request: HttpRequest) -> StoredFile:
        fields: dict[str, str] = {}
        sent: tuple[str, str, bytes] | None = None
        for part in _parts(request):
            options = dict(part.get_params(header="content-disposition") or ())
            data = part.get_payload(decode=True)
            content = data if isinstance(data, bytes) else b""
            if "filename" in options:
                sent = (options["filename"], part.get_content_type(), content)
            else:
                fields[options.get("name", "")] = content.decode()
        if sent is None:
            raise RefusedRequest(HttpError(status=400, message="file: Field required"))
        return self.put(*sent, fields)


def _document(file: StoredFile, protocol: WireProtocol) -> dict[str, Any]:
    """What is said of a file."""
    if protocol.name == AnthropicMessages.name:
        return {
            "id": file.file_id,
            "type": "file",
            "filename": file.name,
            "mime_type": file.media_type,
            "size_bytes": len(file.data),
            "created_at": "1970-01-01T00:00:00Z",
            "downloadable": True,
        }
    return {
        "id": file.file_id,
        "object": "file",
        "bytes": len(file.data),
        "created_at": 0,
        "filename": file.name,
        "purpose": file.fields.get("purpose", "assistants_output"),
        "status": "processed",
    }


def _parts(request: HttpRequest) -> list[Message]:
    head = f"content-type: {request.headers.get('content-type', '')}\r\n\r\n".encode()
    form = BytesParser(policy=HTTP).parsebytes(head + request.body)
    parts = form.get_payload()
    return [part for part in parts if isinstance(part, Message)] if isinstance(parts, list) else []
