"""Replaying: a cassette answers in place of all models."""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING, Any, NoReturn

import anyio

from massgen_bridge.errors import CassetteError, ReplayDiverged
from massgen_bridge.events import TurnCancelled, TurnFailed
from massgen_bridge.runtime.cassette.answering import Answering
from massgen_bridge.runtime.cassette.askers import Askers
from massgen_bridge.runtime.cassette.bodies import Cleaner, reply_of
from massgen_bridge.runtime.cassette.lines import Call, read_lines
from massgen_bridge.runtime.cassette.matching import Calls, TapedStep, fits
from massgen_bridge.runtime.cassette.order import Order
from massgen_bridge.runtime.cassette.team import check_team
from massgen_bridge.runtime.secret_forms import SecretForms
from massgen_bridge.runtime.setup import secret_variables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from massgen_bridge.events import RunResult
    from massgen_bridge.messages import Message
    from massgen_bridge.models.tape import Caller
    from massgen_bridge.plugins import PluginHost
    from massgen_bridge.runtime.cassette.lines import TurnEnd
    from massgen_bridge.runtime.executor import TurnOutcome
    from massgen_bridge.runtime.planning import Prepared

__all__ = ["Replay"]

_logger = logging.getLogger("massgen_bridge.runtime")
_SHOWN = 80


class Replay:
    """Answers the model calls of one run by those of a cassette; reading it blocks.

    Args:
        path: The cassette.

    Attributes:
        hosts: Where each agent's model was, by the agent's path.
        marks: What the marks on ballots are made from.
        order: In which order things end.
        failure: What does not fit, once something does not.
        askers: Who tells of model calls.

    Raises:
        CassetteError: It cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._header, lines, self._end = read_lines(path)
        self.hosts = {one.id: one.host or "" for one in self._header.agents}
        self.marks = self._header.marks
        self.order = Order()
        self.askers = Askers()
        self._host: PluginHost | None = None
        self.failure: ReplayDiverged | None = None
        self._steps: dict[str, tuple[int, TurnEnd]] = {}
        calls: list[TapedStep] = []
        step = 0
        for number, line in lines:
            if isinstance(line, Call):
                place = None if line.left else step
                calls.append(TapedStep(call=line, line=number, step=place))
                step += not line.left
            else:
                self._steps[line.turn] = (step, line)
                step += 1
        self._calls = Calls(calls)
        self._count = len(calls)
        self._asked: dict[str, int] = {}
        self._stops: dict[Caller, Callable[[str], None]] = {}
        self._overdue: set[str] = set()
        self._is_told = False
        self._cleaner = Cleaner(SecretForms(()), None)
        self._run_id = ""
        self._lock = threading.Lock()

    @property
    def file(self) -> str:
        """The cassette's name, as it was given."""
        return str(self._path)

    def begin(self, prepared: Prepared, question: Message, run_id: str) -> None:
        """See that the cassette is of this team and this question.

        Raises:
            CassetteError: It is not.
        """
        check_team(self._header, prepared, file=self.file)
        known = prepared.pool.secrets() | prepared.literals | secret_variables(os.environ)
        self._run_id = run_id
        self._host = prepared.host
        self._cleaner = Cleaner(SecretForms(known), run_id)
        if not fits(self._header.question, self._cleaner.text(question.text)):
            raise CassetteError(
                f"the cassette is of another question: it was recorded for"
                f" {_short(self._header.question)}; ask that, or record a new one",
                file=self.file,
                line=1,
            )
        if self._end is None:
            _logger.warning(
                "the recording of the cassette %r was cut off; model calls in it: %d",
                self.file,
                self._count,
            )

    def wire(self, http: Any, settings: Mapping[str, Any], base_url: str) -> Answering:
        """Answers requests; the settings of a client that sends are not needed."""
        del settings
        return Answering(self, http, base_url)

    def find(
        self, who: Caller, path: str, content: bytes, *, in_loop: bool = True
    ) -> TapedStep | None:
        """The recorded call of a request; with None, everything is being stopped.

        Args:
            who: Whose request it is.
            path: Where it would go, within the endpoint.
            content: Its body.
            in_loop: Whether this is the event loop, and not a thread of code that blocks.
        """
        with self._lock:
            if self.failure is not None:
                return None
            number = self._asked[who.agent] = self._asked.get(who.agent, 0) + 1
            request = self._cleaner.request(content)
            found = self._calls.take(who, path, request)
            if found is None:
                difference = self._calls.difference(who, path, request)
                self.failure = ReplayDiverged(self._text(who, number, difference))
        if found is None and in_loop:
            self._stop_all()
        return found

    def content(self, found: TapedStep) -> bytes:
        """The body of a recorded reply."""
        reply = found.call.reply
        return b"" if reply is None else reply_of(reply, self._run_id)

    async def wait(self, found: TapedStep, who: Caller) -> None:
        """Wait until all is done that had ended before this call in the recording."""
        if found.step is not None:
            await self.order.wait(found.step, who)

    def used(self, found: TapedStep, *, in_loop: bool = True) -> None:
        """An answer has been read, or given up."""
        if found.step is not None:
            self.order.done(found.step, in_loop=in_loop)

    async def hang(self, who: Caller) -> NoReturn:
        """Wait until the turn is stopped; at once where silence has ended it before."""
        self.order.hangs(who)
        step, line = self._steps.get(who.turn, (0, None))
        if line is not None and line.failed == "timeout" and who in self._stops:
            await self.order.wait(step, who)
            self._overdue.add(who.turn)
            self._stops[who](line.message or "")
        while True:
            await anyio.sleep_forever()

    def started(self, who: Caller, stop: Callable[[str], None]) -> None:
        """A turn begins, which can be stopped."""
        self._stops[who] = stop
        self.order.started(who)

    async def ended(self, who: Caller, outcome: TurnOutcome) -> TurnOutcome:
        """Let a turn end when it is its time.

        Raises:
            ReplayDiverged: Something does not fit.
        """
        if self.failure is not None:
            self._stop_all()
            if not self._is_told and not who.is_within:
                self._is_told = True
                raise self.failure
            await anyio.sleep_forever()  # once is enough: the whole run ends by it
        step, line = self._steps.get(who.turn, (0, None))
        if line is not None and who.turn in self._overdue:
            outcome = TurnFailed(kind="timeout", message=line.message or "", retryable=True)
        if line is not None and not isinstance(outcome, TurnCancelled):
            await self.order.wait(step, who)
            self.order.done(step)
        return outcome

    def over(self, who: Caller) -> None:
        """A turn is over, however."""
        self._stops.pop(who, None)
        self.order.ended(who)

    def close(self, result: RunResult | None) -> None:
        """Say what was recorded and not asked for."""
        if self._host is not None:
            self.askers.warn(self._host, self._asked, file=self.file)
        left = self._calls.unused()
        if self.failure is not None or result is None or result.status == "cancelled" or not left:
            return
        agents: dict[str, int] = {}
        for one in left:
            agents[one.call.agent] = agents.get(one.call.agent, 0) + 1
        _logger.warning(
            "%d of %d model calls in the cassette %r were not asked for: %s; the first is in line"
            " %d",
            len(left),
            self._count,
            self.file,
            ", ".join(f"{count} of {agent!r}" for agent, count in sorted(agents.items())),
            min(one.line for one in left),
        )

    def _stop_all(self) -> None:
        for stop in list(self._stops.values()):
            stop("the replay has diverged")

    def _text(self, who: Caller, number: int, difference: str) -> str:
        asks = f"agent {who.agent!r} asks (its call {number}, in turn {who.turn!r})"
        if not who.agent:
            asks = "something outside of any agent's turn asks"
        cut = "" if self._end is not None else " (its recording was cut off)"
        return (
            f"the run does not fit the cassette {self.file!r}{cut}: {asks} what was not recorded:"
            f" {difference}"
        )


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
