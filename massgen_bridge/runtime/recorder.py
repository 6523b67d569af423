"""The one place where events of a run become records, and where they are counted."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from massgen_bridge.agent import Usage
from massgen_bridge.events import (
    AgentUse,
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
    Use,
)
from massgen_bridge.runtime.histories import Histories
from massgen_bridge.runtime.spending import Spending, TurnSpending

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from decimal import Decimal

    from massgen_bridge.events import Cost, RunResult

__all__ = ["JournalWriter", "Ledger", "Recorder"]


class JournalWriter(Protocol):
    """Where records become durable."""

    def append(self, records: Sequence[Record]) -> None:
        """Take records; they are durable after the next `commit` at the latest."""

    @property
    def is_crowded(self) -> bool:
        """Whether so much waits that whoever writes should `commit` before going on."""

    async def commit(self) -> None:
        """Return when everything that was appended is durable."""


@dataclass
class _OpenTurn:
    """What a turn has used so far; `usage` is None until a call has told of some."""

    since: float
    until: float
    usage: Usage | None = None
    spent: TurnSpending = field(default_factory=TurnSpending)


@dataclass
class _Tally:
    """What one of those within an agent has used."""

    calls: int = 0
    usage: Usage = field(default_factory=Usage)
    spent: Spending = field(default_factory=Spending)


class Ledger:
    """What a run has used so far: model calls, tokens, money, time in turns, failures.

    A turn's own figures count when it is done; of a turn that failed, the calls that ended well.

    Args:
        agents: Whose use is also to be known by itself, by agent id.

    Attributes:
        calls: Model calls that have begun.
        errors: The failures that cost a turn.
        agents: The ledger of each agent that was asked for.
    """

    def __init__(self, agents: Iterable[str] = ()) -> None:
        self.calls = 0
        self.errors: list[ErrorInfo] = []
        self.agents = {agent_id: Ledger() for agent_id in agents}
        self._done = Usage()
        self._spent = Spending()
        self._within: dict[str, _Tally] = {}
        self._turns_s = 0.0
        self._open: dict[str, _OpenTurn] = {}

    @property
    def usage(self) -> Usage:
        """Tokens of all turns."""
        return sum((turn.usage for turn in self._open.values() if turn.usage), self._done)

    @property
    def cost_usd(self) -> Decimal:
        """Dollars of all turns, as far as they are known."""
        return sum((turn.spent.usd for turn in self._open.values()), self._spent.usd)

    @property
    def cost(self) -> Cost:
        """What all turns cost."""
        spent = Spending()
        for one in (self._spent, *(turn.spent for turn in self._open.values())):
            spent.merge(one)
        return spent.cost

    @property
    def used(self) -> Use:
        """Calls, tokens and cost together."""
        return Use(calls=self.calls, usage=self.usage, cost=self.cost)

    def used_by(self, agent_id: str) -> AgentUse:
        """What this is the ledger of: an agent."""
        members = tuple(
            AgentUse(
                agent_id=f"{agent_id}/{name}",
                calls=one.calls,
                usage=one.usage,
                cost=one.spent.cost,
            )
            for name, one in self._within.items()
        )
        return AgentUse(
            agent_id=agent_id, calls=self.calls, usage=self.usage, cost=self.cost, members=members
        )

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
            case ModelCallStarted() | ModelCallFinished():
                self._call(record, event)
            case InnerRunFinished(result=inner):
                self._fail_within(record, inner)
            case TurnDone():
                self._done_with(record, event)
            case TurnFailed() | TurnCancelled() | TurnLost():
                self._close(turn_id)
                if not isinstance(event, TurnCancelled):
                    self._fail(record, event)
            case _:
                pass

    def _call(self, record: Record, event: ModelCallStarted | ModelCallFinished) -> None:
        if isinstance(event, ModelCallStarted):
            self.calls += 1
            if event.source is not None:
                self._member(event.source).calls += 1
            return
        turn_id = record.turn_id or ""
        turn = self._open.setdefault(turn_id, _OpenTurn(record.at, record.at))
        turn.spent.called(event)
        if event.usage is not None:
            turn.usage = event.usage if turn.usage is None else turn.usage + event.usage
        if event.source is not None:
            member = self._member(event.source)
            member.spent.add(event.model, event.cost_usd)
            member.usage += event.usage or Usage()

    def _done_with(self, record: Record, event: TurnDone) -> None:
        turn = self._open.get(record.turn_id or "")
        if turn is not None:
            turn.spent.done(event, record.agent_id or "")
        self._close(record.turn_id or "", event.result.usage)

    def _member(self, source: str) -> _Tally:
        return self._within.setdefault(source, _Tally())

    def _close(self, turn_id: str, usage: Usage | None = None) -> None:
        turn = self._open.pop(turn_id, None)
        counted = None if turn is None else turn.usage
        self._done += usage or counted or Usage()
        if turn is not None:
            self._spent.merge(turn.spent)
            self._turns_s += turn.until - turn.since

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
