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
from massgen_bridge.errors import AgentCrashed, AgentError, NotFound
from massgen_bridge.models.gateway.forwarding import Forwarding
from massgen_bridge.models.gateway.outgoing import outgoing_for
from massgen_bridge.models.gateway.passes import Fallback, Pass, Passes, Policy, Reservation
from massgen_bridge.models.gateway.refusals import JSON, refusal
from massgen_bridge.models.gateway.routes import likely_protocol, route_of
from massgen_bridge.models.gateway.server import HttpServer
from massgen_bridge.models.gateway.upstream import Upstream
from massgen_bridge.models.tape import context_without_tape

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from anyio.abc import TaskGroup

    from massgen_bridge.agent import Emit
    from massgen_bridge.connection import Connection, ModelCaller
    from massgen_bridge.models.gateway.outgoing import Outgoing
    from massgen_bridge.models.gateway.routes import Route
    from massgen_bridge.models.gateway.server import Exchange, Request

__all__ = ["Gateway"]

_NAME = "massgen-bridge"
_SETTLING_S = 2.0
_NO_LIMIT_S = 86_400.0
_logger = logging.getLogger("massgen_bridge.models")


class Gateway:
    """A server on this machine that stands between agents and their models.

    Args:
        known: All secrets; takes the tokens that it gives out, and none of them gets into an error.
        tasks: Gives the tasks of what belongs to no turn.
    """

    def __init__(self, known: set[str], tasks: Callable[[], TaskGroup]) -> None:
        self._tasks = tasks
        self._known = known
        self._directs: list[tuple[Connection, Connection]] = []
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
        fallbacks: Sequence[Fallback] = (),
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
            fallbacks: What is asked, in order, where a call has failed for good.
        """
        connection = self._real(connection)
        policy = Policy(
            call_model=call_model, emit=emit, limits=limits or Limits(), fallbacks=fallbacks
        )
        make = partial(
            Pass,
            agent_id=agent_id,
            turn_id=turn_id,
            connection=connection,
            policy=policy,
            reservation=reservation,
        )
        return _Admission(self, make)

    def _real(self, connection: Connection) -> Connection:
        """Where it leads through the gateway itself, what is behind that: one way is enough."""
        return next((real for real, inner in self._directs if inner == connection), connection)

    def reserve(self, agent_id: str) -> Reservation:
        """A token for all turns of an agent, good while one of them is admitted."""
        token = self._passes.new_token()
        reservation = Reservation(agent_id=agent_id, url=self.url, token=token)
        self._passes.issue(token, reservation)
        return reservation

    def direct(self, connection: Connection) -> Connection:
        """A way to the local model for an agent in this process, which has a policy of its own.

        It is good as long as the gateway is: requests are translated, and nothing else is done.

        Args:
            connection: To the local model's server.
        """
        for real, inner in self._directs:
            if real == connection:
                return inner
        token = self._passes.new_token()
        holder = Pass(
            agent_id="",
            turn_id="",
            connection=connection,
            policy=None,
            tasks=self._tasks,
            # What the agent's client sends is on its tape already.
            context=context_without_tape(),
        )
        self._passes.issue(token, holder)
        inner = connection.model_copy(update=self._address(connection, token))
        self._directs.append((connection, inner))
        return inner

    # --- turns -----------------------------------------------------------------------------------

    def open(self, holder: Pass) -> tuple[str, Connection]:
        """Let a turn begin: its token, and the connection that has it."""
        token = self._passes.new_token()
        self._passes.issue(token, holder)
        # The host waits, tries again and keeps the time limits.
        hosts = {
            "retry": RetryPolicy(attempts=1),
            "timeout_s": _NO_LIMIT_S,
            "first_token_timeout_s": None,
            "total_timeout_s": None,
            "fallback": (),
        }
        address = self._address(holder.connection, token)
        return token, holder.connection.model_copy(update=address | hosts)

    def _address(self, connection: Connection, token: str) -> dict[str, Any]:
        return {
            "base_url": self.url
            if connection.protocol in {"gemini", "messages"}
            else f"{self.url}/v1",
            "api_key": SecretStr(token),
            "headers": {},
        }

    def close(self, token: str, holder: Pass) -> None:
        """Let a turn be over."""
        self._passes.end(token, holder)
        self._server.close_of(holder)

    # --- requests --------------------------------------------------------------------------------

    def check(self, request: Request) -> tuple[int, bytes] | None:
        """Why a request is refused before its body is kept; None where it is not."""
        try:
            self._passes.find(request.token)
            _route(request)
        except AgentError as error:
            return refusal(likely_protocol(request), error)
        return None

    def respond(self, exchange: Exchange) -> None:
        """Answer a request in a task of the turn that it belongs to."""
        request = exchange.request
        protocol = likely_protocol(request)
        try:
            route = _route(request)
            protocol = route.protocol or protocol
            holder = self._passes.find(request.token)
            if route.task in {"model", "models"}:
                form = _gemini_models if protocol == "gemini" else _models
                body = form(holder.connection, one=route.task == "model")
                exchange.answer(200, JSON, body)
                return
            outgoing = outgoing_for(request, route, holder)
        except AgentError as error:
            status, body = refusal(protocol, error)
            exchange.answer(status, JSON, body)
            return
        exchange.owner = holder
        holder.start(partial(self._serve, exchange, holder, route, outgoing))

    async def _serve(
        self, exchange: Exchange, holder: Pass, route: Route, outgoing: Outgoing
    ) -> None:
        async def reroute(fallback: Fallback) -> tuple[Connection, Outgoing]:
            connection = self._real(await fallback.connect())
            return connection, outgoing_for(exchange.request, route, holder, instead=connection)

        forwarding = Forwarding(
            exchange, holder, outgoing, self._upstream, self._known, reroute=reroute
        )
        with anyio.CancelScope() as scope:
            exchange.on_gone = scope.cancel
            if exchange.is_gone:
                return
            try:
                await forwarding.make()
            except anyio.get_cancelled_exc_class():
                with anyio.move_on_after(_SETTLING_S, shield=True):
                    await forwarding.settle()
                raise
            except Exception as error:  # a mistake of ours costs this call, and not the run
                _logger.exception(
                    "the gateway could not pass on a model call of agent %r in turn %r",
                    holder.agent_id,
                    holder.turn_id,
                )
                if exchange.has_begun:
                    exchange.break_off()
                else:
                    crashed = AgentCrashed(f"the gateway failed: {type(error).__name__}")
                    status, body = refusal(outgoing.asked, crashed)
                    exchange.answer(status, JSON, body)


class _Admission:
    """A turn that is admitted; an async context manager."""

    def __init__(self, gateway: Gateway, make: Callable[..., Pass]) -> None:
        self._gateway = gateway
        self._make = make
        self._holder: Pass | None = None
        self._token = ""
        self._tasks: TaskGroup | None = None

    async def __aenter__(self) -> Connection:
        tasks = self._tasks = await anyio.create_task_group().__aenter__()
        self._holder = self._make(tasks=lambda: tasks, context=copy_context())
        self._token, inner = self._gateway.open(self._holder)
        return inner

    async def __aexit__(self, *_error: object) -> None:
        assert self._holder is not None  # noqa: S101 - entered before
        assert self._tasks is not None  # noqa: S101 - likewise
        self._gateway.close(self._token, self._holder)
        self._tasks.cancel_scope.cancel()
        # Without the error: a task group would wrap it into a group of its own.
        await self._tasks.__aexit__(None, None, None)


def _route(request: Request) -> Route:
    route = route_of(request)
    if route is None:
        raise NotFound(
            f"the gateway has no {request.method} {request.path!r}: expected POST "
            "/v1/chat/completions, /v1/responses, /v1/messages or "
            "/v1beta/models/MODEL:streamGenerateContent, or GET /v1/models"
        )
    return route


def _gemini_models(connection: Connection, *, one: bool) -> bytes:
    """The same in the form that clients of Gemini understand."""
    model = {
        "name": f"models/{connection.model}",
        "displayName": connection.model,
        "supportedGenerationMethods": ["generateContent"],
    }
    return json.dumps(model if one else {"models": [model]}).encode()


def _models(connection: Connection, *, one: bool) -> bytes:
    """The models that there are, or the one, in a form that both families of clients understand."""
    model = {
        "id": connection.model,
        "object": "model",
        "created": 0,
        "owned_by": _NAME,
        "type": "model",
        "display_name": connection.model,
        "created_at": "1970-01-01T00:00:00Z",
    }
    if one:
        return json.dumps(model).encode()
    listing = {
        "object": "list",
        "data": [model],
        "has_more": False,
        "first_id": connection.model,
        "last_id": connection.model,
    }
    return json.dumps(listing).encode()
