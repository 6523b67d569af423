"""Observers: plugins and sinks that take the records of a run, each in a thread of its own.

A run never waits for one of them. One that raises is reported once and goes on; what its `close`
raises is reported as well, for that is its last word. One that blocks loses records, deltas first,
and at the end it is left behind; how many were lost is reported.
"""

from __future__ import annotations

import threading
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Protocol

from massgen_bridge.errors import HookFailed
from massgen_bridge.events import (
    LogLine,
    ReasoningDelta,
    RunFinished,
    RunResumed,
    RunStarted,
    TextDelta,
)
from massgen_bridge.plugins.records import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pydantic import BaseModel

    from massgen_bridge.events import Record
    from massgen_bridge.plugins import HookFailure, PluginHost
    from massgen_bridge.specs import Sink, SinkSpec

__all__ = ["Consumer", "HookConsumer", "ObserverThread", "SinkConsumer", "open_observers"]

_CAPACITY = 4096
_BATCH = 256
_EXPENDABLE = (TextDelta, ReasoningDelta, LogLine)
_FRAME = (RunStarted, RunResumed, RunFinished)


class Consumer(Protocol):
    """What an observer does with records; all three are called in the observer's thread."""

    def open(self) -> None:
        """Get ready; raising ends the observer."""

    def write(self, records: Sequence[Record]) -> None:
        """Take a batch of records, in order."""

    def close(self) -> None:
        """Flush and give back everything."""


class ObserverThread:
    """One consumer, its thread and a bounded queue before it; started at once.

    Args:
        name: The plugin or sink, for reports.
        consumer: What takes the records.
        report: Told in one line, from the observer's thread or that of `close`, when it first
            fails, when it cannot be closed, when it lost records and when it is left behind.
        capacity: Most records that wait; then the oldest deltas are dropped, then the oldest
            others, but never the first and the last record of a run.
    """

    def __init__(
        self,
        name: str,
        consumer: Consumer,
        *,
        report: Callable[[str], None],
        capacity: int = _CAPACITY,
    ) -> None:
        self.name = name
        self.dropped = 0
        """Records that were dropped so far."""
        self.failures = 0
        """Calls of the consumer that raised so far."""
        self._consumer = consumer
        self._report = report
        self._capacity = capacity
        self._queue: deque[Record] = deque()
        # Held for a few list operations, never while the consumer runs.
        self._changed = threading.Condition()
        self._closing = False
        self._in_hand = 0
        self._is_open = False
        self._thread = threading.Thread(
            target=self._work, name=f"massgen-bridge observer {name}", daemon=True
        )
        self._thread.start()

    def post(self, record: Record) -> None:
        """Hand over a record; never waits for the consumer. Ignored after `close`."""
        with self._changed:
            if self._closing:
                return
            if len(self._queue) >= self._capacity:
                self._shed()
            self._queue.append(record)
            self._changed.notify()

    def close(self, timeout_s: float) -> bool:
        """Let the consumer take what waits and close; waits at most `timeout_s` seconds for it.

        Returns:
            Whether it is done; otherwise its thread is left behind and the rest is dropped.
        """
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout_s)
        if not self._thread.is_alive():
            if self.dropped and self._is_open:
                self._report(f"observer {self.name!r} was too slow: it lost {self.dropped} records")
            return True
        with self._changed:
            self.dropped += len(self._queue)
            self._queue.clear()
        self._report(
            f"observer {self.name!r} is still busy after {timeout_s:g} s and is left behind; it "
            f"lost {self.dropped} records, and perhaps the {self._in_hand} that it is busy with"
        )
        return False

    def _shed(self) -> None:
        """Make room for a quarter of the capacity, so that this is seldom done."""
        excess = max(len(self._queue) - self._capacity * 3 // 4, 1)
        for droppable in (_is_expendable, _is_no_frame):
            kept: deque[Record] = deque()
            for record in self._queue:
                if excess and droppable(record):
                    excess -= 1
                    self.dropped += 1
                else:
                    kept.append(record)
            self._queue = kept

    def _work(self) -> None:
        self._is_open = self._try(self._consumer.open)
        if self._is_open:
            while batch := self._next_batch():
                self._try(partial(self._consumer.write, batch))
            self._try(self._consumer.close, always_report=True)
            return
        with self._changed:
            self._closing = True
            self.dropped += len(self._queue)
            self._queue.clear()

    def _next_batch(self) -> list[Record]:
        """What waits, at least one record; nothing when all is done."""
        with self._changed:
            while not self._queue and not self._closing:
                self._changed.wait()
            self._in_hand = min(_BATCH, len(self._queue))
            return [self._queue.popleft() for _ in range(self._in_hand)]

    def _try(self, work: Callable[[], None], *, always_report: bool = False) -> bool:
        try:
            work()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - an observer costs only itself
            self.failures += 1
            if self.failures == 1 or always_report:
                text = str(error) if isinstance(error, HookFailed) else one_line(error)
                self._report(f"observer {self.name!r} failed: {text}")
            return False
        return True


def _is_expendable(record: Record) -> bool:
    return isinstance(record.event, _EXPENDABLE)


def _is_no_frame(record: Record) -> bool:
    return not isinstance(record.event, _FRAME)


class HookConsumer:
    """Calls the observer hooks of one plugin for one run."""

    def __init__(self, host: PluginHost, plugin: str, run_id: str) -> None:
        self._host = host
        self._plugin = plugin
        self._run_id = run_id

    def open(self) -> None:
        """Nothing to get ready."""

    def write(self, records: Sequence[Record]) -> None:
        """Call `bridge_run_started`, `bridge_events` and `bridge_run_finished` where due.

        Raises:
            HookFailed: One of them raised; the others were called all the same.
        """
        failures: list[HookFailure] = []
        for record in records:
            if isinstance(record.event, RunStarted):
                failures += self._host.run_started(self._run_id, record.event, plugin=self._plugin)
        failures += self._host.events(self._run_id, records, plugin=self._plugin)
        for record in records:
            if isinstance(record.event, RunFinished):
                failures += self._host.run_finished(
                    self._run_id, record.event.result, plugin=self._plugin
                )
        if failures:
            raise HookFailed(f"{failures[0].hook}: {failures[0].problem}")

    def close(self) -> None:
        """Nothing to give back."""


class SinkConsumer:
    """Makes a sink in its own thread and writes to it."""

    def __init__(self, spec: SinkSpec, options: BaseModel) -> None:
        self._spec = spec
        self._options = options
        self._sink: Sink | None = None

    def open(self) -> None:
        """Make the sink."""
        self._sink = self._spec.create(self._options)

    def write(self, records: Sequence[Record]) -> None:
        """Write a batch."""
        if self._sink is not None:
            self._sink.write(records)

    def close(self) -> None:
        """Close the sink."""
        if self._sink is not None:
            self._sink.close()


def open_observers(
    host: PluginHost | None,
    sinks: Iterable[tuple[SinkSpec, BaseModel]],
    run_id: str,
    *,
    report: Callable[[str], None],
) -> list[ObserverThread]:
    """One thread for each plugin that observes runs and for each sink; without host, sinks alone.

    Give every record of the run to each of them by `post`, then `close` them, in a worker thread.
    """
    threads = []
    if host is not None:
        threads = [
            ObserverThread(plugin, HookConsumer(host, plugin, run_id), report=report)
            for plugin in host.observers()
        ]
    return threads + [
        ObserverThread(spec.name, SinkConsumer(spec, options), report=report)
        for spec, options in sinks
    ]
