"""One request of a client, passed on to the model, and the answer passed back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import anyio

from massgen_bridge.errors import AgentError, ProtocolFailed, Truncated
from massgen_bridge.events import LogLine, ModelCallFinished, ModelRetried
from massgen_bridge.models.gateway.accounting import StreamWatch, usage_of
from massgen_bridge.models.gateway.bodies import read_body
from massgen_bridge.models.gateway.refusals import JSON, error_event, refusal
from massgen_bridge.models.gateway.rerouting import lacking_for
from massgen_bridge.models.gateway.upstream import headers_to_client, headers_to_model
from massgen_bridge.models.sdk_errors import model_call_error, refused_call_error
from massgen_bridge.models.watching import current_watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Callable, Collection

    import httpx2

    from massgen_bridge.agent import Usage
    from massgen_bridge.connection import Connection
    from massgen_bridge.errors import ErrorKind
    from massgen_bridge.models.gateway.outgoing import Outgoing, Passing
    from massgen_bridge.models.gateway.passes import Fallback, Pass, Policy
    from massgen_bridge.models.gateway.server import Exchange
    from massgen_bridge.models.gateway.upstream import Upstream

__all__ = ["MENDABLE", "Forwarding"]

MENDABLE: Final[frozenset[ErrorKind]] = frozenset(
    {
        "auth",
        "network",
        "not_found",
        "permission",
        "protocol",
        "rate_limit",
        "server",
        "timeout",
        "truncated",
    }
)
"""The kinds of failures that another connection may not have."""

_REFUSED: Final = 300
_CLOSING_S: Final = 2.0
_SDK: Final = "httpx2"
_MASK: Final = b"[secret]"
_SHORTEST_SECRET: Final = 6


@dataclass(frozen=True, slots=True)
class _Refused:
    """What the model's side answered instead of an answer, and the error that stands for it."""

    error: AgentError
    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Forwarding:
    """Makes one model call for a client, under the policy of its turn.

    Args:
        exchange: The client's request.
        holder: The turn.
        outgoing: What goes to the model.
        upstream: Has the clients.
        secrets: What no error may tell the client.
        reroute: The connection of a fallback, and what goes to it.
    """

    def __init__(
        self,
        exchange: Exchange,
        holder: Pass,
        outgoing: Outgoing,
        upstream: Upstream,
        secrets: Collection[str],
        *,
        reroute: Callable[[Fallback], Awaitable[tuple[Connection, Outgoing]]],
    ) -> None:
        self._reroute = reroute
        key = holder.connection.api_key
        own = key.get_secret_value() if key else ""
        self._secrets = [one for one in {own, *secrets} if len(one) >= _SHORTEST_SECRET]
        self._exchange = exchange
        self._pass = holder
        self._policy = None if outgoing.is_free else holder.policy
        self._connection = holder.connection
        self._outgoing = outgoing
        self._upstream = upstream
        self._where = _where(self._connection)
        self._watch = StreamWatch(self._outgoing.spoken)
        self._refused: _Refused | None = None
        self._is_told = False

    async def make(self) -> None:
        """Make the call, and answer the client."""
        try:
            if self._policy is None:
                await self._attempt()
            else:
                await self._call(self._policy)
        except AgentError as error:
            if not self._exchange.has_begun:
                self._refuse(error)
                return
            # A time limit has passed in the middle of the stream.
            await self._exchange.write(self._masked(error_event(self._outgoing.asked, error)))
            self._exchange.break_off()

    async def _call(self, policy: Policy) -> None:
        call_model, left = policy.call_model, list(policy.fallbacks)
        while True:
            try:
                await call_model(self._attempt, policy.emit)
            except AgentError as error:
                if self._exchange.has_begun or error.kind not in MENDABLE:
                    raise
                fallback = await self._able(left, policy)
                if fallback is None:
                    raise
                await policy.emit(
                    ModelRetried(
                        attempt=1,
                        delay_s=0,
                        kind=error.kind,
                        message=str(error),
                        fallback=fallback.name,
                    )
                )
            else:
                return
            self._connection, self._outgoing = await self._reroute(fallback)
            self._where = _where(self._connection)
            call_model = fallback.call_model

    async def _able(self, left: list[Fallback], policy: Policy) -> Fallback | None:
        """The next fallback whose model can do what the request needs; those before are over."""
        while left:
            fallback = left.pop(0)
            lacking = lacking_for(read_body(self._exchange.request.body).values, fallback.traits)
            if not lacking:
                return fallback
            told = f"the fallback {fallback.name!r} is not asked: its model takes no "
            await policy.emit(LogLine(stream="log", text=told + ", ".join(lacking)))
        return None

    async def settle(self) -> None:
        """Account for a whole answer of which the client did not want to hear the very end."""
        if self._watch.is_whole:
            await self._tell(self._watch.usage)

    async def _attempt(self) -> None:
        self._refused = None
        self._watch = StreamWatch(self._outgoing.spoken)
        try:
            await self._ask()
        except AgentError:
            raise
        except Exception as error:  # the HTTP library's
            raise self._error(error) from error

    async def _ask(self) -> None:
        connection, outgoing = self._connection, self._outgoing
        client = await self._upstream.client(self._pass.agent_id, connection)
        request = client.build_request(
            "POST",
            outgoing.url,
            content=outgoing.body,
            headers=headers_to_model(self._exchange.request.headers, connection),
        )
        response = await client.send(request, stream=True)
        try:
            if response.status_code >= _REFUSED:
                await self._take_refusal(response)
            elif "event-stream" in response.headers.get("content-type", ""):
                await self._stream(response)
            else:
                await self._whole(response)
        finally:
            with anyio.move_on_after(_CLOSING_S, shield=True):
                await response.aclose()

    # --- what came back --------------------------------------------------------------------------

    async def _take_refusal(self, response: httpx2.Response) -> None:
        body = await response.aread()
        raise self._refusal(response, body, _parsed(body), response.status_code)

    async def _whole(self, response: httpx2.Response) -> None:
        """An answer in one piece; nothing of it is passed on before all of it is there."""
        body = await response.aread()
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise ProtocolFailed(f"{self._where}: the answer is no JSON: {error}") from error
        passing = self._outgoing.passing()
        told = passing.feed(body) + passing.end()
        await self._tell(usage_of(self._outgoing.spoken, answer))
        headers = headers_to_client(response.headers.multi_items())
        self._exchange.answer(response.status_code, headers, told)

    async def _stream(self, response: httpx2.Response) -> None:
        """Events, each passed on as it comes; an end that is none is made visible as such."""
        watch, exchange = self._watch, self._exchange
        passing = self._outgoing.passing()
        broken: AgentError | None = None
        try:
            await self._copy(response, passing)
        except Exception as error:  # the HTTP library's, and our own
            if not exchange.has_begun:
                raise
            broken = self._error(error)
        if watch.is_whole or watch.is_over:
            rest = passing.end()
            await self._tell(watch.usage)
            self._begin(response)
            await exchange.write(rest)
            exchange.end()
            return
        broken = broken or Truncated(
            f"{self._where}: the stream ended without its end marker", agent_id=self._pass.agent_id
        )
        if not exchange.has_begun:
            raise broken
        # Nothing can be tried again any more, and nobody is to take what came for an answer.
        rest = passing.end()
        await exchange.write(rest)
        if watch.failure is None and not rest and not watch.is_within_event:
            await exchange.write(self._masked(error_event(self._outgoing.asked, broken)))
        exchange.break_off()

    async def _copy(self, response: httpx2.Response, passing: Passing) -> None:
        watch, exchange = self._watch, self._exchange
        # Nothing is encoded as a rule; the shorter way spares half of the time that a piece takes.
        is_plain = "content-encoding" not in response.headers
        pieces = cast("AsyncIterable[bytes]", response.stream)
        async for data in pieces if is_plain else response.aiter_bytes():
            watch.feed(data)
            if watch.failure is not None and not exchange.has_begun:
                raise self._refusal(response, data, watch.failure, None)
            told = passing.feed(data)
            if watch.is_over:
                await self._tell(watch.usage)
            if told:
                self._begin(response)
                await exchange.write(told)

    def _begin(self, response: httpx2.Response) -> None:
        if not self._exchange.has_begun:
            headers = headers_to_client(response.headers.multi_items())
            self._exchange.begin(response.status_code, headers)
            watch = current_watch()
            if watch is not None:
                watch.is_passed_on = True

    async def _tell(self, usage: Usage | None) -> None:
        """Account for the call; before its last bytes go out, for with those the turn may end."""
        if self._is_told or self._policy is None:
            return
        self._is_told = True
        connection = self._connection
        fallback = None if connection is self._pass.connection else connection.name
        await self._policy.emit(
            ModelCallFinished(model=connection.model, usage=usage, fallback=fallback)
        )

    # --- what went wrong -------------------------------------------------------------------------

    def _error(self, error: Exception) -> AgentError:
        if isinstance(error, AgentError):
            return error
        return model_call_error(error, where=self._where, agent_id=self._pass.agent_id, sdk=_SDK)

    def _refusal(
        self, response: httpx2.Response, body: bytes, said: Any, status: int | None
    ) -> AgentError:
        error = refused_call_error(
            status, response.headers, said, where=self._where, agent_id=self._pass.agent_id
        )
        headers = headers_to_client(response.headers.multi_items())
        self._refused = _Refused(error, response.status_code, headers, body)
        return error

    def _refuse(self, error: AgentError) -> None:
        """Tell the client of the last failure: in the provider's own words where it had some."""
        refused, exchange = self._refused, self._exchange
        is_own_form = self._outgoing.asked == self._outgoing.spoken
        if self._connection is not self._pass.connection:
            is_own_form = False  # the client takes them for those of its own connection
        if refused is not None and is_own_form and refused.error in {error, error.__cause__}:
            exchange.answer(refused.status, refused.headers, self._masked(refused.body))
            return
        status, body = refusal(self._outgoing.asked, error)
        exchange.answer(status, JSON, self._masked(body))

    def _masked(self, data: bytes) -> bytes:
        for secret in self._secrets:
            data = data.replace(secret.encode(), _MASK)
        return data


def _where(connection: Connection) -> str:
    return f"{connection.name!r} (model {connection.model!r})"


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")
