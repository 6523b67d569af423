"""The records of a run on their way to stdout: without secrets, one JSON object a line."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Self

import typer

from massgen_bridge.cli._output import FAILED, READER_GONE, Failure, print_json
from massgen_bridge.cli._stdout import is_full, unwritten
from massgen_bridge.events import Record, RunFinished
from massgen_bridge.messages import MEDIA_BY_NAME
from massgen_bridge.runtime.redact import Redactor
from massgen_bridge.runtime.rewrite import encode, media_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from massgen_bridge.events import RunResult

__all__ = ["LineWriter", "ResultKeeper", "result_object"]


class ResultKeeper:
    """A listener that keeps how a run ended."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = tuple(secrets)
        self._last: Record | None = None

    def listen(self, record: Record) -> None:
        """Take note of a record."""
        if isinstance(record.event, RunFinished):
            self._last = record

    @property
    def result(self) -> RunResult | None:
        """The result without secrets; None as long as there is none."""
        if self._last is None:
            return None
        (record,) = Redactor(self._secrets).redact([self._last])
        return record.event.result if isinstance(record.event, RunFinished) else None


def result_object(result: RunResult) -> dict[str, Any]:
    """A result as `--output json` prints it; media by their names and the files they are in."""
    failure = None
    if result.answer is None:
        failure = Failure("run_failed", result.message or "no answer came out of the run")
        if result.status == "cancelled":
            failure = Failure("cancelled", result.message or "the run was cancelled")
    return {
        **result.model_dump(mode="json", context={MEDIA_BY_NAME: media_name}),
        "dissent": [one.model_dump(mode="json") for one in result.dissent],
        "error": None if failure is None else failure._asdict(),
    }


class LineWriter:
    """A listener that writes each record to stdout, in a thread of its own.

    A slow reader slows nothing down; one that goes away ends the run.

    Args:
        secrets: What must not be written.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self.on_gone: Callable[[int], None] | None = None
        """Called with an exit code when the reader is gone."""
        self._redactor = Redactor(secrets)
        self._queue: SimpleQueue[Record | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._write_all, name="jsonl", daemon=True)

    def listen(self, record: Record) -> None:
        """Take note of a record."""
        self._queue.put(record)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._queue.put(None)
        self._thread.join()

    def _write_all(self) -> None:
        try:
            while (record := self._queue.get()) is not None:
                self._write(self._redactor.redact([record]))
            self._write(self._redactor.flush())
        except OSError as error:  # a closed pipe, a full disk: nobody reads on
            if is_full(error):
                typer.echo(f"Error: {unwritten(error)}", err=True)
            if self.on_gone is not None:
                self.on_gone(FAILED if is_full(error) else READER_GONE)

    @staticmethod
    def _write(records: Iterable[Record]) -> None:
        for record in records:
            print_json(encode(record, media_name))
