"""Recording: requests go out as ever, and what came of them is written down."""

from __future__ import annotations

import logging
import os
import secrets as random
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import anyio
from anyio import to_thread

from massgen_bridge import __version__
from massgen_bridge.errors import CassetteError
from massgen_bridge.events import TurnCancelled, TurnFailed
from massgen_bridge.runtime.cassette.askers import Askers
from massgen_bridge.runtime.cassette.bodies import Cleaner
from massgen_bridge.runtime.cassette.lines import Call, End, Header, TurnEnd, encode_line
from massgen_bridge.runtime.cassette.sending import Sending
from massgen_bridge.runtime.cassette.taped_call import TapedCall
from massgen_bridge.runtime.cassette.team import agents_of
from massgen_bridge.runtime.secret_forms import SecretForms
from massgen_bridge.runtime.setup import secret_variables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from massgen_bridge.events import RunResult
    from massgen_bridge.messages import Message
    from massgen_bridge.models.tape import Caller
    from massgen_bridge.plugins import PluginHost
    from massgen_bridge.runtime.executor import TurnOutcome
    from massgen_bridge.runtime.planning import Prepared

__all__ = ["Recording"]

_logger = logging.getLogger("massgen_bridge.runtime")


class Recording:
    """Writes the model calls of one run to a new file, each when it ends.

    Args:
        path: The file; it must not exist.

    Attributes:
        marks: What the marks on ballots are made from.
        askers: Who tells of model calls.

    Raises:
        CassetteError: It exists.
    """

    def __init__(self, path: Path) -> None:
        if path.exists():
            raise CassetteError(
                "the file exists, and a recording overwrites nothing: remove it, or give"
                " `--record` (in Python: `record=`) another name",
                file=str(path),
            )
        self._path = path
        self._file = -1
        self._calls = 0
        self._numbers: dict[str, int] = {}
        self._secrets: Callable[[], frozenset[str]] = frozenset
        self._known: frozenset[str] | None = None
        self._cleaner = Cleaner(SecretForms(()), None)
        self._run_id = ""
        self._lock = threading.Lock()
        self._in_order = anyio.Lock()
        self.askers = Askers()
        self._host: PluginHost | None = None
        self.marks = random.token_hex(16)

    def begin(self, prepared: Prepared, question: Message, run_id: str) -> None:
        """Make the file; blocks.

        Raises:
            CassetteError: It cannot be made.
        """
        own = prepared.literals | secret_variables(os.environ)
        self._run_id = run_id
        self._host = prepared.host
        self._secrets = lambda: prepared.pool.secrets() | own
        header = Header(
            bridge=__version__,
            recorded=datetime.now(UTC).isoformat(timespec="seconds"),
            question=self._clean().text(question.text),
            strategy=prepared.plan.strategy_name,
            agents=agents_of(prepared),
            marks=self.marks,
        )
        try:
            self._file = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            _write(self._file, encode_line(header))
        except OSError as error:
            raise CassetteError(
                f"the cassette cannot be made ({error.strerror}): expected the name of a new file"
                " in a folder that is there",
                file=str(self._path),
            ) from error

    def wire(self, http: Any, settings: Mapping[str, Any], base_url: str) -> Sending:
        """Sends requests, and keeps what came of them."""
        return Sending(self, http, settings, base_url)

    def call(self, who: Caller, path: str, content: bytes) -> TapedCall:
        """Note that a request is about to be sent."""
        with self._lock:
            number = self._numbers[who.agent] = self._numbers.get(who.agent, 0) + 1
            request = self._clean().request(content)
        return TapedCall(
            Call(agent=who.agent, call=number, turn=who.turn, path=path, request=request)
        )

    async def end(
        self, call: TapedCall, error: BaseException | None = None, *, left: bool = False
    ) -> None:
        """Write down a call; what came of it is on the disk before it has any effect."""
        if call.is_closed:
            return
        call.is_closed = True
        with anyio.CancelScope(shield=True):
            async with self._in_order:
                await to_thread.run_sync(lambda: self._end(call, error, left=left))

    def end_now(
        self, call: TapedCall, error: BaseException | None = None, *, left: bool = False
    ) -> None:
        """The same, for code that blocks."""
        if not call.is_closed:
            call.is_closed = True
            self._end(call, error, left=left)

    def started(self, who: Caller, stop: Callable[[str], None]) -> None:
        """A turn begins: nothing to do."""

    async def ended(self, who: Caller, outcome: TurnOutcome) -> TurnOutcome:
        """Write down the end of a turn, unless it was stopped."""
        if not isinstance(outcome, TurnCancelled):
            failed = outcome if isinstance(outcome, TurnFailed) else None
            with self._lock:
                line = TurnEnd(
                    agent=who.agent,
                    turn=who.turn,
                    failed=failed and failed.kind,
                    message=failed and self._clean().text(failed.message),
                )
            async with self._in_order:
                await to_thread.run_sync(self._write, line)
        return outcome

    def over(self, who: Caller) -> None:
        """A turn is over, however: nothing to do."""

    def close(self, result: RunResult | None) -> None:
        """Write the last line; blocks."""
        if self._host is not None:
            self.askers.warn(self._host, self._numbers, file=str(self._path))
        if self._file < 0:
            return
        self._write(End(calls=self._calls, status=result.status if result else "broken"))
        with self._lock:
            file, self._file = self._file, -1
        if file >= 0:
            try:
                os.fsync(file)
            except OSError as error:
                self._give_up(error)
            os.close(file)

    def _end(self, call: TapedCall, error: BaseException | None, *, left: bool) -> None:
        with self._lock:
            cleaner = self._clean()
        self._write(call.line(cleaner, error, left=left))

    def _write(self, line: Call | TurnEnd | End) -> None:
        with self._lock:
            if self._file < 0:
                return
            try:
                _write(self._file, encode_line(line))
            except OSError as error:
                self._give_up(error)
                os.close(self._file)
                self._file = -1
                return
            self._calls += isinstance(line, Call)

    def _give_up(self, error: OSError) -> None:
        # The run is worth more than its recording.
        _logger.warning(
            "the cassette %r cannot be written (%s): it ends after %d calls",
            str(self._path),
            error.strerror,
            self._calls,
        )

    def _clean(self) -> Cleaner:
        """Knows all secrets that there are by now."""
        known = self._secrets()
        if known != self._known:
            self._known = known
            self._cleaner = Cleaner(SecretForms(known), self._run_id)
        return self._cleaner


def _write(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]
