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
from massgen_bridge.events import ModelCallStarted, ModelRetried

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from massgen_bridge.agent import Emit
    from massgen_bridge.connection import Connection, RetryPolicy

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
        connection: Gives the model's name and the retry policy.
        limiter: Bounds the calls that run at the same time; None for no bound. It is not held
            while a call waits for its next attempt.
        waits: Whether there is a wait before the next attempt.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        limiter: anyio.CapacityLimiter | None = None,
        waits: bool = True,
    ) -> None:
        self._waits = waits
        self._policy = connection.retry
        self._limiter = limiter
        self._started = ModelCallStarted(model=connection.model)

    async def __call__(self, attempt: Callable[[], Awaitable[T]], emit: Emit) -> T:
        """Make a model call, again if it failed in a way that may pass.

        Args:
            attempt: Sends one request, with the SDK's own retries off.
            emit: Takes `ModelCallStarted` before each attempt, `ModelRetried` before each wait.

        Raises:
            AgentError: The last attempt's error, or the first that is not retryable or asks for
                too long a wait.
        """
        number = 1
        while True:
            try:
                return await self._once(attempt, emit)
            except AgentError as error:
                if not error.retryable or number >= self._policy.attempts:
                    raise
                retried = _retried(error, number, self._policy)
            await emit(retried)
            await anyio.sleep(retried.delay_s if self._waits else 0)
            number += 1

    async def _once(self, attempt: Callable[[], Awaitable[T]], emit: Emit) -> T:
        if self._limiter is None:
            await emit(self._started)
            return await attempt()
        async with self._limiter:
            await emit(self._started)
            return await attempt()


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
