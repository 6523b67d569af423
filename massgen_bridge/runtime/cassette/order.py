"""What ended in a recording ends in its replay in the same order, however fast each thing is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from massgen_bridge.models.tape import Caller

__all__ = ["Order"]

_TICK_S = 0.1
# Where nothing can move any more, the order is given up; where something still works, much later.
_STUCK_S = 0.5
_PATIENCE_S = 30.0


class Order:
    """Lets recorded steps happen one after the other.

    A step waits for all that ended before it. Where that cannot come, because the run goes another
    way than the recorded one, the first step that waits goes on after a moment.
    """

    def __init__(self) -> None:
        self._done: set[int] = set()
        self._next = 0
        self._waiting: dict[int, Caller] = {}
        self._hanging: set[Caller] = set()
        self._turns: set[Caller] = set()
        self._news = anyio.Event()
        self._moved = time.monotonic()

    def started(self, who: Caller) -> None:
        """A turn begins."""
        self._turns.add(who)
        self._move()

    def ended(self, who: Caller) -> None:
        """A turn is over, however."""
        self._turns.discard(who)
        self._hanging.discard(who)
        self._move()

    def hangs(self, who: Caller) -> None:
        """A turn waits for what never came, until it is stopped."""
        self._hanging.add(who)

    async def wait(self, step: int, who: Caller) -> None:
        """Wait until all before a step is done."""
        self._waiting[step] = who
        try:
            while self._next < step and not self._is_stuck(step):
                news = self._news
                with anyio.move_on_after(_TICK_S):
                    await news.wait()
        finally:
            del self._waiting[step]

    def done(self, step: int, *, in_loop: bool = True) -> None:
        """A step has happened; what waits for it learns of it at once only in the event loop."""
        self._done.add(step)
        while self._next in self._done:
            self._next += 1
        if in_loop:
            self._move()
        else:
            self._moved = time.monotonic()

    def _move(self) -> None:
        self._moved = time.monotonic()
        news, self._news = self._news, anyio.Event()
        news.set()

    def _is_stuck(self, step: int) -> bool:
        if step != min(self._waiting):
            return False
        still = time.monotonic() - self._moved
        return still > (_STUCK_S if self._all_wait() else _PATIENCE_S)

    def _all_wait(self) -> bool:
        idle = {*self._waiting.values(), *self._hanging}
        around = {one for one in self._turns if _has_inner(one, self._turns)}
        return self._turns <= idle | around


def _has_inner(who: Caller, turns: set[Caller]) -> bool:
    return any(one.turn.startswith(f"{who.turn}/") for one in turns)
