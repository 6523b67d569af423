"""How far the conformance suite is: a line for each group, a mark for each check."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Self

from massgen_bridge.cli._suite_wire import Check, CheckEnded, SuiteReady

if TYPE_CHECKING:
    from types import TracebackType
    from typing import TextIO

    from massgen_bridge.cli._suite_wire import SuiteEvent

__all__ = ["Progress"]

_MARKS = {"passed": ".", "not_claimed": "-", "expected_failure": "x", "failed": "F", "not_run": "?"}


class Progress:
    """Shows events as they come, where a person looks on.

    Args:
        stream: Where to; nothing is written unless it is a terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream if stream.isatty() else None
        self._checks: dict[str, Check] = {}
        self._indent = 0
        self._group: str | None = None
        self._column = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._column:
            self._write("\n\n" if error is None else "\n")

    def tell(self, event: SuiteEvent) -> None:
        """Show an event."""
        if isinstance(event, SuiteReady):
            self._checks = {check.name: check for check in event.checks}
            self._indent = max(map(len, event.groups), default=0) + 2
        elif isinstance(event, CheckEnded):
            self._mark(self._checks[event.name].group, _MARKS[event.outcome])

    def _mark(self, group: str, mark: str) -> None:
        if group != self._group:
            self._group = group
            self._write(f"{chr(10) if self._column else ''}{group:<{self._indent}}")
            self._column = self._indent
        elif self._column >= shutil.get_terminal_size().columns - 1:
            self._write(f"\n{'':<{self._indent}}")
            self._column = self._indent
        self._write(mark)
        self._column += 1

    def _write(self, text: str) -> None:
        if self._stream is not None:
            self._stream.write(text)
            self._stream.flush()
