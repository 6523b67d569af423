"""What goes to the model for a client's request."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from massgen_bridge.errors import BadRequest, LimitReached, NotFound
from massgen_bridge.models.gateway.bodies import read_body
from massgen_bridge.models.gateway.local import Emulation, emulate
from massgen_bridge.models.gateway.passing import AsItCame, WithoutUsage
from massgen_bridge.models.gateway.rerouting import rerouted
from massgen_bridge.models.gateway.routes import MODEL
from massgen_bridge.models.providers import LOCAL

if TYPE_CHECKING:
    from massgen_bridge.connection import Connection, Protocols
    from massgen_bridge.models.gateway.bodies import Body
    from massgen_bridge.models.gateway.passes import Pass
    from massgen_bridge.models.gateway.routes import Route
    from massgen_bridge.models.gateway.server import Request

__all__ = ["Outgoing", "Passing", "outgoing_for"]

_LOCAL_PATH = "/v1/chat/completions"


class Passing(Protocol):
    """What is done to an answer on its way to the client."""

    def feed(self, data: bytes) -> bytes:
        """What the client gets for the next bytes."""

    def end(self) -> bytes:
        """What the client gets when there are no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """What goes to the model.

    Attributes:
        url: Where it goes.
        body: What goes there.
        asked: The protocol that the client speaks.
        spoken: The protocol that the model's server speaks.
        is_free: Whether it is no model call, and so under no policy.
        hides_usage: Whether the usage was asked for by us alone, and is no part of the answer.
        emulation: What the local model cannot do by itself, and the way of its answer back.
    """

    url: str
    body: bytes
    asked: Protocols
    spoken: Protocols
    is_free: bool = False
    hides_usage: bool = False
    emulation: Emulation | None = None

    def passing(self) -> Passing:
        """What is to be done to one answer."""
        if self.emulation is not None:
            return self.emulation.again()
        return WithoutUsage() if self.hides_usage else AsItCame()


def outgoing_for(
    request: Request, route: Route, holder: Pass, *, instead: Connection | None = None
) -> Outgoing:
    """What goes to the model for a request, which then counts as a call.

    Args:
        request: The request.
        route: What it asks for.
        holder: The turn.
        instead: Another connection than the turn's, for a call that has been counted.

    Raises:
        AgentError: The request cannot be passed on; the text says why.
    """
    connection = instead or holder.connection
    asked = route.protocol or connection.protocol
    _check_spoken(asked, route, connection, holder.agent_id)
    try:
        body = read_body(request.body)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body is no JSON object: {error}") from error
    if instead is not None:
        values = rerouted(body.values, holder.connection, instead, asked)
        body = read_body(json.dumps(values).encode())
    if connection.provider == LOCAL:
        root = connection.base_url.rstrip("/").removesuffix("/v1")
        outgoing = _to_local(body, asked, connection.model, root + _LOCAL_PATH)
    else:
        outgoing = _to_provider(body, asked, route, connection, request.query)
    if not outgoing.is_free and instead is None:
        _count(holder)
    return outgoing


def _check_spoken(asked: Protocols, route: Route, connection: Connection, agent_id: str) -> None:
    """Refuse what the model's server, or for the local model the gateway, does not speak.

    Raises:
        NotFound: The local model has no such task.
        BadRequest: It is another protocol.
    """
    if connection.provider == LOCAL:
        if route.task != "call":
            raise NotFound("the local model counts no tokens before a call")
        if asked == "gemini":
            raise BadRequest(
                "the local model does not speak 'gemini': let this client speak 'chat', "
                "'responses' or 'messages'"
            )
    elif asked != connection.protocol:
        raise BadRequest(
            f"this client speaks {asked!r}, but the connection {connection.name!r} of agent "
            f"{agent_id!r} offers {connection.protocol!r}: give the agent a model with a "
            f"connection that offers {asked!r}, or let its client speak {connection.protocol!r}"
        )


def _to_provider(
    body: Body, asked: Protocols, route: Route, connection: Connection, query: str
) -> Outgoing:
    changes, hides_usage = _changes(
        body, connection.model, asked, stream_usage=connection.quirks.stream_usage
    )
    path = route.path.replace(MODEL, quote(connection.model.removeprefix("models/")))
    return Outgoing(
        url=f"{connection.base_url.rstrip('/')}{path}{f'?{query}' if query else ''}",
        body=body.with_values(changes),
        asked=asked,
        spoken=asked,
        is_free=route.task != "call",
        hides_usage=hides_usage,
    )


def _count(holder: Pass) -> None:
    """Count a call among those that the turn may make."""
    if holder.policy is None:
        return
    most = holder.policy.limits.max_model_calls
    if holder.calls >= most:
        raise LimitReached(f"the turn made {most} model calls, as many as it may")
    holder.calls += 1


def _to_local(body: Body, asked: Protocols, model: str, url: str) -> Outgoing:
    emulation = emulate(asked, body.with_values({"model": model}))
    if emulation is not None:
        sent = emulation.body
        return Outgoing(url=url, body=sent, asked=asked, spoken="chat", emulation=emulation)
    changes, hides_usage = _changes(body, model, "chat")
    return Outgoing(
        url=url,
        body=body.with_values(changes),
        asked="chat",
        spoken="chat",
        hides_usage=hides_usage,
    )


def _changes(
    body: Body, model: str, protocol: Protocols, *, stream_usage: bool = True
) -> tuple[dict[str, Any], bool]:
    """What is set in a body, and whether the usage in the answer is asked for by us alone."""
    changes: dict[str, Any] = {}
    if protocol == "gemini":  # its model stands in the path
        return changes, False
    if body.values.get("model") != model:
        changes["model"] = model
    if protocol != "chat" or not body.values.get("stream"):
        return changes, False
    options = body.values.get("stream_options")
    options = options if isinstance(options, dict) else {}
    if options.get("include_usage") or not stream_usage:
        return changes, False
    # Budgets and costs count what streams use, whatever the client wants to know.
    changes["stream_options"] = {**options, "include_usage": True}
    return changes, True
