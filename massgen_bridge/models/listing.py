"""Which models a connection's server offers, asked for by a request that costs nothing."""

from __future__ import annotations

import difflib
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import anyio
import httpx2

from massgen_bridge.errors import AgentError, NotFound, ProtocolFailed, TimedOut
from massgen_bridge.models.addresses import origin_of
from massgen_bridge.models.gateway.upstream import headers_to_model
from massgen_bridge.models.sdk_clients import Endpoint, client_settings
from massgen_bridge.models.sdk_errors import model_call_error, refused_call_error

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from massgen_bridge.connection import Connection, Protocols

__all__ = [
    "is_offered",
    "nearest_model",
    "offered_models",
    "path_advice",
    "told_offer",
    "with_offered",
]

_PATHS: Mapping[Protocols, str] = {
    "chat": "/models",
    "responses": "/models",
    "messages": "/v1/models",
    "gemini": "/v1beta/models",
}
_MOST_PAGES: Final = 50
_MOST_SHOWN: Final = 12
_PATIENCE_S: Final = 5.0


async def offered_models(connection: Connection, *, patience_s: float = 15.0) -> tuple[str, ...]:
    """The names of the models that the server has, in its order.

    Args:
        connection: Says where and with which key; its model does not matter.
        patience_s: Longest wait for the whole list, in seconds.

    Raises:
        AgentError: The server cannot be reached, refuses, or gives no such list.
    """
    where = f"{connection.name!r}, the list of models at {origin_of(connection.base_url)}"
    with anyio.move_on_after(patience_s):
        try:
            return await _all_pages(connection, where)
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise model_call_error(error, where=where, agent_id="", sdk="httpx2") from error
    raise TimedOut(f"{where}: no answer within {patience_s:g} s")


async def _all_pages(connection: Connection, where: str) -> tuple[str, ...]:
    settings = await anyio.to_thread.run_sync(client_settings, httpx2, Endpoint.of(connection))
    url = f"{connection.base_url}{_PATHS[connection.protocol]}"
    headers = headers_to_model({}, connection)
    names: dict[str, None] = {}
    page: dict[str, str] = {}
    async with httpx2.AsyncClient(**settings) as client:
        for _ in range(_MOST_PAGES):
            response = await client.get(url, headers=headers, params=page)
            said = _decoded(response.content)
            if response.status_code != HTTPStatus.OK:
                raise refused_call_error(
                    response.status_code, response.headers, said, where=where, agent_id=""
                )
            found, page = _read(said, where)
            names |= dict.fromkeys(found)
            if not page:
                break
    return tuple(names)


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body.decode(errors="replace")


def _read(said: Any, where: str) -> tuple[list[str], dict[str, str]]:
    """The names on a page, and what asks for the next one; empty on the last."""
    # Some servers give the bare list.
    rows = said if isinstance(said, list) else _rows(said)
    if rows is None or not all(isinstance(row, dict) for row in rows):
        raise ProtocolFailed(f"{where}: the answer is no list of models")
    names = [str(row.get("id") or row.get("name") or "").removeprefix("models/") for row in rows]
    more: dict[str, str] = {}
    if isinstance(said, dict):
        if said.get("nextPageToken"):
            more = {"pageToken": str(said["nextPageToken"])}
        elif said.get("has_more") and said.get("last_id"):
            more = {"after_id": str(said["last_id"])}
    return [name for name in names if name], more


def _rows(said: Any) -> list[Any] | None:
    for key in ("data", "models"):
        rows = said.get(key) if isinstance(said, dict) else None
        if isinstance(rows, list):
            return rows
    return None


def is_offered(name: str, offered: Collection[str]) -> bool:
    """Whether a model is among those that are there; Ollama's names may end with a tag."""
    return name in offered or f"{name}:latest" in offered


def nearest_model(name: str, offered: Collection[str]) -> str | None:
    """The offered model whose name is most like `name`; None where none is like it."""
    by_folded = {other.casefold(): other for other in offered}
    folded = name.casefold()
    # Local servers name a model with its maker or its size, which people leave out.
    within = [known for known in by_folded if folded in known or known in folded]
    cutoff = 0.5 if within else 0.6
    near = difflib.get_close_matches(folded, within or by_folded, n=1, cutoff=cutoff)
    return by_folded[near[0]] if near else None


def path_advice(connection: Connection) -> str:
    """What to try where nothing was found at an address that has no path; may be empty."""
    if connection.protocol not in {"chat", "responses"} or urlsplit(connection.base_url).path:
        return ""
    return f" ({connection.base_url} has no path: the address of most servers ends with '/v1')"


async def with_offered(error: NotFound, connection: Connection) -> NotFound:
    """The same error with the models that are there, where the server tells and it is one of them.

    Args:
        error: What a call ended with.
        connection: The connection of the call.
    """
    try:
        offered = await offered_models(connection, patience_s=_PATIENCE_S)
    except NotFound:
        return NotFound(f"{error}{path_advice(connection)}", agent_id=error.agent_id)
    except AgentError:
        return error
    if is_offered(connection.model, offered):
        return error
    said = told_offer(connection.model, offered)
    return NotFound(f"{error}; {said}", agent_id=error.agent_id)


def told_offer(model: str, offered: Collection[str]) -> str:
    """What there is in place of a model, in words."""
    if not offered:
        return "the server has no model at all"
    near = nearest_model(model, offered)
    hint = f" (did you mean {near!r}?)" if near else ""
    shown = [near, *(one for one in offered if one != near)] if near else list(offered)
    rest = f" and {len(shown) - _MOST_SHOWN} more" if len(shown) > _MOST_SHOWN else ""
    return f"the server offers {', '.join(map(repr, shown[:_MOST_SHOWN]))}{rest}{hint}"
