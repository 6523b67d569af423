"""Plays a consensus against its reducer, move by move."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from massgen_bridge.agent import AnswerRef
from massgen_bridge.events import (
    Abstained,
    Answered,
    AnswerRejected,
    BallotSpoiled,
    Happening,
    ImprovementPromised,
    Seat,
    TieBroken,
    TurnIdle,
    TurnLost,
    Voted,
)
from massgen_bridge.strategies.consensus import Consensus, ConsensusOptions, ConsensusState
from massgen_bridge.strategy import (
    BreakTie,
    CancelTurn,
    Command,
    Finish,
    StartTurn,
    WatchIdle,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMES = ("ada", "bob", "cyd")


def seats(*names: str, **about: dict[str, Any]) -> tuple[Seat, ...]:
    """Seats by name; what else there is to one is given under its name."""
    return tuple(
        Seat(agent_id=name, label=f"agent{i}", kind="scripted", **about.get(name, {}))
        for i, name in enumerate(names, 1)
    )


class Game:
    """Plays a run against the reducer and keeps what it commanded."""

    def __init__(
        self, *names: str, about: dict[str, dict[str, Any]] | None = None, **options: Any
    ) -> None:
        self.reducer = Consensus(ConsensusOptions(**options))
        self.happened: list[Happening] = []
        self.turns: dict[str, StartTurn] = {}
        self.finish: Finish | None = None
        self.tie: BreakTie | None = None
        self.commands: list[Command] = []
        self.state, commands = self.reducer.begin(seats(*(names or NAMES), **(about or {})))
        self._take(commands)

    def _take(self, commands: Sequence[Command]) -> None:
        self.commands.extend(commands)
        for command in commands:
            if isinstance(command, StartTurn):
                self.turns[command.agent_id] = command
            if isinstance(command, BreakTie):
                self.tie = command
            if isinstance(command, Finish):
                assert self.finish is None, "a run ends once"
                self.finish = command

    def happen(self, happening: Happening) -> None:
        self.happened.append(happening)
        self.state, commands = self.reducer.step(self.state, happening)
        assert ConsensusState.model_validate_json(self.state.model_dump_json()) == self.state
        self._take(commands)

    def _who(self, name: str) -> dict[str, str]:
        return {"agent_id": name, "turn_id": self.turns[name].turn_id}

    def answer(self, name: str, text: str) -> None:
        self.happen(Answered(**self._who(name), text=text))

    def vote(self, name: str, label: str, version: int = 1) -> None:
        choice = AnswerRef(label=label, version=version)
        self.happen(Voted(**self._who(name), choice=choice, reason="because"))

    def promise(self, name: str) -> None:
        self.happen(ImprovementPromised(**self._who(name)))

    def spoil(self, name: str, problem: str = "unreadable") -> None:
        self.happen(BallotSpoiled(**self._who(name), problem=problem))

    def reject(self, name: str, reason: str) -> None:
        self.happen(AnswerRejected(**self._who(name), reason=reason))

    def lose(self, name: str, kind: Any = "auth") -> None:
        self.happen(TurnLost(**self._who(name), kind=kind, message="lost"))

    def abstain(self, name: str) -> None:
        self.happen(Abstained(**self._who(name)))

    def fall_silent(self, name: str) -> None:
        self.happen(TurnIdle(**self._who(name), idle_s=60))

    def decide(self, label: str, version: int = 1) -> None:
        self.happen(TieBroken(winner=AnswerRef(label=label, version=version), by="order"))

    def all_answer(self) -> None:
        for name in list(self.turns):
            self.answer(name, f"answer of {name}")

    @property
    def started(self) -> list[StartTurn]:
        return [c for c in self.commands if isinstance(c, StartTurn)]

    @property
    def cancelled(self) -> list[str]:
        return [c.turn_id for c in self.commands if isinstance(c, CancelTurn)]

    @property
    def watched(self) -> list[str]:
        return [c.turn_id for c in self.commands if isinstance(c, WatchIdle)]

    @property
    def result(self) -> Finish:
        assert self.finish is not None, "the run has not ended"
        return self.finish
