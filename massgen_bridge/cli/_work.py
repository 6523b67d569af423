"""Work in an event loop that signals end: the first one by cancelling, the second one at once."""

from __future__ import annotations

import gc
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

import anyio
from anyio.lowlevel import current_token

from massgen_bridge.cli._output import Stopped
from massgen_bridge.cli._process import end
from massgen_bridge.cli._terminal import give_back

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Iterator
    from types import FrameType

__all__ = ["Stop", "work"]

T = TypeVar("T")

_PATIENCE_S = 1.5
_SIGNALS = [signal.SIGINT, signal.SIGTERM]


class Stop:
    """Stops the work, from any thread or signal handler; the first reason counts."""

    def __init__(self, loop: asyncio.AbstractEventLoop, scope: anyio.CancelScope) -> None:
        self.code: int | None = None
        self._loop = loop
        self._scope = scope

    def __call__(self, code: int) -> None:
        """Cancel the work."""
        if self.code is None:
            self.code = code
            with suppress(RuntimeError):  # the loop is closed: there is nothing left to stop
                self._loop.call_soon_threadsafe(self._scope.cancel)


def work(job: Callable[[Stop], Awaitable[T]]) -> T:
    """Do a job in an event loop.

    Raises:
        Stopped: SIGINT, SIGTERM or the job itself stopped it; what it held is given back.
    """
    # What was imported for the job stays until its end: the collector need not look at it.
    # Done once: what earlier work left behind is not to stay as well.
    if not gc.get_freeze_count():
        gc.freeze()
    gc.enable()
    try:
        return anyio.run(_watched, job)
    except BaseExceptionGroup as group:
        raise _first(group) from group


async def _watched(job: Callable[[Stop], Awaitable[T]]) -> T:
    with anyio.CancelScope() as scope:
        stop = Stop(current_token().native_token, scope)  # type: ignore[arg-type]  # asyncio's
        with _signals_to(stop):
            try:
                return await job(stop)
            except Exception as error:  # what fails while it is being stopped was stopped
                if stop.code is None:
                    raise
                raise Stopped(stop.code) from error
    raise Stopped(stop.code or 1)


@contextmanager
def _signals_to(stop: Stop) -> Iterator[None]:
    def handle(number: int, frame: FrameType | None) -> None:
        del frame
        if stop.code is not None:
            _show_cursor()
            give_back()
            end(128 + number, at_once=True)
        stop(128 + number)
        hint.start()

    hint = threading.Timer(_PATIENCE_S, _say_how_to_leave)
    hint.daemon = True
    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield
    finally:
        hint.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)


def _say_how_to_leave() -> None:
    sys.stderr.write("Ending the run; press Ctrl-C again to leave at once.\n")
    sys.stderr.flush()


def _show_cursor() -> None:
    """Undo what a live display may have done to the terminal."""
    if sys.stderr.isatty():
        sys.stderr.write("\x1b[?25h\n")


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error in a group of groups; the others are there for --debug."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
