"""A circuit breaker: what keeps calls from a connection that has failed many times in a row."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import anyio

from massgen_bridge.errors import AgentError, error_of_kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from massgen_bridge.connection import BreakerPolicy
    from massgen_bridge.errors import ErrorKind

__all__ = ["Breaker"]

_COUNTED: Final[frozenset[ErrorKind]] = frozenset({"server", "network", "timeout", "truncated"})
# A provider that is too busy for one more call is there, and says nothing of the next one.
_NEUTRAL: Final[frozenset[ErrorKind]] = frozenset({"rate_limit"})


class Breaker:
    """Closed while calls go well; open for a time after many failures in a row.

    When the time is over, one call is let through as a probe: it closes the breaker, or opens it
    again.

    Args:
        name: The connection, for errors.
        policy: After how many failures it opens, and for how long.
        clock: Monotonic time in seconds.

    Attributes:
        openings: How often it has opened so far.
    """

    def __init__(
        self, name: str, policy: BreakerPolicy, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.openings = 0
        self._name = name
        self._policy = policy
        self._clock = clock
        self._failures = 0
        self._until: float | None = None
        self._is_probed = False
        self._last: AgentError | None = None
        self._changed = anyio.Event()

    @property
    def is_closed(self) -> bool:
        """Whether calls go through."""
        return self._until is None

    @property
    def left_s(self) -> float:
        """Seconds until a probe may go; 0 where it may now, or is under way."""
        return 0.0 if self._until is None else max(0.0, self._until - self._clock())

    def probe(self) -> bool:
        """Whether a call may go as the probe of an open breaker; the caller then settles it."""
        if self._until is None or self._is_probed or self.left_s > 0:
            return False
        self._is_probed = True
        return True

    async def wait(self) -> None:
        """Return when a probe may go, or when the one under way has settled it."""
        with anyio.move_on_after(self.left_s or None):
            await self._changed.wait()

    def refusal(self) -> AgentError:
        """Why no call goes through."""
        last = self._last
        assert last is not None  # noqa: S101 - it opens by a failure
        left = self.left_s
        when = f"for another {left:.1f} s" if left else "until the one under way has gone well"
        return error_of_kind(last.kind)(
            f"the connection {self._name!r} has failed {self._failures} times in a row, so that no"
            f" call is made over it {when} (the last failure: {last})",
            agent_id=last.agent_id,
            retry_after_s=left,
        )

    def succeeded(self) -> None:
        """Take note of a call that went well."""
        self._failures = 0
        if self._until is not None:
            self._settle(None)

    def failed(self, error: AgentError, *, probing: bool) -> None:
        """Take note of a call that failed.

        Args:
            error: How.
            probing: Whether it was the probe.
        """
        if error.kind in _NEUTRAL and not probing:
            return
        if error.kind not in _COUNTED:
            # Whatever was wrong with it, the provider is there.
            self.succeeded()
            return
        self._failures += 1
        self._last = error
        is_due = 0 < self._policy.failures <= self._failures
        if probing or (self._until is None and is_due):
            self.openings += 1
            self._settle(self._clock() + self._policy.open_s)

    def give_up(self) -> None:
        """Take note of a probe that was cancelled: the next call is one."""
        self._settle(self._until)

    def _settle(self, until: float | None) -> None:
        self._until = until
        self._is_probed = False
        changed, self._changed = self._changed, anyio.Event()
        changed.set()
