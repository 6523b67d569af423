"""Runs a strategy against anything that can happen, and watches that it keeps its promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from massgen_bridge.agent import AnswerRef
from massgen_bridge.events import (
    Abstained,
    Answered,
    AnswerRejected,
    BallotSpoiled,
    BudgetReached,
    DeadlinePassed,
    Happening,
    ImprovementPromised,
    Ranked,
    Seat,
    SpeakerChosen,
    TieBroken,
    TurnIdle,
    TurnLost,
    Voted,
)
from massgen_bridge.strategies._candidates import content_of
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

NAMES = ("ada", "bob", "cyd", "dan")
CLOSE = 1e-6
DEADLINE = DeadlinePassed(after_s=1)

OUTCOMES = (
    "proper",  # what was asked for
    "proper",
    "proper",
    "same text",
    "hiccup",  # a failure that may pass
    "failure",
    "spoiled",
    "abstention",
    "rejected",
    "promise",
    "unasked text",
    "unasked vote",
    "unseen version",
    "unasked order",
    "unasked speaker",
    "the end",
)
NEWS = (
    "idle",
    "budget",
    "budget of the run",
    "time of the run",
)  # what may happen to a turn without ending it


def seats(*names: str, **others: dict[str, Any]) -> tuple[Seat, ...]:
    """Seats by name; what else there is to a seat is given by its name."""
    return tuple(
        Seat(agent_id=name, label=f"agent{i}", kind="scripted", **others.get(name, {}))
        for i, name in enumerate(names, 1)
    )


def outcome(kind: str, turn: StartTurn, choice: int = 0) -> Happening:
    """What may come of a turn; `choice` picks among what there is to choose from."""
    if kind == "proper":
        return _proper(turn, choice)
    who = {"agent_id": turn.agent_id, "turn_id": turn.turn_id}
    text, label = f"text of {turn.turn_id}", f"agent{1 + choice % 4}"
    speaks = (turn.repairs or turn.purpose) == "speak"
    happenings: dict[str, Happening] = {
        "same text": Answered(**who, text=" the same\n"),
        "hiccup": TurnLost(**who, kind="server", message="down"),
        "failure": TurnLost(**who, kind="auth", message="no key"),
        "spoiled": BallotSpoiled(**who, problem="unreadable"),
        "rejected": AnswerRejected(**who, reason="rude"),
        "abstention": Abstained(**who, reason="nothing to say"),
        "promise": ImprovementPromised(**who),
        "unasked text": Answered(**who, text=text),
        "unasked vote": Voted(**who, choice=AnswerRef(label=label, version=1)),
        "unseen version": Voted(**who, choice=AnswerRef(label=label, version=99)),
        "unasked order": Ranked(**who, ranking=(AnswerRef(label=label, version=1),)),
        "idle": TurnIdle(**who, idle_s=1),
        "budget": BudgetReached(agent_id=turn.agent_id, budget="tokens", limit=9, used=10),
        "budget of the run": BudgetReached(budget="model_calls", limit=9, used=9),
        "time of the run": BudgetReached(budget="wall_s", limit=9, used=9),
        "unasked speaker": SpeakerChosen(**who, label=f"agent{1 + choice % 9}"),
        "the end": Answered(**who, text=f"{text}\nDONE") if speaks else SpeakerChosen(**who),
    }
    return happenings[kind]


def _proper(turn: StartTurn, choice: int) -> Happening:
    who = {"agent_id": turn.agent_id, "turn_id": turn.turn_id}
    asked = turn.purpose
    if asked == "repair":
        asked = turn.repairs or ("evaluate" if turn.shown else "answer")
    if asked == "chair":
        return SpeakerChosen(**who, label=turn.speakers[choice % len(turn.speakers)].label)
    if asked == "rank":
        refs = [AnswerRef(label=seen.label, version=seen.version) for seen in turn.shown]
        shift = choice % len(refs)
        return Ranked(**who, ranking=(*refs[shift:], *refs[:shift]), reason="so")
    if asked in {"evaluate", "judge", "break_tie"}:
        if turn.may_improve and choice % 5 == 4:
            return Answered(**who, text=f"better {turn.turn_id}")
        seen = turn.shown[choice % len(turn.shown)]
        return Voted(**who, choice=AnswerRef(label=seen.label, version=seen.version), reason="so")
    return Answered(**who, text=f"text of {turn.turn_id}")


class Drive:
    """One run. Every step goes on from the JSON of the last state, as after a restart."""

    def __init__(self, strategy: Any, *names: str, **others: dict[str, Any]) -> None:
        self.strategy = strategy
        self.seats = seats(*(names or NAMES), **others)
        self.happened: list[Happening] = []
        self.commands: list[tuple[Command, ...]] = []
        self.running: dict[str, StartTurn] = {}
        self.started: dict[str, StartTurn] = {}
        self.watched: dict[str, WatchIdle] = {}
        self.tie: BreakTie | None = None
        self.finish: Finish | None = None
        self.spent: set[str | None] = set()
        self.state, commands = strategy.begin(self.seats)
        self._take(commands)

    def happen(self, happening: Happening) -> None:
        before = self.finish
        turn_id = getattr(happening, "turn_id", None)
        awaited = turn_id is None or turn_id in self.running
        state = type(self.state).model_validate_json(self.state.model_dump_json())
        assert state == self.state, "the state does not survive JSON"
        new, commands = self.strategy.step(state, happening)
        assert state == self.state, "a state was changed in place"
        assert awaited or (new, commands) == (state, ()), "a turn that does not run has a say"
        assert before is None or commands == (), "commands after the end"
        self.happened.append(happening)
        self.state = new
        if turn_id is not None and not isinstance(happening, TurnIdle):
            self._end(turn_id)
        if isinstance(happening, TurnIdle):
            self.watched.pop(happening.turn_id, None)
        if isinstance(happening, TieBroken):
            self.tie = None
        if isinstance(happening, BudgetReached):
            self.spent.add(happening.agent_id)
        self._take(commands)

    def idle(self, choice: int) -> None:
        """One of those that are watched has fallen silent."""
        watch = list(self.watched.values())[choice % len(self.watched)]
        agent_id = self.started[watch.turn_id].agent_id
        self.happen(TurnIdle(agent_id=agent_id, turn_id=watch.turn_id, idle_s=watch.idle_s))

    def _end(self, turn_id: str) -> None:
        self.running.pop(turn_id, None)
        self.watched.pop(turn_id, None)

    def _take(self, commands: Sequence[Command]) -> None:
        self.commands.append(tuple(commands))
        for command in commands:
            match command:
                case StartTurn():
                    assert command.turn_id not in self.started, "a turn id was used twice"
                    assert not self.spent & {None, command.agent_id}, "a turn without a budget"
                    busy = {turn.agent_id for turn in self.running.values()}
                    assert command.agent_id not in busy, "an agent has two turns at once"
                    self._check_roles(command)
                    self._check_follows(command)
                    self.started[command.turn_id] = self.running[command.turn_id] = command
                case CancelTurn():
                    assert command.turn_id in self.running, "a turn is stopped that does not run"
                    self._end(command.turn_id)
                case WatchIdle():
                    assert command.turn_id in self.running, "a turn is watched that does not run"
                    assert command.turn_id not in self.watched, "a turn is watched twice"
                    self.watched[command.turn_id] = command
                case BreakTie():
                    self.tie = command
                case Finish():
                    assert self.finish is None, "a run ends once"
                    self.finish = command
                case _:
                    pass
        assert self.finish or self.running or self.tie, "nothing is awaited, and there is no end"

    def _check_roles(self, turn: StartTurn) -> None:
        roles = next(seat.roles for seat in self.seats if seat.agent_id == turn.agent_id)
        needed = {"answer": "propose", "evaluate": "vote", "break_tie": "break_ties"}
        assert needed.get(turn.purpose, roles[0]) in roles, "asked for what it may not do"
        assert not turn.may_improve or "propose" in roles, "a judge may improve"

    def _check_follows(self, turn: StartTurn) -> None:
        if turn.follows is not None:
            before = self.started[turn.follows]
            assert before.agent_id == turn.agent_id, "a turn goes on from somebody else's"
            assert before.turn_id not in self.running, "a turn goes on from one that still runs"

    def break_tie(self, choice: int) -> None:
        assert self.tie is not None
        info = self.tie.candidates[choice % len(self.tie.candidates)]
        self.happen(TieBroken(winner=AnswerRef(label=info.label, version=info.version), by="x"))

    @property
    def result(self) -> Finish:
        assert self.finish is not None, "the run has not ended"
        return self.finish

    def check_replay(self) -> None:
        """The same happenings give the same state and the same commands."""
        state, commands = self.strategy.begin(self.seats)
        given = [commands]
        for happening in self.happened:
            state, commands = self.strategy.step(state, happening)
            given.append(commands)
        assert state == self.state
        assert given == self.commands

    def check_result(self) -> None:
        """What every result has to keep."""
        finish = self.result
        answers = {(one.label, one.version): one for one in finish.answers}
        assert len(answers) == len(finish.answers), "two answers with one name"
        assert (finish.winner is None) == (finish.status == "failed")
        assert finish.budget is None or finish.status != "answered"
        if finish.budget is not None:
            assert self.spent, "a budget that was never told of ends the run"
            assert "has used its budget of 9 " in (finish.message or "")
        deadline = any(isinstance(one, DeadlinePassed) for one in self.happened)
        assert None not in self.spent or finish.budget is not None or deadline
        if finish.winner is not None:
            assert (finish.winner.label, finish.winner.version) in answers
        given = [one.text for one in self.happened if isinstance(one, Answered)]
        assert all(any(one.text in text for text in given) for one in finish.answers)
        self._check_votes(finish)

    def _check_votes(self, finish: Finish) -> None:
        voters = [vote.voter for vote in finish.votes]
        assert len(voters) == len(set(voters)), "somebody has two votes"
        cast = {
            (one.agent_id, one.choice.label, one.choice.version)
            for one in self.happened
            if isinstance(one, Voted) and self._saw(one)
        } | {
            # Who repeats what it was shown has voted for it.
            (one.agent_id, shown.label, shown.version)
            for one in self.happened
            if isinstance(one, Answered) and one.turn_id in self.started
            for shown in self.started[one.turn_id].shown
            if content_of(shown) == content_of(one)
        }
        rankings = {
            (one.agent_id, one.ranking)
            for one in self.happened
            if isinstance(one, Ranked) and self._ranked(one)
        }
        for vote in finish.votes:
            if vote.ranking:
                assert (vote.voter, vote.ranking) in rankings, "a ranking of what was not seen"
                assert vote.ranking[0] == AnswerRef(label=vote.label, version=vote.version)
            else:
                assert (vote.voter, vote.label, vote.version) in cast, "a vote for the unseen"
        weights = {seat.agent_id: seat.weight for seat in self.seats}
        if any(turn.purpose == "rank" for turn in self.started.values()):
            self._check_stages(finish)
            return
        scores = {}
        for one in finish.answers:
            ref = (one.label, one.version)
            votes = [vote for vote in finish.votes if (vote.label, vote.version) == ref]
            assert len(votes) == one.votes
            assert all(vote.weight == weights[vote.voter] for vote in votes)
            scores[ref] = sum(vote.weight for vote in votes)
            assert one.score is None or abs(one.score - scores[ref]) < CLOSE
        if finish.winner is not None and finish.votes:
            best = scores[finish.winner.label, finish.winner.version]
            assert best >= max(scores.values()) - CLOSE, "somebody else has more votes"

    @staticmethod
    def _check_stages(finish: Finish) -> None:
        """Who wins has the most points where the last stage is counted."""
        fields = [len(stage.standing) for stage in finish.stages]
        assert fields == sorted(set(fields), reverse=True)
        assert [stage.number for stage in finish.stages] == list(range(1, len(fields) + 1))
        points = {(one.label, one.version): one.score or 0.0 for one in finish.answers}
        assert finish.winner is not None
        best = points[finish.winner.label, finish.winner.version]
        on = set(points)
        if finish.stages:
            on = {(one.label, one.version) for one in finish.stages[-1].standing if one.went_on}
        assert best >= max(points[ref] for ref in on) - CLOSE, "somebody else has more points"

    def _ranked(self, ranked: Ranked) -> bool:
        shown = self.started[ranked.turn_id].shown
        seen = sorted((one.label, one.version) for one in shown)
        return sorted((one.label, one.version) for one in ranked.ranking) == seen

    def _saw(self, vote: Voted) -> bool:
        shown = self.started[vote.turn_id].shown
        return any(
            (one.label, one.version) == (vote.choice.label, vote.choice.version) for one in shown
        )
