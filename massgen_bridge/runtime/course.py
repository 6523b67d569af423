"""The course that a run has taken, from its records: what its strategy knows and still waits for.

A strategy is a pure function, so stepping it over the recorded happenings gives the state in which
the run was left. No hook and no model is asked for that.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

from massgen_bridge.agent import FinishedTurn
from massgen_bridge.errors import ConfigError, JournalError
from massgen_bridge.events import (
    BudgetReached,
    Happening,
    RunResumed,
    RunStarted,
    TieBroken,
    ToolCallStarted,
    TurnDone,
    TurnFailed,
    TurnHappening,
    TurnIdle,
    TurnStarted,
)
from massgen_bridge.runtime.histories import Histories
from massgen_bridge.runtime.recorder import Ledger
from massgen_bridge.strategy import (
    Announce,
    BreakTie,
    CancelTurn,
    Finish,
    StartTurn,
    WatchIdle,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from massgen_bridge.events import Event, Record
    from massgen_bridge.messages import ToolCall
    from massgen_bridge.strategy import Command, Strategy

__all__ = ["Attempt", "Course", "Past", "check_same_seats", "past_of"]

_HAPPENINGS: tuple[type[Happening], ...] = get_args(Happening)
_OF_TURN: tuple[type[TurnHappening], ...] = get_args(TurnHappening)


class Course:
    """A strategy on its way: the state it is in, and the commands that are not carried out yet.

    Attributes:
        state: What the strategy knows.
        open: The turns whose outcome it waits for, by id.
        tie: The tie that it waits to be broken.
        finish: How it ended the run.
        watched: The turns of which it wants to know that they fall silent, by id.
        announced: What it had to tell, in order.
        reached: The budgets that it was told of.
    """

    def __init__(self, strategy: Strategy[Any], started: RunStarted) -> None:
        self._strategy = strategy
        self.open: dict[str, StartTurn] = {}
        self.known: set[str] = set()
        self.tie: BreakTie | None = None
        self.finish: Finish | None = None
        self.watched: dict[str, WatchIdle] = {}
        self.announced: list[Event] = []
        self.reached: list[BudgetReached] = []
        self.state, commands = strategy.begin(started.seats)
        self._take(commands)

    def step(self, happening: Happening) -> None:
        """Take in what happened next."""
        if isinstance(happening, TieBroken):
            self.tie = None
        elif isinstance(happening, TurnIdle):
            self.watched.pop(happening.turn_id, None)
        elif isinstance(happening, BudgetReached):
            self.reached.append(happening)
        elif isinstance(happening, _OF_TURN):
            self._ended(happening.turn_id)
        self.state, commands = self._strategy.step(self.state, happening)
        self._take(commands)

    def _ended(self, turn_id: str) -> None:
        self.open.pop(turn_id, None)
        self.watched.pop(turn_id, None)

    def _take(self, commands: Iterable[Command]) -> None:
        for command in commands:
            match command:
                case StartTurn():
                    self.open[command.turn_id] = command
                    self.known.add(command.turn_id)
                case CancelTurn():
                    self._ended(command.turn_id)
                case WatchIdle():
                    self.watched[command.turn_id] = command
                case BreakTie():
                    self.tie = command
                case Announce():
                    self.announced.append(command.event)
                case Finish():
                    self.finish = command


@dataclass(kw_only=True)
class Attempt:
    """The last attempt at a turn, and how it ended, if it did."""

    started: TurnStarted
    outcome: TurnDone | TurnFailed | None = None
    calls: list[ToolCall] = field(default_factory=list)


@dataclass(kw_only=True)
class Past:
    """What the records of a run say.

    Attributes:
        started: How it began.
        course: Where its strategy stands.
        attempts: The last attempt at each turn that was started.
        finished: The turns that each agent finished, by its id, in order.
        ledger: What it has used.
        histories: What its agents were asked and said.
        last_seq: The number of the last record.
        active_s: Seconds for which processes have worked on it.
        unannounced: What the strategy had to tell and is not recorded.
    """

    started: RunStarted
    course: Course
    attempts: dict[str, Attempt]
    finished: dict[str, list[FinishedTurn]]
    ledger: Ledger
    histories: Histories
    last_seq: int
    active_s: float
    unannounced: tuple[Event, ...]


def past_of(
    records: Iterable[Record], strategy: Strategy[Any], ledger: Ledger | None = None
) -> Past:
    """Read the records of a run.

    Args:
        records: All of them, in order.
        strategy: The run's strategy, with the options that it had.
        ledger: Counts what was used; a plain one by default.

    Raises:
        JournalError: There is no beginning, or the strategy does not lead to what is recorded.
    """
    reading = _Reading(strategy, ledger or Ledger())
    for record in records:
        reading.read(record)
    return reading.past()


class _Reading:
    def __init__(self, strategy: Strategy[Any], ledger: Ledger) -> None:
        self._strategy = strategy
        self._course: Course | None = None
        self._started: RunStarted | None = None
        self._ledger = ledger
        self._histories = Histories()
        self._attempts: dict[str, Attempt] = {}
        self._finished: dict[str, list[FinishedTurn]] = {}
        self._seen: Counter[type] = Counter()
        self._last_seq = 0
        self._active_s = 0.0
        self._since = self._until = 0.0

    def read(self, record: Record) -> None:
        """Take in the next record."""
        event = record.event
        self._last_seq = record.seq
        self._ledger.add(record)
        self._histories.add(record)
        if isinstance(event, (RunStarted, RunResumed)):
            self._active_s += self._until - self._since
            self._since = record.at
        self._until = max(record.at, self._since)
        self._seen[type(event)] += 1
        if isinstance(event, RunStarted):
            self._started, self._course = event, Course(self._strategy, event)
        elif self._course is None:
            raise JournalError(f"the run {record.run_id!r} has no beginning")
        elif isinstance(event, _HAPPENINGS):
            self._course.step(event)
        elif record.turn_id is not None:
            self._read_turn(event, record.turn_id, record.agent_id or "")

    def _read_turn(self, event: Event, turn_id: str, agent_id: str) -> None:
        if isinstance(event, TurnStarted):
            self._attempts[turn_id] = Attempt(started=event)
            return
        attempt = self._attempts.get(turn_id)
        if attempt is None:
            return
        match event:
            case TurnDone():
                attempt.outcome = event
                done = FinishedTurn(turn=attempt.started.turn, result=event.result)
                self._finished.setdefault(agent_id, []).append(done)
            case TurnFailed():
                attempt.outcome = event
            case ToolCallStarted(call=call, source=None):
                attempt.calls.append(call)
            case _:
                pass

    def past(self) -> Past:
        """What was read."""
        course, started = self._course, self._started
        if course is None or started is None:
            raise JournalError(
                "this run was stopped before its first record: nothing was done, start it anew"
            )
        unknown = next((one for one in self._attempts if one not in course.known), None)
        if unknown is not None:
            raise JournalError(
                f"the strategy {started.strategy!r} of this massgen-bridge does not lead to the"
                f" turn {unknown!r}, which is recorded; massgen-bridge {started.bridge_version}"
                " began this run: resume it with that version"
            )
        return Past(
            started=started,
            course=course,
            attempts=self._attempts,
            finished=self._finished,
            ledger=self._ledger,
            histories=self._histories,
            last_seq=self._last_seq,
            active_s=self._active_s + self._until - self._since,
            unannounced=self._unannounced(course),
        )

    def _unannounced(self, course: Course) -> tuple[Event, ...]:
        """What is announced is recorded in order, so what is missing stands at the end."""
        rest: list[Event] = []
        seen = self._seen.copy()
        for event in course.announced:
            if seen[type(event)]:
                seen[type(event)] -= 1
            else:
                rest.append(event)
        return tuple(rest)


def check_same_seats(now: RunStarted, then: RunStarted) -> None:
    """See that a configuration still gives the team and the strategy that a run began with.

    Raises:
        ConfigError: It does not; the text says what is different.
    """
    mine = [(seat.agent_id, seat.label, seat.kind) for seat in now.seats]
    theirs = [(seat.agent_id, seat.label, seat.kind) for seat in then.seats]
    if mine != theirs:
        raise ConfigError(
            f"the run began with other agents: {_names(theirs)}; the configuration has"
            f" {_names(mine)}"
        )
    if now.strategy != then.strategy:
        raise ConfigError(
            f"the run began with the strategy {then.strategy!r}; the configuration has"
            f" {now.strategy!r}"
        )
    for name, value in then.strategy_options.items():
        if now.strategy_options.get(name) != value:
            raise ConfigError(
                f"the run began with {name!r} of its strategy being {value!r}; the configuration"
                f" has {now.strategy_options.get(name)!r}"
            )


def _names(seats: list[tuple[str, str, str]]) -> str:
    return ", ".join(f"{agent_id} ({kind})" for agent_id, _, kind in seats)
