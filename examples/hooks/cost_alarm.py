"""A cost alarm: tells when a run has used more than it should, and can keep it from going on.

Environment variables set it, so that one alarm, once installed, serves every run:

- `COST_ALARM_USD`, `COST_ALARM_TOKENS`: what one run may use; without any there is no alarm.
- `COST_ALARM_COMMAND`: a command to call, with what is to be told as its last argument.
- `COST_ALARM_STOP`: anything but nothing refuses further turns and tool calls.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar

from massgen_bridge import LimitReached, ModelCallFinished, ToolVerdict, hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from massgen_bridge import Record, Turn

T = TypeVar("T")


@dataclass(kw_only=True)
class _Bill:
    """What one run may use and has used."""

    most_usd: Decimal | None
    most_tokens: int | None
    usd: Decimal = Decimal(0)
    tokens: int = 0
    uncounted: set[str] = field(default_factory=set)
    alarm: str | None = None

    def add(self, call: ModelCallFinished) -> None:
        """Add one model call."""
        if call.usage is None:
            self.uncounted.add(call.model)
            return
        self.tokens += call.usage.input_tokens + call.usage.output_tokens
        if self.most_usd is not None:
            if call.cost_usd is None:
                self.uncounted.add(call.model)
            else:
                self.usd += Decimal(str(call.cost_usd))

    @property
    def excess(self) -> str | None:
        """What is too much, in words."""
        if self.most_usd is not None and self.usd > self.most_usd:
            return f"${self.usd:.4f} of ${self.most_usd}"
        if self.most_tokens is not None and self.tokens > self.most_tokens:
            return f"{self.tokens} of {self.most_tokens} tokens"
        return None


# Runs of one process may overlap; each is added up in the one thread that observes it.
_bills: dict[str, _Bill] = {}


@hookimpl
def bridge_run_started(run_id: str) -> None:
    """Open the bill of a run."""
    usd = _limit("COST_ALARM_USD", Decimal, "a number of dollars, such as 0.50")
    tokens = _limit("COST_ALARM_TOKENS", int, "a whole number of tokens, such as 50000")
    if usd is not None or tokens is not None:
        _bills[run_id] = _Bill(most_usd=usd, most_tokens=tokens)


@hookimpl
def bridge_events(run_id: str, records: Sequence[Record]) -> None:
    """Add up the model calls; sound the alarm once."""
    bill = _bills.get(run_id)
    if bill is None:
        return
    for record in records:
        if isinstance(record.event, ModelCallFinished):
            bill.add(record.event)
    if bill.excess and bill.alarm is None:
        bill.alarm = f"run {run_id} has used {bill.excess}"
        _tell(bill.alarm)
        command = os.environ.get("COST_ALARM_COMMAND")
        if command:
            _call(command, bill.alarm)


@hookimpl
def bridge_run_finished(run_id: str) -> None:
    """Close the bill; say what the alarm could not count."""
    bill = _bills.pop(run_id, None)
    if bill is not None and bill.uncounted:
        models = ", ".join(sorted(bill.uncounted))
        _tell(f"run {run_id}: the calls of {models} are not counted; no usage or price is known")


@hookimpl
def bridge_turn_prepare(turn: Turn) -> None:
    """Refuse a turn of a run that has used too much."""
    alarm = _stopped_by(turn)
    if alarm:
        raise LimitReached(alarm)


@hookimpl
def bridge_tool_call(turn: Turn) -> ToolVerdict | None:
    """Let a turn that is under way come to its end without further tools."""
    if _stopped_by(turn):
        return ToolVerdict(action="deny", reason="the budget is used up; answer with what you have")
    return None


def _limit(name: str, number: Callable[[str], T], expected: str) -> T | None:
    given = os.environ.get(name)
    if not given:
        return None
    try:
        return number(given)
    except (ArithmeticError, ValueError):
        raise ValueError(f"{name}: expected {expected}, found {given!r}") from None


def _stopped_by(turn: Turn) -> str | None:
    bill = _bills.get(turn.run_id)
    return bill.alarm if bill and os.environ.get("COST_ALARM_STOP") else None


def _tell(text: str) -> None:
    print(f"cost alarm: {text}", file=sys.stderr)


def _call(command: str, text: str) -> None:
    # It may take its time: this is the observer's own thread. What it prints is not the answer.
    subprocess.run(  # noqa: S603 - the user's own command
        [*shlex.split(command), text],
        check=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
    )
