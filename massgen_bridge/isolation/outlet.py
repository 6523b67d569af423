"""How a turn in a worker tells what happens."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, get_args

import anyio
from pydantic_core import PydanticSerializationError

from massgen_bridge.errors import AgentCrashed
from massgen_bridge.events import (
    ModelCallFinished,
    ModelCallStarted,
    ReasoningDelta,
    TextDelta,
    TurnEvent,
)
from massgen_bridge.isolation.wire import WINDOW, EventsParams, TurnEvents

if TYPE_CHECKING:
    from massgen_bridge.isolation.channel import Channel

__all__ = ["Outlet"]

_EVENTS: Final = get_args(TurnEvent)
_OF_MODELS: Final = (ModelCallStarted, ModelCallFinished)
_MOST_AT_ONCE: Final = 64


class Outlet:
    """An `Emit` that sends events to the host.

    One goes at once where the agent then waits for something, several together where it does not.

    Args:
        channel: Leads to the host.
        run: The turn, by its number on the wire.
        is_watched: Whether the host tells of model calls itself.

    Attributes:
        deltas: How many were told so far.
    """

    def __init__(self, channel: Channel, run: int, *, is_watched: bool) -> None:
        self.deltas = 0
        self._channel = channel
        self._run = run
        self._is_watched = is_watched
        self._batch: list[TurnEvent] = []
        self._is_due = False
        self._under_way = 0
        self._less = anyio.Event()
        self._failure: str | None = None

    async def __call__(self, event: TurnEvent, /) -> None:
        """Hand over an event; waits where the host is behind.

        Before a model call it returns when the host knows of it, and has not objected.

        Raises:
            AgentCrashed: This is no event, or one before could not be sent.
        """
        if not isinstance(event, _EVENTS):
            raise AgentCrashed(f"an agent emits events; this one emitted a {type(event).__name__}")
        if self._is_watched and isinstance(event, _OF_MODELS):
            return
        self.deltas += isinstance(event, TextDelta | ReasoningDelta)
        self._batch.append(event)
        if isinstance(event, ModelCallStarted):
            await self.settled()
        elif len(self._batch) >= _MOST_AT_ONCE:
            self.flush()
        elif not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self.flush)
        await self._room(WINDOW)
        self.check()

    async def settled(self) -> None:
        """Return when the host has dealt with every event."""
        self.flush()
        await self._room(0)

    async def _room(self, most: int) -> None:
        while self._under_way > most:
            await self._less.wait()

    def check(self) -> None:
        """See that every event could be sent.

        Raises:
            AgentCrashed: One could not.
        """
        if self._failure is not None:
            raise AgentCrashed(self._failure)

    def flush(self) -> None:
        """Send what has not been sent."""
        self._is_due = False
        if not self._batch:
            return
        events, self._batch = tuple(self._batch), []
        params = EventsParams.model_construct(run=self._run, events=events)
        try:
            self._under_way += self._channel.send(TurnEvents.model_construct(params=params))
        except PydanticSerializationError as error:
            self._failure = f"an event cannot be sent: {error}"

    def taken(self, size: int) -> None:
        """The host has dealt with events that took `size` bytes."""
        self._under_way -= size
        less, self._less = self._less, anyio.Event()
        less.set()
