"""Cancellation as frameworks can bear it that make tasks of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio

from massgen_bridge.errors import AgentCrashed

__all__ = ["cancelled_once"]

T = TypeVar("T")


class _Child(Generic[T]):
    """Runs in a task of its own, out of reach of the cancel scopes around it."""

    def __init__(self, run: Callable[[], Awaitable[T]]) -> None:
        self._run = run
        self._task: asyncio.Task[object] | None = None
        self._stopped = False
        self.finished = anyio.Event()
        self.results: list[T] = []
        self.error: Exception | None = None

    async def __call__(self) -> None:
        with anyio.CancelScope(shield=True):
            if self._stopped:
                return
            self._task = asyncio.current_task()
            try:
                self.results.append(await self._run())
            except Exception as error:  # noqa: BLE001 - raised again, in the parent's task
                self.error = error
            finally:
                self._task = None  # it will hold the traceback, which holds what is to be closed
                self.finished.set()

    def stop(self) -> None:
        self._stopped = True
        if self._task is not None:
            self._task.cancel()


async def cancelled_once(run: Callable[[], Awaitable[T]]) -> T:
    """Run something that must be told only once that it is cancelled, and wait for its end.

    A cancel scope cancels again and again until its task has left. A framework that hands its work
    or its clean-up to a task of its own, and awaits that, would be cancelled in the middle of the
    clean-up, and what it started would run on.

    Args:
        run: Makes what is to be awaited; its error comes out as it is.

    Raises:
        AgentCrashed: It ended by a cancellation that nobody asked for.
    """
    child = _Child(run)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(child)
        try:
            await child.finished.wait()
        except anyio.get_cancelled_exc_class():
            child.stop()
            raise
    if child.error is not None:
        raise child.error
    if not child.results:
        raise AgentCrashed("the framework cancelled itself")
    return child.results[0]
