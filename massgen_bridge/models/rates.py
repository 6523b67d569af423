"""How much goes over a connection within a minute, and how long the next call has to wait."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Charge", "Window"]


@dataclass(slots=True, eq=False)
class Charge:
    """What one call takes of a window: an estimate, until it is corrected."""

    at: float
    amount: int


class Window:
    """At most so much within any span of time.

    A single call that is larger than the whole goes when nothing else is within the span.

    Args:
        most: How much.
        span_s: Length of the span, in seconds.
        clock: Monotonic time in seconds.
    """

    def __init__(
        self, most: int, span_s: float = 60.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._span_s = span_s
        self._clock = clock
        self._charges: deque[Charge] = deque()
        self._total = 0

    def wait_s(self, amount: int) -> float:
        """Seconds until so much more fits; 0 where it does now."""
        now = self._clock()
        while self._charges and self._charges[0].at + self._span_s <= now:
            self._total -= self._charges.popleft().amount
        over = self._total + min(amount, self._most) - self._most
        if over <= 0:
            return 0.0
        for charge in self._charges:
            over -= charge.amount
            if over <= 0:
                return charge.at + self._span_s - now
        return 0.0

    def charge(self, amount: int) -> Charge:
        """Take note of a call that goes now."""
        charge = Charge(at=self._clock(), amount=amount)
        self._charges.append(charge)
        self._total += amount
        return charge

    def correct(self, charge: Charge, amount: int) -> None:
        """Replace the estimate of a call by what it has used."""
        if self._charges and charge.at >= self._charges[0].at:
            self._total += amount - charge.amount
        charge.amount = amount
