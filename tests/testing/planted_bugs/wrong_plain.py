"""Agents without a model that break what every agent promises."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, ClassVar

import anyio
import anyio.to_thread

from massgen_bridge import Capabilities, NotFound, TextDelta, TurnResult, assistant
from massgen_bridge.events import TurnDone

if TYPE_CHECKING:
    from massgen_bridge import Emit, Turn

__all__ = ["WRONG", "Plain"]


class Plain:
    """An agent that says the question back, in pieces, and keeps every promise."""

    able: ClassVar[Capabilities] = Capabilities(history=False)
    caught_by: ClassVar[tuple[str, ...]] = ()

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        """Do the turn."""
        self.check(turn)
        pieces = turn.question.partition(" ")
        for piece in filter(None, pieces):
            await anyio.sleep(0.002)
            await emit(TextDelta(text=piece))
        return self.result("".join(pieces))

    async def aclose(self) -> None:
        """Nothing to give back."""

    def check(self, turn: Turn) -> None:
        """Refuse what it cannot do."""
        self.able.check(turn)

    def result(self, text: str) -> TurnResult:
        """The result of a turn that gave this text."""
        message = assistant(text)
        return TurnResult(message=message, new_messages=(message,))


class RefusesNothing(Plain):
    """Answers a question on a picture without having looked at it, as CrewAI's agents do."""

    caught_by = (
        "test_what_it_does_not_claim_is_refused[image]",
        "test_what_it_does_not_claim_is_refused[tools]",
        "test_what_it_does_not_claim_is_refused[schema]",
    )

    def check(self, turn: Turn) -> None:
        """Lets everything pass."""


class RefusesWhatItClaims(Plain):
    """Claims pictures and cannot take any."""

    caught_by = ("test_what_it_does_not_claim_is_refused[image]",)
    able = Capabilities(history=False, inputs=frozenset({"image"}))

    def check(self, turn: Turn) -> None:
        Capabilities().check(turn)


class ClaimsToObeySchemas(Plain):
    """Claims output schemas, and answers as always."""

    caught_by = ("test_what_it_does_not_claim_is_refused[schema]",)
    able = Capabilities(history=False, structured=True)


class IsNoCoroutine(Plain):
    """Has a `run` that is no `async def`."""

    caught_by = ("test_a_turn_returns_one_whole_result",)

    def run(self, turn: Turn, emit: Emit) -> Any:
        del emit
        return self.result(turn.question)


class AddsNothingToTheHistory(Plain):
    """Returns a message and no history, so that the next turn knows nothing of it."""

    caught_by = ("test_a_turn_returns_one_whole_result",)

    def result(self, text: str) -> TurnResult:
        return TurnResult(message=assistant(text))


class ReturnsText(Plain):
    """Returns a text where a `TurnResult` is due."""

    caught_by = ("test_a_turn_returns_one_whole_result",)

    def result(self, text: str) -> Any:
        return text


class ClaimsToStream(Plain):
    """Claims that it streams, and tells of nothing."""

    caught_by = (
        "test_events_come_in_order_and_agree_with_the_result",
        "test_a_turn_cancelled_at_an_event_stops[first]",
    )

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        del emit
        self.check(turn)
        await anyio.sleep(0.002)
        return self.result(turn.question)


class EndsItsTurnItself(Plain):
    """Emits the terminal event that is the executor's."""

    caught_by = ("test_events_come_in_order_and_agree_with_the_result",)

    async def run(self, turn: Turn, emit: Any) -> TurnResult:
        result = await super().run(turn, emit)
        await emit(TurnDone(result=result))
        return result


class TellsMoreWhenItIsOver(Plain):
    """Goes on telling after its turn. CrewAI's handlers run in threads of their own, and later
    runs' consoles showed what earlier ones still printed.
    """

    caught_by = ("test_a_turn_ends_once_and_tells_nothing_later",)

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        async def later() -> None:
            await asyncio.sleep(0.03)
            await emit(TextDelta(text="One more thing."))

        result = await super().run(turn, emit)
        self.later = asyncio.get_running_loop().create_task(later())
        return result


class StopsSilently(Plain):
    """Takes a cancellation for the end of its work."""

    caught_by = (
        "test_a_turn_cancelled_while_it_works_stops[halfway]",
        "test_a_turn_cancelled_twice_ends_once",
    )

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        self.check(turn)
        try:
            await anyio.sleep(0.3)
            await emit(TextDelta(text=turn.question))
        except anyio.get_cancelled_exc_class():
            pass
        return self.result(turn.question)


class CannotBeStopped(Plain):
    """Works on for some seconds, whoever cancels it."""

    caught_by = (
        "test_a_turn_cancelled_while_it_works_stops[at-once]",
        "test_a_turn_ends_at_its_time_limit",
    )

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        self.check(turn)
        with anyio.CancelScope(shield=True):
            await anyio.sleep(2.8)
        return await super().run(turn, emit)


class HoldsUpTheLoop(Plain):
    """Computes for a second in the event loop, and everybody waits."""

    caught_by = ("test_the_event_loop_is_not_held_up",)

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        until = time.monotonic() + 1.1
        while time.monotonic() < until:
            pass
        return await super().run(turn, emit)


class FallsWithItsNeighbour(Plain):
    """Fails all turns where one was cancelled."""

    caught_by = ("test_a_cancelled_turn_takes_no_other_with_it",)

    def __init__(self) -> None:
        self.broken = False

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        self.check(turn)
        try:
            await emit(TextDelta(text=turn.question))
            await anyio.sleep(0.3)
        except anyio.get_cancelled_exc_class():
            self.broken = True
            raise
        if self.broken:
            raise RuntimeError("the session was closed")
        return self.result(turn.question)


class KnowsOneTurnAtATime(Plain):
    """Keeps the pieces of its answer in the agent."""

    caught_by = ("test_turns_at_the_same_time_do_not_mix",)

    def __init__(self) -> None:
        self.said: list[str] = []

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        self.said = []
        await super().run(turn, self._keeping(emit))
        return self.result("".join(self.said))

    def _keeping(self, emit: Emit) -> Emit:
        async def keep(event: Any, /) -> None:
            self.said.append(event.text)
            await emit(event)

        return keep


class KeepsEveryTurn(Plain):
    """Keeps all its turns for as long as it lives. In MassGen's group chats tools are only ever
    added.
    """

    caught_by = ("test_a_turn_that_is_over_is_let_go",)

    def __init__(self) -> None:
        self.turns: list[Turn] = []

    def check(self, turn: Turn) -> None:
        self.turns.append(turn)
        super().check(turn)


class KnowsNoSessionOfItsOwn(Plain):
    """Gives a session token, and does not know it when it comes back."""

    caught_by = ("test_a_session_is_taken_back",)

    def check(self, turn: Turn) -> None:
        super().check(turn)
        if turn.session is not None:
            raise NotFound(f"there is no session {turn.session!r}")

    def result(self, text: str) -> TurnResult:
        return super().result(text).model_copy(update={"session": "1"})


class CannotBeClosed(Plain):
    """Has no `aclose`, so that nobody can make it give anything back."""

    caught_by = ("test_it_is_an_agent",)
    aclose: Any = None


class CannotBeClosedTwice(Plain):
    """Fails where it is closed again."""

    caught_by = ("test_it_can_be_closed_unused_and_twice",)

    def __init__(self) -> None:
        self.files = [os.devnull]

    async def aclose(self) -> None:
        self.files.pop()


_NOTHING_LEFT = "test_nothing_is_left_of_a_closed_agent"


class LeavesATask(Plain):
    """Leaves a task of the event loop behind, as a cancelled run of classic AutoGen left four."""

    caught_by = (_NOTHING_LEFT,)

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        self.task = asyncio.get_running_loop().create_task(asyncio.sleep(600))
        return await super().run(turn, emit)


class LeavesAThread(Plain):
    """Leaves a thread behind."""

    caught_by = (_NOTHING_LEFT,)

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        threading.Thread(target=threading.Event().wait, args=(600,), daemon=True).start()
        return await super().run(turn, emit)


class LeavesAFile(Plain):
    """Leaves a file open."""

    caught_by = (_NOTHING_LEFT,)

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        os.dup(1)
        return await super().run(turn, emit)


class LeavesAProcess(Plain):
    """Leaves a child process behind."""

    caught_by = (_NOTHING_LEFT,)
    started: ClassVar[list[Any]] = []  # or Python warns of them

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        code = "import os, time\nhost = os.getppid()\nwhile os.getppid() == host: time.sleep(0.5)"
        wait = [sys.executable, "-S", "-c", code]
        self.started.append(await anyio.to_thread.run_sync(subprocess.Popen, wait))
        return await super().run(turn, emit)


WRONG: tuple[type[Plain], ...] = (
    RefusesNothing,
    RefusesWhatItClaims,
    ClaimsToObeySchemas,
    AddsNothingToTheHistory,
    IsNoCoroutine,
    ReturnsText,
    ClaimsToStream,
    EndsItsTurnItself,
    TellsMoreWhenItIsOver,
    StopsSilently,
    CannotBeStopped,
    HoldsUpTheLoop,
    FallsWithItsNeighbour,
    KnowsOneTurnAtATime,
    KeepsEveryTurn,
    KnowsNoSessionOfItsOwn,
    CannotBeClosed,
    CannotBeClosedTwice,
    LeavesATask,
    LeavesAThread,
    LeavesAFile,
    LeavesAProcess,
)
