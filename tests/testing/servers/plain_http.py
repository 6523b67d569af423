"""Speaking to a model server without any SDK."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_bridge.testing.servers import ModelServer

__all__ = ["Answer", "Event", "events_of", "post"]

_TIMEOUT_S = 20.0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A response, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True, kw_only=True)
class Event:
    """A server-sent event; `name` is empty where it has none."""

    name: str
    data: str

    @property
    def json(self) -> Any:
        """The data as JSON."""
        return json.loads(self.data)


def post(
    server: ModelServer | str,
    path: str,
    body: Any = None,
    *,
    headers: Mapping[str, str] | None = None,
    method: str = "POST",
    timeout_s: float = _TIMEOUT_S,
) -> Answer:
    """Send a request.

    Args:
        server: the server, or any of its URLs.
        path: such as `/v1/messages`.
        body: sent as JSON; bytes are sent as they are.
        headers: of the request.
        method: of the request.
        timeout_s: seconds to wait for bytes.

    Raises:
        http.client.HTTPException: the response breaks off.
        ConnectionError: the connection does.
        TimeoutError: no bytes came in time.
    """
    address = urlsplit(server if isinstance(server, str) else server.url).netloc
    connection = http.client.HTTPConnection(address, timeout=timeout_s)
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        connection.request(method, path, encoded, dict(headers or {}))
        response = connection.getresponse()
        read = response.read()
        return Answer(status=response.status, headers=dict(response.getheaders()), body=read)
    finally:
        connection.close()


def events_of(body: bytes) -> list[Event]:
    """The server-sent events of a body; what follows the last blank line is none."""
    events = []
    for block in body.decode().replace("\r\n", "\n").split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        events.append(Event(name=fields.get("event", ""), data=fields["data"]))
    return events
