"""The one retry policy around model calls."""

from __future__ import annotations

import math
import random
import re
import time
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final, TypeVar

import anyio

from massgen_bridge.errors import AgentError, error_of_kind
from massgen_bridge.events import ModelCallStarted, ModelRetried, ModelWaiting
from massgen_bridge.models.traffic import Patience
from massgen_bridge.models.watching import CallWatch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from massgen_bridge.agent import Emit
    from massgen_bridge.connection import Connection, RetryPolicy
    from massgen_bridge.events import WaitReason
    from massgen_bridge.models.traffic import Passage, Traffic

__all__ = ["ModelCalls", "retry_after_s"]

T = TypeVar("T")

_MOST_DOUBLINGS: Final = 64
# The standard knows whole seconds only; providers send fractions too.
_SECONDS: Final = re.compile(r"[0-9]+(\.[0-9]+)?")


class ModelCalls:
    """Makes the model calls of one connection; a `ModelCaller`.

    A call that failed in a way that may pass is made again: after the time that the provider
    asked for, or after a random share of a wait that doubles each time, so that agents that
    failed together do not come back together.

    Args:
        connection: Gives the model's name, the retry policy and the time limits.
        traffic: What all calls over the connection share; None for nothing. A call that waits for
            its next attempt takes none of its room.
        waits: Whether there is a wait before the next attempt, and a limit of time.
        has_fallback: Whether another connection takes over what fails here: then a call does not
            wait for this one to recover when it is known to be down.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        traffic: Traffic | None = None,
        waits: bool = True,
        has_fallback: bool = False,
    ) -> None:
        self._waits = waits
        self._policy = connection.retry
        self._traffic = traffic
        self._has_fallback = has_fallback
        self._connection = connection
        self._started = ModelCallStarted(model=connection.model)

    async def __call__(self, attempt: Callable[[], Awaitable[T]], emit: Emit) -> T:
        """Make a model call, again if it failed in a way that may pass.

        Args:
            attempt: Sends one request, with the SDK's own retries off.
            emit: Takes `ModelCallStarted` before each attempt, `ModelRetried` before each wait
                after a failure, `ModelWaiting` before any other wait.

        Raises:
            AgentError: The last attempt's error, or the first that is not retryable or asks for
                too long a wait; or what keeps the call from being made.
        """
        number = 1
        patience = Patience(
            breaker_s=-1.0 if self._has_fallback else self._policy.max_s,
            provider_s=self._policy.max_retry_after_s,
        )
        while True:
            watch = CallWatch(self._connection, self._pause) if self._waits else None
            passage = await self._enter(patience, emit)
            try:
                await emit(self._started)
                try:
                    answer = await (watch.call(attempt) if watch else attempt())
                except AgentError as error:
                    if self._traffic is not None and passage is not None:
                        self._traffic.failed(passage, error)
                    passed_on = watch is not None and watch.is_passed_on
                    if passed_on or not error.retryable or number >= self._policy.attempts:
                        raise
                    retried = _retried(error, number, self._policy)
                else:
                    if self._traffic is not None and passage is not None:
                        self._traffic.succeeded(passage)
                    return answer
            finally:
                if self._traffic is not None and passage is not None:
                    self._traffic.leave(passage)
            await emit(retried)
            await anyio.sleep(retried.delay_s if self._waits else 0)
            number += 1

    def _pause(self, seconds: float) -> None:
        """Heed a quota that is used up; the provider has refused nothing yet, so no call fails."""
        if self._traffic is not None and seconds <= self._policy.max_retry_after_s:
            self._traffic.pause(seconds)

    async def _enter(self, patience: Patience, emit: Emit) -> Passage | None:
        if self._traffic is None:
            return None

        async def tell(reason: WaitReason, delay_s: float | None) -> None:
            model = self._connection.model
            await emit(ModelWaiting(model=model, reason=reason, delay_s=delay_s))

        return await self._traffic.enter(patience, tell)


def _retried(error: AgentError, number: int, policy: RetryPolicy) -> ModelRetried:
    asked = error.retry_after_s
    if asked is not None and asked > policy.max_retry_after_s:
        raise error_of_kind(error.kind)(
            f"{error} (the provider asks to wait {asked:g} s, longer than 'max_retry_after_s' "
            f"allows: {policy.max_retry_after_s:g} s)",
            agent_id=error.agent_id,
            retry_after_s=asked,
        ) from error
    chance = random.random()  # noqa: S311 - spreads waits, keeps no secret
    if asked is None:
        ceiling = min(policy.max_s, policy.base_s * 2.0 ** min(number - 1, _MOST_DOUBLINGS))
        delay = chance * ceiling
    else:
        # Never sooner than asked, and not all at the same moment.
        delay = max(asked, 0.0) + chance * policy.base_s
    return ModelRetried(attempt=number, delay_s=delay, kind=error.kind, message=str(error))


def retry_after_s(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds that a provider asks to wait before the next try.

    Args:
        headers: The headers of its answer, found in any case of letters. `retry-after-ms` counts
            before `retry-after`, which holds seconds or an HTTP date.
        now: The present, as Unix time in seconds; the clock's by default.

    Returns:
        Seconds, 0 for a date that has passed; None if they say nothing that can be understood.
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    milliseconds = _number(lowered.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    value = lowered.get("retry-after", "")
    seconds = _number(value)
    if seconds is not None or _SECONDS.fullmatch(value.strip()):
        return seconds
    return _seconds_until(value, time.time() if now is None else now)


def _number(value: str) -> float | None:
    if not _SECONDS.fullmatch(value.strip()):
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def _seconds_until(date: str, now: float) -> float | None:
    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        # HTTP dates are in GMT, whatever else they say or leave out.
        moment = moment.replace(tzinfo=UTC)
    try:
        return max(0.0, moment.timestamp() - now)
    except (OverflowError, ValueError):
        return None
