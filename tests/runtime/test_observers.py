"""Observers take the records of a run in threads of their own; the run never waits for them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import anyio.to_thread
import pytest
from extension_package.installing import installed

from massgen_bridge.events import (
    Answered,
    Event,
    LogLine,
    Record,
    RunFinished,
    RunResult,
    RunStarted,
    TextDelta,
)
from massgen_bridge.hookspecs import hookimpl
from massgen_bridge.messages import user
from massgen_bridge.plugins import PluginHost
from massgen_bridge.runtime.observers import HookConsumer, ObserverThread, open_observers
from massgen_bridge.specs import NoOptions, SinkSpec

pytestmark = pytest.mark.anyio

STARTED = RunStarted(bridge_version="0", question=user("q"), seats=(), strategy="consensus")
FINISHED = RunFinished(result=RunResult(run_id="r", status="answered"))
PATIENCE_S = 10.0


def _records(*events: Event) -> list[Record]:
    return [Record(run_id="r", seq=n, at=0.0, event=event) for n, event in enumerate(events, 1)]


def _said(text: str) -> Answered:
    return Answered(agent_id="a", turn_id="t", text=text)


class _Keeps:
    """A consumer that keeps what it gets, and can be held up."""

    def __init__(self, *, held: bool = False, failing: tuple[str, ...] = ()) -> None:
        self.batches: list[Sequence[Record]] = []
        self.calls: list[str] = []
        self.busy = threading.Event()
        self.may_go_on = threading.Event()
        self._failing = failing
        if not held:
            self.may_go_on.set()

    @property
    def events(self) -> list[Event]:
        return [record.event for batch in self.batches for record in batch]

    def open(self) -> None:
        self._note("open")

    def write(self, records: Sequence[Record]) -> None:
        self.busy.set()
        assert self.may_go_on.wait(PATIENCE_S)
        self.batches.append(records)
        self._note("write")

    def close(self) -> None:
        self._note("close")

    def _note(self, call: str) -> None:
        self.calls.append(call)
        if call in self._failing:
            raise SystemExit(f"cannot {call}")


@pytest.fixture
def reports() -> list[str]:
    return []


@pytest.fixture
def start(reports: list[str]) -> Iterator[Callable[..., ObserverThread]]:
    threads: list[tuple[ObserverThread, _Keeps]] = []

    def begin(consumer: _Keeps, *, capacity: int = 4096) -> ObserverThread:
        thread = ObserverThread("mine", consumer, report=reports.append, capacity=capacity)
        threads.append((thread, consumer))
        return thread

    yield begin
    for thread, consumer in threads:
        consumer.may_go_on.set()
        assert thread.close(PATIENCE_S)


def test_records_arrive_in_order_and_all_of_them(
    start: Callable[..., ObserverThread], reports: list[str]
) -> None:
    consumer = _Keeps()
    thread = start(consumer)
    records = _records(*(TextDelta(text=str(n)) for n in range(1000)))
    for record in records:
        thread.post(record)
    assert thread.close(PATIENCE_S)
    assert [record for batch in consumer.batches for record in batch] == records
    assert max(map(len, consumer.batches)) <= 256
    assert consumer.calls == ["open", *["write"] * len(consumer.batches), "close"]
    assert (thread.dropped, thread.failures, reports) == (0, 0, [])


def test_what_comes_after_the_end_is_ignored(start: Callable[..., ObserverThread]) -> None:
    consumer = _Keeps()
    thread = start(consumer)
    assert thread.close(PATIENCE_S)
    thread.post(_records(STARTED)[0])
    assert consumer.batches == []


def test_a_consumer_that_raises_is_reported_once_and_goes_on(
    start: Callable[..., ObserverThread], reports: list[str]
) -> None:
    consumer = _Keeps(failing=("write", "close"))
    thread = start(consumer)
    for record in _records(*(_said(str(n)) for n in range(3))):
        consumer.busy.clear()
        thread.post(record)
        assert consumer.busy.wait(PATIENCE_S)
    assert thread.close(PATIENCE_S)
    assert [event.text for event in consumer.events if isinstance(event, Answered)] == [
        "0",
        "1",
        "2",
    ]
    assert thread.failures == len(consumer.batches) + 1
    assert reports == [
        "observer 'mine' failed: SystemExit: cannot write",
        "observer 'mine' failed: SystemExit: cannot close",
    ]


def test_a_consumer_that_cannot_be_opened_gets_nothing(
    start: Callable[..., ObserverThread], reports: list[str]
) -> None:
    consumer = _Keeps(failing=("open",))
    thread = start(consumer)
    for record in _records(STARTED, FINISHED):
        thread.post(record)
    assert thread.close(PATIENCE_S)
    assert consumer.calls == ["open"]
    assert reports == ["observer 'mine' failed: SystemExit: cannot open"]


async def test_posting_never_waits_for_a_consumer_that_blocks(
    start: Callable[..., ObserverThread], reports: list[str]
) -> None:
    """In the event loop, where a blocking call would raise."""
    consumer = _Keeps(held=True)
    thread = start(consumer, capacity=64)
    first, *others = _records(STARTED, *(TextDelta(text=str(n)) for n in range(20_000)))
    thread.post(first)
    assert await anyio.to_thread.run_sync(consumer.busy.wait, PATIENCE_S)
    begun = time.process_time()
    for record in others:
        thread.post(record)
    assert time.process_time() - begun < 2.0, "twenty thousand records take a few milliseconds"
    assert thread.dropped >= 20_000 - 64
    assert thread.close(0.0) is False
    assert thread.dropped == 20_000
    (report,) = reports
    assert "'mine' is still busy after 0 s and is left behind" in report
    assert "it lost 20000 records, and perhaps the 1 that it is busy with" in report


def test_the_oldest_deltas_are_dropped_first(
    start: Callable[..., ObserverThread], reports: list[str]
) -> None:
    consumer = _Keeps(held=True)
    thread = start(consumer, capacity=8)
    thread.post(_records(STARTED)[0])
    assert consumer.busy.wait(PATIENCE_S)
    log = LogLine(stream="log", text="x")
    pieces = [TextDelta(text=str(n)) for n in range(5)]
    for record in _records(_said("0"), log, *pieces, _said("1"), FINISHED, _said("2")):
        thread.post(record)
    consumer.may_go_on.set()
    assert thread.close(PATIENCE_S)
    kept = [*pieces[1:], _said("1"), FINISHED, _said("2")]
    assert consumer.events == [STARTED, _said("0"), *kept]
    assert thread.dropped == 2
    assert reports == ["observer 'mine' was too slow: it lost 2 records"]


def test_without_deltas_the_oldest_are_dropped_but_never_the_frame_of_the_run(
    start: Callable[..., ObserverThread],
) -> None:
    consumer = _Keeps(held=True)
    thread = start(consumer, capacity=4)
    thread.post(_records(_said("first"))[0])
    assert consumer.busy.wait(PATIENCE_S)
    for record in _records(STARTED, *(_said(str(n)) for n in range(50)), FINISHED):
        thread.post(record)
    consumer.may_go_on.set()
    assert thread.close(PATIENCE_S)
    events = consumer.events[1:]
    assert events[0] == STARTED
    assert events[-2:] == [_said("49"), FINISHED]
    assert len(events) + thread.dropped == 52
    assert len(events) <= 5


# --- hooks ----------------------------------------------------------------------------------------


class _Observer:
    def __init__(self, *, failing: str = "") -> None:
        self.calls: list[tuple[str, object]] = []
        self._failing = failing

    def _note(self, call: str, value: object) -> None:
        self.calls.append((call, value))
        if call == self._failing:
            raise ValueError(f"cannot take {call}")

    @hookimpl
    def bridge_run_started(self, run_id: str, started: RunStarted) -> None:
        self._note("started", (run_id, started))

    @hookimpl
    def bridge_events(self, run_id: str, records: Sequence[Record]) -> None:
        assert run_id == "r"
        self._note("events", [record.event for record in records])

    @hookimpl
    def bridge_run_finished(self, result: RunResult) -> None:
        self._note("finished", result)


class _Blocks:
    """Waits for a lock that is never given back, in every hook."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    @hookimpl
    def bridge_events(self) -> None:
        self._lock.acquire()


def _host(**plugins: object) -> PluginHost:
    host = PluginHost(entry_points=False)
    for name, plugin in plugins.items():
        host.register(plugin, name=name)
    return host


def test_each_hook_of_a_plugin_is_called_where_it_is_due(reports: list[str]) -> None:
    observer = _Observer()
    host = _host(observer=observer)
    (thread,) = open_observers(host, (), "r", report=reports.append)
    for record in _records(STARTED, _said("x"), FINISHED):
        thread.post(record)
    assert thread.close(PATIENCE_S)
    assert observer.calls[0] == ("started", ("r", STARTED))
    assert observer.calls[-1] == ("finished", FINISHED.result)
    batches = [value for call, value in observer.calls if call == "events"]
    events = [event for batch in batches if isinstance(batch, list) for event in batch]
    assert events == [STARTED, _said("x"), FINISHED]
    assert reports == []


@pytest.mark.parametrize("failing", ["started", "events", "finished"])
def test_a_failing_hook_costs_only_itself(failing: str, reports: list[str]) -> None:
    bad, good = _Observer(failing=failing), _Observer()
    threads = open_observers(_host(bad=bad, good=good), (), "r", report=reports.append)
    for record in _records(STARTED, FINISHED):
        for thread in threads:
            thread.post(record)
    assert all(thread.close(PATIENCE_S) for thread in threads)
    for observer in (bad, good):
        assert {call for call, _ in observer.calls} == {"started", "events", "finished"}
    (report,) = reports
    assert "observer 'bad' failed: bridge_" in report
    assert f"ValueError: cannot take {failing}" in report


def test_a_plugin_that_blocks_for_ever_is_left_behind(reports: list[str]) -> None:
    good = _Observer()
    threads = open_observers(_host(blocks=_Blocks(), good=good), (), "r", report=reports.append)
    for record in _records(STARTED, FINISHED):
        for thread in threads:
            thread.post(record)
    begun = time.monotonic()
    assert [thread.close(0.2 if thread.name == "blocks" else 10) for thread in threads] == [
        False,
        True,
    ]
    assert time.monotonic() - begun < PATIENCE_S
    assert good.calls[-1] == ("finished", FINISHED.result)
    (report,) = reports
    assert "observer 'blocks' is still busy" in report


def test_only_plugins_that_observe_get_a_thread(reports: list[str]) -> None:
    class Decides:
        @hookimpl
        def bridge_answer(self) -> None:
            """No observer."""

    assert open_observers(_host(decides=Decides()), (), "r", report=reports.append) == []


def test_a_host_tells_all_observers_and_returns_what_failed() -> None:
    observers = {"bad": _Observer(failing="events"), "good": _Observer()}
    host = _host(**observers)
    assert host.observers() == ("bad", "good")
    (failure,) = host.events("r", _records(STARTED))
    assert str(failure) == "plugin 'bad': bridge_events: ValueError: cannot take events"
    assert host.run_started("r", STARTED) == host.run_finished("r", FINISHED.result) == []
    assert host.events("r", _records(STARTED), plugin="good") == []
    HookConsumer(host, "good", "r").write(_records(FINISHED))
    assert observers["good"].calls[-1] == ("finished", FINISHED.result)


# --- sinks ----------------------------------------------------------------------------------------


def test_a_sink_of_an_installed_plugin_gets_every_record(
    tmp_path: Path, reports: list[str]
) -> None:
    with installed(tmp_path / "site", "good"):
        spec = PluginHost().sink("lines")
        options = spec.options.model_validate({"path": str(tmp_path / "run.jsonl")})
        (thread,) = open_observers(_host(), [(spec, options)], "r", report=reports.append)
        for record in _records(STARTED, FINISHED):
            thread.post(record)
        assert thread.close(PATIENCE_S)
    lines = (tmp_path / "run.jsonl").read_text().splitlines()
    types = [json.loads(line)["event"]["type"] for line in lines]
    assert types == ["run_started", "run_finished"]
    assert reports == []


def test_a_sink_is_made_in_its_own_thread_and_may_fail_there(reports: list[str]) -> None:
    made_in: list[str] = []

    def create(_options: object) -> _Keeps:
        made_in.append(threading.current_thread().name)
        raise OSError("no space")

    spec = SinkSpec(name="full", summary="Full.", create=create)
    (thread,) = open_observers(_host(), [(spec, NoOptions())], "r", report=reports.append)
    thread.post(_records(STARTED)[0])
    assert thread.close(PATIENCE_S)
    assert made_in == ["massgen-bridge observer full"]
    assert reports == ["observer 'full' failed: OSError: no space"]
