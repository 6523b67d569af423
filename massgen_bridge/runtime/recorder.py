"""The one place where events of a run become records, and where they are counted."""

from __future__ import annotations

import time
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

from massgen_bridge.agent import Usage
from massgen_bridge.events import (
    ErrorInfo,
    Event,
    InnerRunFinished,
    ModelCallFinished,
    ModelCallStarted,
    Record,
    TurnCancelled,
    TurnDone,
    TurnFailed,
    TurnLost,
    TurnStarted,
)
from massgen_bridge.runtime.histories import Histories

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from massgen_bridge.events import RunResult

__all__ = ["JournalWriter", "Ledger", "Price", "Recorder"]


class JournalWriter(Protocol):
    """Where records become durable."""

    def append(self, records: Sequence[Record]) -> None:
        """Take records; they are durable after the next `commit` at the latest."""

    @property
    def is_crowded(self) -> bool:
        """Whether so much waits that whoever writes should `commit` before going on."""

    async def commit(self) -> None:
        """Return when everything that was appended is durable."""


class Price(Protocol):
    """What model calls cost."""

    def __call__(self, agent: str, model: str | None, usage: Usage) -> Decimal:
        """US dollars of a call by an agent or `team/member`; its model is None where not told."""


@dataclass
class _OpenTurn:
    """What a turn has used so far; `usage` is None until a call has told of some."""

    since: float
    until: float
    usage: Usage | None = None
    cost: Decimal = Decimal(0)


class Ledger:
    """What a run has used so far: model calls, tokens, money, time in turns, failures.

    A turn's own figures count when it is done; of a turn that failed, the calls that ended well.

    Args:
        agents: Whose use is also to be known by itself, by agent id.
        price: What calls cost; nothing where it is not given.

    Attributes:
        calls: Model calls that have begun.
        errors: The failures that cost a turn.
        agents: The ledger of each agent that was asked for.
    """

    def __init__(self, agents: Iterable[str] = (), *, price: Price | None = None) -> None:
        self.calls = 0
        self.errors: list[ErrorInfo] = []
        self.agents = {agent_id: Ledger(price=price) for agent_id in agents}
        self._price = price
        self._done = Usage()
        self._cost = Decimal(0)
        self._turns_s = 0.0
        self._open: dict[str, _OpenTurn] = {}

    @property
    def usage(self) -> Usage:
        """Tokens of all turns."""
        return sum((turn.usage for turn in self._open.values() if turn.usage), self._done)

    @property
    def cost_usd(self) -> Decimal:
        """Dollars of all turns."""
        return sum((turn.cost for turn in self._open.values()), self._cost)

    @property
    def turns_s(self) -> float:
        """Seconds that turns took, those that go on up to their last record."""
        return sum((turn.until - turn.since for turn in self._open.values()), self._turns_s)

    def add(self, record: Record) -> None:
        """Count one record."""
        agent = self.agents.get(record.agent_id or "")
        if agent is not None:
            agent.add(record)
        event, turn_id = record.event, record.turn_id or ""
        turn = self._open.get(turn_id)
        if turn is not None:
            turn.until = max(turn.until, record.at)
        match event:
            case TurnStarted():
                # What an earlier attempt at this turn has used stays counted.
                self._close(turn_id)
                self._open[turn_id] = _OpenTurn(record.at, record.at)
            case ModelCallStarted():
                self.calls += 1
            case ModelCallFinished():
                self._called(record, event)
            case InnerRunFinished(result=inner):
                self._fail_within(record, inner)
            case TurnDone(result=result):
                self._done_with(record, result.usage)
            case TurnFailed() | TurnCancelled() | TurnLost():
                self._close(turn_id)
                if not isinstance(event, TurnCancelled):
                    self._fail(record, event)
            case _:
                pass

    def _called(self, record: Record, event: ModelCallFinished) -> None:
        if event.usage is not None:
            turn_id = record.turn_id or ""
            turn = self._open.setdefault(turn_id, _OpenTurn(record.at, record.at))
            turn.usage = event.usage if turn.usage is None else turn.usage + event.usage
            within = "" if event.source is None else f"/{event.source}"
            turn.cost += self._cost_of(f"{record.agent_id}{within}", event.model, event.usage)

    def _done_with(self, record: Record, usage: Usage | None) -> None:
        """End a turn that says itself what it has used, where it does."""
        turn = self._open.get(record.turn_id or "")
        if turn is not None and turn.usage is None and usage is not None:
            turn.cost = self._cost_of(record.agent_id or "", None, usage)
        self._close(record.turn_id or "", usage)

    def _close(self, turn_id: str, usage: Usage | None = None) -> None:
        turn = self._open.pop(turn_id, None)
        counted = None if turn is None else turn.usage
        self._done += usage or counted or Usage()
        if turn is not None:
            self._cost += turn.cost
            self._turns_s += turn.until - turn.since

    def _cost_of(self, agent: str, model: str | None, usage: Usage) -> Decimal:
        return Decimal(0) if self._price is None else self._price(agent, model, usage)

    def _fail_within(self, record: Record, inner: RunResult) -> None:
        """What failed in a team; a turn that was started again tells it again."""
        for error in inner.errors:
            told = error.model_copy(
                update={
                    "agent_id": f"{record.agent_id}/{error.agent_id}",
                    "turn_id": f"{record.turn_id}/{error.turn_id}",
                }
            )
            if told not in self.errors:
                self.errors.append(told)

    def _fail(self, record: Record, event: TurnFailed | TurnLost) -> None:
        who = {"agent_id": record.agent_id or "", "turn_id": record.turn_id or ""}
        # A turn that a hook refused was never started, so it never failed before.
        known = any(error.turn_id == who["turn_id"] for error in self.errors)
        if isinstance(event, TurnFailed) or not known:
            self.errors.append(ErrorInfo(**who, kind=event.kind, message=event.message))


class Recorder:
    """Numbers events, gives them to the journal and to all listeners, in one order.

    Listeners are called at once, in the event loop: they only take note. A run that is resumed
    goes on from its `ledger`, its `histories` and `last_seq`.
    """

    def __init__(
        self,
        run_id: str,
        *,
        journal: JournalWriter | None = None,
        listeners: Sequence[Callable[[Record], None]] = (),
        clock: Callable[[], float] = time.time,
        ledger: Ledger | None = None,
        histories: Histories | None = None,
        last_seq: int = 0,
    ) -> None:
        self.run_id = run_id
        self.ledger = ledger or Ledger()
        self.histories = histories or Histories()
        self._journal = journal
        self._listeners = tuple(listeners)
        self._clock = clock
        self._seq = last_seq

    def record(
        self, event: Event, *, agent_id: str | None = None, turn_id: str | None = None
    ) -> Record:
        """Record one event; it is durable after the next `commit`."""
        self._seq += 1
        record = Record(
            run_id=self.run_id,
            seq=self._seq,
            at=self._clock(),
            agent_id=agent_id,
            turn_id=turn_id,
            event=event,
        )
        self.ledger.add(record)
        self.histories.add(record)
        if self._journal is not None:
            self._journal.append((record,))
        for listen in self._listeners:
            listen(record)
        return record

    @property
    def is_crowded(self) -> bool:
        """Whether the journal is so far behind that agents should wait for it."""
        return self._journal is not None and self._journal.is_crowded

    async def commit(self) -> None:
        """Return when everything recorded so far is durable."""
        if self._journal is not None:
            await self._journal.commit()
