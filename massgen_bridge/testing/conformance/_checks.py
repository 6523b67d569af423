"""What several groups of tests look at: events, cancellation, and what a process holds."""

# ruff: noqa: S101 - tests assert

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Final, get_args

import anyio
import pytest
from pydantic import TypeAdapter

from massgen_bridge.agent import Agent, Emit, Turn, TurnResult, Usage
from massgen_bridge.errors import UnsupportedContent
from massgen_bridge.events import (
    ModelCallFinished,
    ModelCallStarted,
    ModelRetried,
    TextDelta,
    ToolCallFinished,
    ToolCallStarted,
    TurnEvent,
)
from massgen_bridge.testing.agents import EventLog, collect

__all__ = [
    "GRACE_S",
    "SWALLOWED",
    "Holdings",
    "assert_events",
    "assert_refused",
    "assert_same_text",
    "assert_whole",
    "cancelled",
    "holdings",
]

GRACE_S: Final = 2.0
"""Within so many seconds a cancelled turn has to stop."""

SWALLOWED: Final = (
    "a cancellation is raised through, never swallowed: end a handler that catches it (`except:`, "
    "`except BaseException`) with a bare `raise`"
)
"""What is wrong with an agent that goes on."""

_PATIENCE_S: Final = 10.0
# Threads that the event loop keeps for the next blocking call: so many at most, for everybody.
_POOLS: Final = ("AnyIO worker", "asyncio_")
_SHORT_TEXT: Final = 4000
_EXCERPT: Final = 40
_EVENTS: TypeAdapter[TurnEvent] = TypeAdapter(TurnEvent)


def assert_whole(result: object) -> None:
    """The result is one that the host can work with, also when it comes from another process."""
    assert isinstance(result, TurnResult), f"a turn returns a TurnResult, not {result!r}"
    assert result.message.role == "assistant"
    assert result.new_messages, (
        "new_messages is empty; it holds everything that the turn adds to the history, and ends "
        "with the answer: new_messages=(message,)"
    )
    wrong = {one.role for one in result.new_messages} - {"assistant", "tool"}
    assert not wrong, f"a turn adds no {wrong} messages to the history"
    # What pytest would have to say of two long results that differ takes it minutes to find.
    last = [one for one in result.new_messages if one.role == "assistant"][-1:]
    is_own = last == [result.message]
    assert is_own, "the last assistant message is the result's own"
    assert result.session is None or result.session, "no session is None, not an empty text"
    survives = TurnResult.model_validate_json(result.model_dump_json()) == result
    assert survives, "a result survives JSON"


def assert_events(events: Sequence[object], result: TurnResult, *, streaming: bool) -> None:
    """The events of a turn that went well are in order, and agree with its result.

    Args:
        events: All that the turn emitted.
        result: What it returned.
        streaming: Whether the agent promises deltas.
    """
    log, open_models = EventLog(), 0
    open_tools: set[str] = set()
    for event in events:
        assert isinstance(event, get_args(TurnEvent)), f"no turn emits {type(event).__name__}"
        assert _EVENTS.validate_json(_EVENTS.dump_json(event)) == event, "events survive JSON"
        log.events.append(event)
        match event:
            case ModelCallStarted():
                open_models += 1
            case ModelCallFinished() | ModelRetried():
                open_models -= 1
                assert open_models >= 0, f"{event.type} without a model call that had started"
            case ToolCallStarted(call=call):
                assert call.call_id not in open_tools, f"call {call.call_id!r} started twice"
                open_tools.add(call.call_id)
            case ToolCallFinished(result=told):
                assert told.call_id in open_tools, f"call {told.call_id!r} ended unstarted"
                open_tools.remove(told.call_id)
            case _:
                pass
    assert open_models == 0, "a model call has neither finished nor been retried"
    assert not open_tools, "a tool call has no end"
    _assert_deltas(log, result, streaming=streaming)
    _assert_usage(log, result)


def _assert_deltas(log: EventLog, result: TurnResult, *, streaming: bool) -> None:
    own = any(event.source is None for event in log.of(TextDelta))
    if result.stop_reason == "tool" or not (streaming or (log.text and own)):
        return  # one that does not stream may tell what the members of its group say
    assert log.text == result.text, (
        "the deltas join to the text of the result; `await emit(TextDelta(text=...))` what the "
        "agent says, or claim Capabilities(streaming=False)"
    )


def _assert_usage(log: EventLog, result: TurnResult) -> None:
    counted = [event.usage for event in log.of(ModelCallFinished) if event.usage is not None]
    if result.usage is not None and counted:
        assert sum(counted, Usage()) == result.usage, "a turn's usage is that of its model calls"


def assert_same_text(found: str, wanted: str) -> None:
    """A text is another one, to the letter; of long ones that differ it is told where."""
    if max(len(found), len(wanted)) <= _SHORT_TEXT:
        assert found == wanted
        return
    if found != wanted:
        pairs = zip(found, wanted, strict=False)
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        pytest.fail(
            f"{len(found)} characters came in place of {len(wanted)}; from number {same + 1} on: "
            f"{found[same : same + _EXCERPT]!r} in place of {wanted[same : same + _EXCERPT]!r}"
        )


async def assert_refused(agent: Agent, turn: Turn) -> None:
    """The turn is refused as something that the agent cannot carry, before anything else."""
    events = collect()
    try:
        await agent.run(turn, events)
    except UnsupportedContent:
        pass
    else:
        pytest.fail(
            "it took what its capabilities do not claim; `capabilities.check(turn)` refuses that, "
            "as the first line of run"
        )
    assert events.events == [], "a refusal comes before anything is told"


async def cancelled(
    agent: Agent,
    asked: Turn,
    under_way: Callable[[], Awaitable[object]],
    *,
    emit: Emit | None = None,
) -> None:
    """Do a turn and cancel it when it is under way; the cancellation has to come out of it."""
    ended: list[str] = []

    async def run() -> None:
        try:
            await agent.run(asked, emit or collect())
        except anyio.get_cancelled_exc_class():
            ended.append("cancelled")
            raise
        ended.append("returned")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        with anyio.fail_after(_PATIENCE_S):
            await under_way()
        began = time.monotonic()
        tasks.cancel_scope.cancel()
    took = time.monotonic() - began
    assert ended == ["cancelled"], SWALLOWED
    assert took < GRACE_S, f"the turn took {took:.1f} s to stop"


# --- what a process holds ------------------------------------------------------------------------


@dataclass(frozen=True)
class Holdings:
    """What this process holds now.

    Attributes:
        tasks: Tasks of the event loop.
        threads: Threads by name and how many of it, but for those that the event loop keeps for
            the next blocking call.
        files: Open files and sockets, by what they are and how many of them; none on systems that
            do not list them.
        children: Ids of child processes; none on systems that do not list them.
    """

    tasks: frozenset[tuple[int, str | None]]
    threads: Counter[str]
    files: Counter[str]
    children: frozenset[int]

    def beyond(self, earlier: Holdings) -> dict[str, object]:
        """What is held now and was not before; empty when there is nothing."""
        more: dict[str, object] = {
            "tasks": self.tasks - earlier.tasks,
            "threads": self.threads - earlier.threads,
            "files": self.files - earlier.files,
            "child processes": self.children - earlier.children,
        }
        return {name: found for name, found in more.items() if found}


def holdings() -> Holdings:
    """What this process holds now; to be called in the event loop."""
    names = (thread.name for thread in threading.enumerate())
    return Holdings(
        tasks=frozenset((task.id, task.name) for task in anyio.get_running_tasks()),
        threads=Counter(name for name in names if not name.startswith(_POOLS)),
        files=Counter(_open_files()),
        children=frozenset(_children()),
    )


def _open_files() -> list[str]:
    """Kinds of open files, such as `socket`; a file by its path."""
    found = []
    for entry in _listed(Path("/proc/self/fd")):
        try:
            target = str(entry.readlink())
        except OSError:
            continue  # closed meanwhile, such as that of this very listing
        kind, colon, _number = target.partition(":[")
        found.append(kind if colon else target)
    return found


def _children() -> list[int]:
    found: list[int] = []
    for task in _listed(Path("/proc/self/task")):
        try:
            found += map(int, (task / "children").read_text().split())
        except OSError:
            continue  # the thread has ended
    return found


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []
