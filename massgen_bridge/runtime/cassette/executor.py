"""An executor whose turns are recorded, or replayed."""

from __future__ import annotations

import hmac
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from massgen_bridge.errors import CassetteError
from massgen_bridge.events import ModelCallStarted
from massgen_bridge.models.tape import asking, caller, current_tape
from massgen_bridge.runtime.cassette.recording import Recording
from massgen_bridge.runtime.cassette.replaying import Replay

if TYPE_CHECKING:
    from massgen_bridge.agent import Emit, Turn
    from massgen_bridge.events import TurnEvent
    from massgen_bridge.runtime.crew import AgentSetup
    from massgen_bridge.runtime.executor import Executor, TurnOutcome

__all__ = ["TapedExecutor", "marks_of", "rolling_tape", "tape_of"]


class TapedExecutor:
    """Tells a tape whose turn it is, and when it ends.

    Args:
        executor: Does the turns.
        tape: Records them, or answers their calls.
    """

    def __init__(self, executor: Executor, tape: Recording | Replay) -> None:
        self._executor = executor
        self._tape = tape

    async def run_turn(self, setup: AgentSetup, turn: Turn, emit: Emit) -> TurnOutcome:
        """Do one turn.

        Raises:
            ReplayDiverged: The run does not fit the cassette.
        """
        who = caller().within(turn.agent_id, turn.turn_id)

        async def told(event: TurnEvent, /) -> None:
            if isinstance(event, ModelCallStarted) and event.source is None:
                self._tape.askers.note(who.agent, setup.kind)
            await emit(event)

        self._tape.started(who, partial(self._executor.cancel, turn.turn_id))
        try:
            with asking(who):
                outcome = await self._executor.run_turn(setup, turn, told)
            return await self._tape.ended(who, outcome)
        finally:
            self._tape.over(who)

    def cancel(self, turn_id: str, reason: str) -> None:
        """Stop a turn."""
        self._executor.cancel(turn_id, reason)

    async def wait_idle(self, turn_id: str, idle_s: float) -> str | None:
        """Wait for a turn to fall silent."""
        return await self._executor.wait_idle(turn_id, idle_s)


def tape_of(*, record: Path | str | None, replay: Path | str | None) -> Recording | Replay | None:
    """The tape that a run is to have, if any; reading one blocks.

    Raises:
        CassetteError: Both are asked for, the file to record to exists, or the one to replay
            cannot be read.
    """
    if record is not None and replay is not None:
        raise CassetteError("a run is recorded or replayed: give one of `record` and `replay`")
    if record is not None:
        return Recording(Path(record))
    return None if replay is None else Replay(Path(replay))


def rolling_tape() -> Recording | Replay | None:
    """The tape of the run around."""
    tape = current_tape()
    return tape if isinstance(tape, (Recording, Replay)) else None


def marks_of(tape: Recording | Replay) -> str:
    """What the marks on the ballots of a run are made from; each turn of a team has its own."""
    turn = caller().turn
    return hmac.digest(tape.marks.encode(), turn.encode(), "sha256").hex()
