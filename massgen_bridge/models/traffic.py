"""What all calls over one connection share: room, rates, pauses and the circuit breaker."""

from __future__ import annotations

import time
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import anyio

from massgen_bridge.connection import BreakerPolicy
from massgen_bridge.errors import RateLimited
from massgen_bridge.messages import MediaPart
from massgen_bridge.models.breaker import Breaker
from massgen_bridge.models.prices import estimate_tokens
from massgen_bridge.models.rates import Charge, Window

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from massgen_bridge.agent import Turn, Usage
    from massgen_bridge.errors import AgentError
    from massgen_bridge.events import WaitReason

    # Told why a call waits, and for how many seconds where that is known.
    Tell = Callable[[WaitReason, float | None], Awaitable[None]]

__all__ = ["Passage", "Patience", "Traffic", "TurnCalls", "counting_calls"]

_MEDIA_TOKENS: Final = 1000
_ANSWER_TOKENS: Final = 700
_UNKNOWN_TOKENS: Final = 1500
# With such a failure the provider may have read and written most of what was asked for.
_COSTLY: Final = frozenset({"timeout", "truncated"})


class TurnCalls:
    """What the next model call of a turn is likely to use, and what those before have used.

    Args:
        turn: The turn.
    """

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._expected: int | None = None
        self._open: list[tuple[Window, Charge]] = []

    def expected(self) -> int:
        """Tokens, of prompt and answer."""
        if self._expected is None:
            parts = [part for message in self._turn.messages for part in message.parts]
            media = sum(isinstance(part, MediaPart) for part in parts)
            text = "".join(message.text for message in self._turn.messages)
            cap = self._turn.limits.max_output_tokens
            answer = _ANSWER_TOKENS if cap is None else min(cap, _ANSWER_TOKENS)
            self._expected = estimate_tokens(text) + media * _MEDIA_TOKENS + answer
        return self._expected

    def charged(self, window: Window, charge: Charge) -> None:
        """Take note of an estimate that is to be corrected."""
        self._open.append((window, charge))

    def refunded(self, charge: Charge) -> None:
        """Take note that nothing is to be corrected."""
        self._open = [one for one in self._open if one[1] is not charge]

    def finished(self, usage: Usage | None) -> None:
        """Correct the estimate of the oldest call by what it has used, where that is known."""
        oldest = self._open.pop(0) if self._open else None
        if usage is None:
            return
        used = usage.input_tokens + usage.output_tokens
        # The next prompt of the turn holds this one and its answer.
        self._expected = used + usage.output_tokens
        if oldest is not None:
            window, charge = oldest
            window.correct(charge, used)


_CALLS: ContextVar[TurnCalls | None] = ContextVar("massgen_bridge_turn_calls", default=None)


@contextmanager
def counting_calls(calls: TurnCalls) -> Iterator[None]:
    """Let model calls be those of a turn."""
    token = _CALLS.set(calls)
    try:
        yield
    finally:
        _CALLS.reset(token)


@dataclass(kw_only=True)
class Patience:
    """How long one model call, with all its attempts, waits for its connection to recover.

    Attributes:
        breaker_s: For an open breaker, once: when the probe fails, the call does.
        provider_s: For the time that the provider has asked for.
        opening: The opening of the breaker that it has waited for.
    """

    breaker_s: float
    provider_s: float
    opening: int | None = None


@dataclass(eq=False, slots=True)
class Passage:
    """One attempt that has been let through.

    Attributes:
        probing: Whether it is the probe of an open breaker.
        charge: The estimate of its tokens.
        calls: The turn that it is of.
    """

    probing: bool = False
    charge: Charge | None = None
    calls: TurnCalls | None = None


@dataclass(eq=False, kw_only=True)
class Traffic:
    """The calls over one connection, of all agents that use it.

    Calls that have to wait go on in the order in which they came.

    Attributes:
        name: The connection.
        max_concurrent: Most calls at the same time; None for no bound.
        requests_per_minute: Most requests within any `span_s`; None for no bound.
        tokens_per_minute: Likewise for tokens.
        breaker_policy: When no calls are made for a time.
        span_s: What counts as a minute, in seconds.
    """

    name: str
    max_concurrent: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    breaker_policy: BreakerPolicy = field(default_factory=BreakerPolicy)
    span_s: float = 60.0

    def __post_init__(self) -> None:
        most = self.max_concurrent
        self._room = None if most is None else anyio.CapacityLimiter(most)
        self._windows: list[tuple[WaitReason, Window]] = []
        self._tokens: Window | None = None
        if self.requests_per_minute is not None:
            self._windows.append(("requests", Window(self.requests_per_minute, self.span_s)))
        if self.tokens_per_minute is not None:
            self._tokens = Window(self.tokens_per_minute, self.span_s)
        self._breaker = Breaker(self.name, self.breaker_policy)
        self._gate = anyio.Lock(fast_acquire=True)
        self._paused_until = 0.0

    async def enter(
        self,
        patience: Patience,
        tell: Tell,
    ) -> Passage:
        """Return when a call may be sent; it then has to `leave`.

        Args:
            patience: Of the call.
            tell: Told why it waits, and for how many seconds where that is known.

        Raises:
            AgentError: The breaker is open, or the provider wants to be left alone for longer
                than the call can wait.
        """
        passage = Passage()
        if self._room is not None:
            try:
                self._room.acquire_on_behalf_of_nowait(passage)
            except anyio.WouldBlock:
                await tell("concurrency", None)
                await self._room.acquire_on_behalf_of(passage)
        try:
            await self._start(passage, patience, tell)
        except BaseException:  # cancelled, too: the room is for the next call
            self.leave(passage)
            raise
        return passage

    def leave(self, passage: Passage) -> None:
        """Make room; a probe of which nothing was told was given up."""
        if passage.probing:
            self._breaker.give_up()
        if self._room is not None:
            self._room.release_on_behalf_of(passage)

    def succeeded(self, passage: Passage) -> None:
        """Take note of an answer."""
        passage.probing = False
        self._breaker.succeeded()

    def failed(self, passage: Passage, error: AgentError) -> None:
        """Take note of a failure; what the provider asks for holds for every call from now on."""
        self._breaker.failed(error, probing=passage.probing)
        passage.probing = False
        if error.retry_after_s is not None and error.kind in {"rate_limit", "server"}:
            self.pause(error.retry_after_s)
        if error.kind not in _COSTLY:
            self._refund(passage)

    def pause(self, seconds: float) -> None:
        """Let no call begin for so long, since the provider wants it so."""
        self._paused_until = max(self._paused_until, time.monotonic() + seconds)

    async def _start(
        self,
        passage: Passage,
        patience: Patience,
        tell: Tell,
    ) -> None:
        while True:
            if not self._breaker.is_closed:
                passage.probing = await self._past_breaker(patience, tell)
            if self._windows or self._tokens or self._paused_until:
                await self._past_gate(passage, patience, tell)
            if passage.probing or self._breaker.is_closed:
                return
            self._refund(passage)  # it has opened meanwhile

    async def _past_breaker(
        self,
        patience: Patience,
        tell: Tell,
    ) -> bool:
        """Whether the call goes as a probe; otherwise the breaker is closed again."""
        breaker = self._breaker
        while not breaker.is_closed:
            if breaker.probe():
                return True
            if patience.opening is None:
                patience.opening = breaker.openings
            left = breaker.left_s
            if patience.opening != breaker.openings or left > patience.breaker_s:
                raise breaker.refusal()
            await tell("breaker", left)
            await breaker.wait()
        return False

    async def _past_gate(
        self,
        passage: Passage,
        patience: Patience,
        tell: Tell,
    ) -> None:
        calls = _CALLS.get()
        expected = calls.expected() if calls else _UNKNOWN_TOKENS
        if self._gate.locked():
            await tell(self._longest(expected)[0], None)
        async with self._gate:
            while True:
                reason, left_s = self._longest(expected)
                if left_s <= 0:
                    break
                if reason == "provider" and left_s > patience.provider_s:
                    raise RateLimited(
                        f"the provider of the connection {self.name!r} asks to wait another"
                        f" {left_s:.0f} s, longer than 'max_retry_after_s' allows:"
                        f" {patience.provider_s:g} s",
                        retry_after_s=left_s,
                    )
                await tell(reason, left_s)
                await anyio.sleep(left_s)
            for _, window in self._windows:
                window.charge(1)
            if self._tokens is not None:
                passage.charge = self._tokens.charge(expected)
                passage.calls = calls
                if calls is not None:
                    calls.charged(self._tokens, passage.charge)

    def _longest(self, expected: int) -> tuple[WaitReason, float]:
        waits: list[tuple[WaitReason, float]] = [
            ("provider", self._paused_until - time.monotonic()),
            *((reason, window.wait_s(1)) for reason, window in self._windows),
        ]
        if self._tokens is not None:
            waits.append(("tokens", self._tokens.wait_s(expected)))
        return max(waits, key=lambda one: one[1])

    def _refund(self, passage: Passage) -> None:
        if passage.charge is None or self._tokens is None:
            return
        self._tokens.correct(passage.charge, 0)
        if passage.calls is not None:
            passage.calls.refunded(passage.charge)
        passage.charge = None
