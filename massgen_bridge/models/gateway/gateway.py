"""The gateway of one run: turns are admitted to it, and shut off when they end."""

from __future__ import annotations

import json
import logging
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
from pydantic import SecretStr

from massgen_bridge.agent import Limits
from massgen_bridge.connection import RetryPolicy
from massgen_bridge.errors import (
    AgentCrashed,
    AgentError,
    BadRequest,
    LimitReached,
    NotFound,
)
from massgen_bridge.models.gateway.bodies import read_body
from massgen_bridge.models.gateway.forwarding import Forwarding, Outgoing
from massgen_bridge.models.gateway.passes import Pass, Passes, Policy, Reservation
from massgen_bridge.models.gateway.refusals import JSON, refusal
from massgen_bridge.models.gateway.routes import likely_protocol, route_of
from massgen_bridge.models.gateway.server import HttpServer
from massgen_bridge.models.gateway.upstream import Upstream

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from massgen_bridge.agent import Emit
    from massgen_bridge.connection import Connection, ModelCaller
    from massgen_bridge.models.gateway.bodies import Body
    from massgen_bridge.models.gateway.routes import Route
    from massgen_bridge.models.gateway.server import Exchange, Request

__all__ = ["Gateway"]

_NAME = "massgen-bridge"
_logger = logging.getLogger("massgen_bridge.models")


class Gateway:
    """A server on this machine that stands between agents and their models.

    Args:
        known: Takes the tokens that it gives out: they are secrets.
    """

    def __init__(self, known: set[str]) -> None:
        self._passes = Passes(known)
        self._upstream = Upstream()
        self._server = HttpServer(self)

    async def start(self) -> None:
        """Begin to listen, in the event loop of the run."""
        await self._server.start()

    async def aclose(self) -> None:
        """Listen no more, cut every connection and give back the clients."""
        await self._server.aclose()
        await self._upstream.aclose()

    @property
    def url(self) -> str:
        """Where it is, without a path."""
        return f"http://127.0.0.1:{self._server.port}"

    def admit(
        self,
        *,
        agent_id: str,
        turn_id: str,
        connection: Connection,
        call_model: ModelCaller,
        emit: Emit,
        limits: Limits | None = None,
        reservation: Reservation | None = None,
    ) -> _Admission:
        """Let one turn ask its model, as long as the context lasts; it gives the turn's connection.

        When the context is left, its token is refused, its requests are given up, and what was
        open is closed, on both sides.

        Args:
            agent_id: The agent.
            turn_id: The turn.
            connection: The agent's real connection.
            call_model: The retry policy for it.
            emit: Takes the events of the model calls; what it raises refuses the call.
            limits: Of the turn; `max_model_calls` counts.
            reservation: The one whose token is to be good for this turn; by default any of the
                agent's.
        """
        del turn_id
        policy = Policy(call_model=call_model, emit=emit, limits=limits or Limits())
        return _Admission(self, agent_id, connection, policy, reservation)

    def reserve(self, agent_id: str) -> Reservation:
        """A token for all turns of an agent, good while one of them is admitted."""
        token = self._passes.new_token()
        reservation = Reservation(agent_id=agent_id, url=self.url, token=token)
        self._passes.issue(token, reservation)
        return reservation

    # --- turns -----------------------------------------------------------------------------------

    def open(self, holder: Pass) -> tuple[str, Connection]:
        """Let a turn begin: its token, and the connection that has it."""
        token = self._passes.new_token()
        self._passes.issue(token, holder)
        real = holder.connection
        inner = real.model_copy(
            update={
                "base_url": self.url if real.protocol == "messages" else f"{self.url}/v1",
                "api_key": SecretStr(token),
                "headers": {},
                "retry": RetryPolicy(attempts=1),
            }
        )
        return token, inner

    def close(self, token: str, holder: Pass) -> None:
        """Let a turn be over."""
        self._passes.end(token, holder)
        self._server.close_of(holder)

    # --- requests --------------------------------------------------------------------------------

    def check(self, request: Request) -> tuple[int, bytes] | None:
        """Why a request is refused before its body is kept; None where it is not."""
        try:
            holder = self._passes.find(request.token)
            if route_of(request) is None:
                raise NotFound(
                    f"the gateway has no {request.method} {request.path!r}: expected POST "
                    "/v1/chat/completions, /v1/responses or /v1/messages, or GET /v1/models"
                )
        except AgentError as error:
            return refusal(likely_protocol(request), error)
        del holder
        return None

    def respond(self, exchange: Exchange) -> None:
        """Answer a request in a task of the turn that it belongs to."""
        request = exchange.request
        protocol = likely_protocol(request)
        route = route_of(request)
        try:
            if route is None:
                raise NotFound(f"the gateway has no {request.method} {request.path!r}")
            protocol = route.protocol or protocol
            holder = self._passes.find(request.token)
            if route.task == "models":
                exchange.answer(200, JSON, _models(holder.connection))
                return
            outgoing = _outgoing(request, route, holder)
        except AgentError as error:
            status, body = refusal(protocol, error)
            exchange.answer(status, JSON, body)
            return
        exchange.owner = holder
        holder.start(partial(self._serve, exchange, holder, outgoing))

    async def _serve(self, exchange: Exchange, holder: Pass, outgoing: Outgoing) -> None:
        forwarding = Forwarding(exchange, holder, outgoing, self._upstream)
        with anyio.CancelScope() as scope:
            exchange.on_gone = scope.cancel
            if exchange.is_gone:
                return
            try:
                await forwarding.make()
            except Exception as error:  # a mistake of ours costs this call, and not the run
                _logger.exception("the gateway could not pass on a model call")
                if exchange.has_begun:
                    exchange.break_off()
                else:
                    crashed = AgentCrashed(f"the gateway failed: {type(error).__name__}")
                    status, body = refusal(outgoing.asked, crashed)
                    exchange.answer(status, JSON, body)
        if scope.cancelled_caught:
            await forwarding.settle()


class _Admission:
    """A turn that is admitted; an async context manager."""

    def __init__(
        self,
        gateway: Gateway,
        agent_id: str,
        connection: Connection,
        policy: Policy,
        reservation: Reservation | None,
    ) -> None:
        self._gateway = gateway
        self._made = agent_id, connection, policy, reservation
        self._holder: Pass | None = None
        self._token = ""
        self._tasks: TaskGroup | None = None

    async def __aenter__(self) -> Connection:
        agent_id, connection, policy, reservation = self._made
        self._tasks = await anyio.create_task_group().__aenter__()
        self._holder = Pass(
            agent_id=agent_id,
            connection=connection,
            policy=policy,
            tasks=self._tasks,
            context=copy_context(),
            reservation=reservation,
        )
        self._token, inner = self._gateway.open(self._holder)
        return inner

    async def __aexit__(self, *_error: object) -> None:
        assert self._holder is not None  # noqa: S101 - entered before
        assert self._tasks is not None  # noqa: S101 - likewise
        self._gateway.close(self._token, self._holder)
        self._tasks.cancel_scope.cancel()
        # Without the error: a task group would wrap it into a group of its own.
        await self._tasks.__aexit__(None, None, None)


def _outgoing(request: Request, route: Route, holder: Pass) -> Outgoing:
    """What goes to the model for a request.

    Raises:
        AgentError: The request cannot be passed on; the text says why.
    """
    connection = holder.connection
    asked = route.protocol or connection.protocol
    if asked != connection.protocol:
        raise BadRequest(
            f"this client speaks {asked!r}, but the connection {connection.name!r} of agent "
            f"{holder.agent_id!r} offers {connection.protocol!r}: give the agent a model with a "
            f"connection that offers {asked!r}, or let its client speak {connection.protocol!r}"
        )
    try:
        body = read_body(request.body)
    except ValueError as error:
        raise BadRequest(f"the body is no JSON object: {error}") from error
    if route.task == "call" and holder.policy is not None:
        most = holder.policy.limits.max_model_calls
        if holder.calls >= most:
            raise LimitReached(f"the turn made {most} model calls, as many as it may")
        holder.calls += 1
    changes, hides_usage = _changes(body, connection)
    return Outgoing(
        path=route.path,
        query=request.query,
        body=body.with_values(changes) if changes else request.body,
        asked=asked,
        is_free=route.task != "call",
        hides_usage=hides_usage,
    )


def _changes(body: Body, connection: Connection) -> tuple[dict[str, Any], bool]:
    """What is set in a body, and whether the usage in the answer was asked for by us alone."""
    changes: dict[str, Any] = {}
    if body.values.get("model") != connection.model:
        changes["model"] = connection.model
    if connection.protocol != "chat" or not body.values.get("stream"):
        return changes, False
    options = body.values.get("stream_options")
    options = options if isinstance(options, dict) else {}
    if options.get("include_usage"):
        return changes, False
    # Budgets and costs count what streams use, whatever the client wants to know.
    changes["stream_options"] = {**options, "include_usage": True}
    return changes, True


def _models(connection: Connection) -> bytes:
    """The list of models in a form that both families of clients understand."""
    model = {
        "id": connection.model,
        "object": "model",
        "created": 0,
        "owned_by": _NAME,
        "type": "model",
        "display_name": connection.model,
        "created_at": "1970-01-01T00:00:00Z",
    }
    listing = {
        "object": "list",
        "data": [model],
        "has_more": False,
        "first_id": connection.model,
        "last_id": connection.model,
    }
    return json.dumps(listing).encode()
