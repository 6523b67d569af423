"""A vote in stages, apart from the strategy that holds it."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from massgen_bridge.agent import AnswerRef
from massgen_bridge.events import (
    BallotSpoiled,
    Ranked,
    Seat,
    StageClosed,
    TurnIdle,
    TurnLost,
    Voted,
)
from massgen_bridge.strategies._candidates import Candidate
from massgen_bridge.strategies._staged import (
    Rules,
    Stages,
    open_stages,
    result_of,
    step_stages,
)
from massgen_bridge.strategy import Announce, CancelTurn, StartTurn, WatchIdle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from massgen_bridge.events import Happening, StageInfo, TurnHappening
    from massgen_bridge.strategy import Command


def place(label: str) -> int:
    return int(label.removeprefix("agent"))


class Race:
    """A vote in stages; every step goes on from the JSON of the last state."""

    def __init__(
        self, count: int = 12, size: int = 4, voters: int | None = None, **rules: Any
    ) -> None:
        self.rules = Rules(ballot_size=size, **rules)
        weights = {1: 1.0}
        self.seats = [
            Seat(agent_id=f"a{n}", label=f"agent{n}", kind="x", weight=weights.get(n, 1.0))
            for n in range(1, count + 1)
        ]
        self.candidates = tuple(
            Candidate(label=s.label, version=1, text=f"by {s.agent_id}", authors=(s.agent_id,))
            for s in self.seats
        )
        self.voters = [(seat, 1) for seat in self.seats[: voters or count]]
        self.happened: list[TurnHappening | TurnIdle] = []
        self.started: dict[str, StartTurn] = {}
        self.running: dict[str, StartTurn] = {}
        self.watched: dict[str, WatchIdle] = {}
        self.cancelled: list[str] = []
        self.closed: list[StageInfo] = []
        self.stages, commands = open_stages(self.candidates, self.voters, self.rules)
        self._take(commands)

    def _take(self, commands: Sequence[Command]) -> None:
        for command in commands:
            match command:
                case StartTurn():
                    assert command.turn_id not in self.started
                    self.started[command.turn_id] = self.running[command.turn_id] = command
                case CancelTurn():
                    self.cancelled.append(command.turn_id)
                    del self.running[command.turn_id]
                case WatchIdle():
                    assert command.turn_id in self.running
                    self.watched[command.turn_id] = command
                case Announce(event=StageClosed(stage=stage)):
                    self.closed.append(stage)
                case _:
                    raise AssertionError(command)
        assert self.stages.is_over or self.running, "nothing is awaited, and there is no end"

    def happen(self, happening: TurnHappening | TurnIdle) -> None:
        state = Stages.model_validate_json(self.stages.model_dump_json())
        assert state == self.stages
        self.stages, commands = step_stages(state, happening, self.rules)
        self.happened.append(happening)
        if not isinstance(happening, TurnIdle):
            self.running.pop(happening.turn_id, None)
        self._take(commands)

    def rank(self, turn: StartTurn, key: Callable[[str], float] = place) -> None:
        labels = sorted((one.label for one in turn.shown), key=key)
        ranking = tuple(AnswerRef(label=label, version=1) for label in labels)
        self.happen(Ranked(**who(turn), ranking=ranking, reason=f"by {turn.agent_id}"))

    def all_rank(self, key: Callable[[str], float] = place) -> None:
        """Let everybody finish the stage that is open."""
        number = self.stages.number
        while not self.stages.is_over and self.stages.number == number:
            self.rank(next(iter(self.running.values())), key)

    def replayed(self) -> Stages:
        stages, _ = open_stages(self.candidates, self.voters, self.rules)
        for happening in self.happened:
            stages, _ = step_stages(stages, happening, self.rules)
        return stages


def who(turn: StartTurn) -> dict[str, str]:
    return {"agent_id": turn.agent_id, "turn_id": turn.turn_id}


def test_the_field_narrows_in_stages_until_all_rank_the_same_last_few() -> None:
    race = Race(count=20, size=4)
    while not race.stages.is_over:
        race.all_rank()

    assert [len(stage.standing) for stage in race.closed] == [20, 10, 4]
    assert [stage.run_off for stage in race.closed] == [False, False, True]
    assert [sum(one.went_on for one in stage.standing) for stage in race.closed] == [10, 4, 1]
    assert all(stage.asked == stage.ballots == 20 for stage in race.closed)
    outcome = result_of(race.stages)
    assert [one.label for one in outcome.leaders] == ["agent1"]
    assert len(outcome.votes) == 20
    assert len({vote.ranking for vote in outcome.votes}) == 1
    assert outcome.points["agent1"] == 1.0
    assert len(race.started) == 3 * 20


def test_nobody_ranks_more_than_one_ballot_holds_and_nobody_its_own_before_the_run_off() -> None:
    race = Race(count=20, size=4)
    race.all_rank()

    for turn in race.started.values():
        assert turn.purpose == "rank"
        assert len(turn.shown) == 4
        if turn.round == 1:
            assert all(one.text != f"by {turn.agent_id}" for one in turn.shown)
    seen = Counter(one.label for t in race.started.values() if t.round == 1 for one in t.shown)
    assert set(seen.values()) == {4}


def test_a_lost_ballot_is_missing_and_no_more() -> None:
    race = Race()
    first, second, third, *_ = list(race.running.values())
    race.happen(TurnLost(**who(first), kind="auth", message="no key"))
    race.happen(TurnLost(**who(second), kind="server", message="down"))
    race.happen(BallotSpoiled(**who(third), problem="unreadable"))
    again = next(t for t in race.running.values() if t.agent_id == third.agent_id)
    assert (again.purpose, again.repairs, again.problem) == ("repair", "rank", "unreadable")
    assert again.shown == third.shown
    race.happen(BallotSpoiled(**who(again), problem="unreadable"))
    race.all_rank()

    assert (race.closed[0].asked, race.closed[0].ballots) == (12, 9)
    asked = {turn.agent_id for turn in race.running.values()}
    assert first.agent_id not in asked  # it failed for good
    assert {second.agent_id, third.agent_id} <= asked


@pytest.mark.parametrize("problem", ["incomplete", "twice", "unseen", "a vote", "other version"])
def test_what_is_no_ranking_of_what_was_shown_has_one_second_try(problem: str) -> None:
    race = Race()
    turn = next(iter(race.running.values()))
    refs = tuple(AnswerRef(label=one.label, version=1) for one in turn.shown)
    hidden = next(c.ref for c in race.candidates if c.ref not in refs)
    happenings: dict[str, Happening] = {
        "incomplete": Ranked(**who(turn), ranking=refs[:-1]),
        "twice": Ranked(**who(turn), ranking=(*refs[:-1], refs[0])),
        "unseen": Ranked(**who(turn), ranking=(*refs[:-1], hidden)),
        "a vote": Voted(**who(turn), choice=refs[0]),
        "other version": Ranked(
            **who(turn), ranking=(*refs[:-1], refs[-1].model_copy(update={"version": 2}))
        ),
    }
    race.happen(happenings[problem])  # type: ignore[arg-type]  # all are of turns

    again = next(t for t in race.running.values() if t.agent_id == turn.agent_id)
    assert again.purpose == "repair"
    assert race.stages.casts == ()
    race.rank(again)
    assert len(race.stages.casts) == 1


def test_equal_points_go_on_in_the_order_of_the_configuration() -> None:
    race = Race(count=8, size=7)
    # Everybody ranks what it sees as it stands in the circle after its own number.
    for turn in list(race.running.values()):
        own = place(f"agent{turn.agent_id[1:]}")
        race.rank(turn, key=lambda label, own=own: (place(label) - own) % 8)  # type: ignore[misc]  # a default of the loop

    points = {one.points for one in race.closed[0].standing}
    gone = [one.label for one in race.closed[0].standing if not one.went_on]
    assert len(points) == 1
    assert gone == ["agent8"]


def test_weights_multiply() -> None:
    race = Race(count=8, size=7)
    heavy = race.seats[7].model_copy(update={"weight": 100.0})
    race.voters[7] = (heavy, 1)
    race.stages, commands = open_stages(race.candidates, race.voters, race.rules)
    race.running.clear()
    race.started.clear()
    race._take(commands)
    while not race.stages.is_over:
        for turn in list(race.running.values()):
            sign = -1 if turn.agent_id == "a8" else 1
            race.rank(turn, key=lambda label, sign=sign: sign * place(label))  # type: ignore[misc]  # as above

    outcome = result_of(race.stages)
    assert [one.label for one in outcome.leaders] == ["agent7"]
    assert [vote.weight for vote in outcome.votes] == [1.0] * 7 + [100.0]


def test_few_voters_share_out_many_answers_on_several_ballots_each() -> None:
    race = Race(count=20, size=4, voters=2)
    assert len(race.running) == 2
    race.all_rank()

    stage = race.closed[0]
    assert (stage.asked, stage.ballots) == (10, 10)
    assert {one.ballots for one in stage.standing} == {2}


# --- who is waited for ----------------------------------------------------------------------------


def test_a_stage_closes_at_its_quorum_once_the_others_are_silent() -> None:
    race = Race(quorum=10, idle_s=5.0)
    slow = list(race.running.values())[:2]
    for turn in list(race.running.values())[2:]:
        assert not race.watched
        race.rank(turn)
    assert {watch.turn_id for watch in race.watched.values()} == {turn.turn_id for turn in slow}
    assert {watch.idle_s for watch in race.watched.values()} == {5.0}
    race.happen(TurnIdle(**who(slow[0]), idle_s=5))
    assert race.stages.number == 1
    race.happen(TurnIdle(**who(slow[1]), idle_s=5))

    assert race.cancelled == [turn.turn_id for turn in slow]
    assert race.stages.number == 2
    assert {turn.agent_id for turn in race.running.values()} == {s.agent_id for s in race.seats}


def test_a_straggler_that_speaks_up_is_counted() -> None:
    race = Race(quorum=11, idle_s=5.0)
    slow, *others = list(race.running.values())
    for turn in others:
        race.rank(turn)
    race.rank(slow)

    assert race.closed[0].ballots == 12


def test_without_a_quorum_silence_changes_nothing() -> None:
    race = Race()
    turn = next(iter(race.running.values()))
    before = race.stages
    race.happen(TurnIdle(**who(turn), idle_s=5))

    assert race.stages == before


# --- what came of it so far -----------------------------------------------------------------------


def test_before_any_ranking_all_lead() -> None:
    assert len(result_of(Race().stages).leaders) == 12


def test_a_stage_decides_so_far_once_it_has_judged_each_answer() -> None:
    race = Race(count=20, size=4)
    race.all_rank()
    first = result_of(race.stages)
    assert {"agent1"} <= {one.label for one in first.leaders}
    race.rank(next(iter(race.running.values())), key=lambda label: -place(label))
    assert result_of(race.stages) == first
    race.all_rank(key=lambda label: -place(label))
    last = max(race.closed[1].standing, key=lambda one: place(one.label)).label
    assert last in {one.label for one in result_of(race.stages).leaders}
    assert result_of(race.stages).votes == ()
    race.rank(next(iter(race.running.values())))
    assert len(result_of(race.stages).votes) == 1  # of the run-off that goes on


def test_a_stage_without_a_valid_ballot_is_the_last() -> None:
    race = Race(count=20, size=4)
    race.all_rank()
    while not race.stages.is_over:
        race.happen(BallotSpoiled(**who(next(iter(race.running.values()))), problem="?"))

    outcome = result_of(race.stages)
    assert len(outcome.stages) == 1
    assert "agent1" in {one.label for one in outcome.leaders}
    assert outcome.votes == ()


def test_where_all_voters_fail_it_is_over() -> None:
    race = Race()
    while not race.stages.is_over:
        turn = next(iter(race.running.values()))
        race.happen(TurnLost(**who(turn), kind="auth", message="no key"))

    assert len(result_of(race.stages).leaders) == 12


# --- whatever happens -----------------------------------------------------------------------------

FATES = ("ranks", "ranks", "ranks", "spoils", "fails", "hiccups", "silent", "wrong")


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(5, 40),
    size=st.integers(3, 7),
    voters=st.integers(1, 40),
    quorum=st.one_of(st.none(), st.integers(1, 20)),
    seed=st.integers(0, 10_000),
)
def test_it_ends_balanced_and_replays_whatever_is_lost(
    count: int, size: int, voters: int, quorum: int | None, seed: int
) -> None:
    if count <= size:
        return
    dice = random.Random(seed)  # noqa: S311 - no secret
    race = Race(count, size, min(voters, count), quorum=quorum, idle_s=1.0)
    valid: set[tuple[str, tuple[str, ...]]] = set()
    while not race.stages.is_over:
        turn = dice.choice(list(race.running.values()))
        refs = [AnswerRef(label=one.label, version=one.version) for one in turn.shown]
        match dice.choice(FATES):
            case "ranks":
                dice.shuffle(refs)
                valid.add((turn.turn_id, tuple(ref.label for ref in refs)))
                race.happen(Ranked(**who(turn), ranking=tuple(refs)))
            case "spoils":
                race.happen(BallotSpoiled(**who(turn), problem="?"))
            case "fails":
                race.happen(TurnLost(**who(turn), kind="auth", message="no key"))
            case "hiccups":
                race.happen(TurnLost(**who(turn), kind="server", message="down"))
            case "silent" if turn.turn_id in race.watched:
                race.happen(TurnIdle(**who(turn), idle_s=1))
            case _:
                race.happen(Ranked(**who(turn), ranking=tuple(refs[:-1])))

    assert race.replayed() == race.stages
    outcome = result_of(race.stages)
    assert outcome.leaders
    fields = [len(stage.standing) for stage in race.closed]
    assert fields == sorted(set(fields), reverse=True)
    ranked = {ranking for _, ranking in valid}
    for vote in outcome.votes:
        assert tuple(ref.label for ref in vote.ranking) in ranked
    for number in range(1, race.stages.number + 1):
        _check_balance(race, number)


def _check_balance(race: Race, number: int) -> None:
    dealt = [t for t in race.started.values() if t.round == number and t.purpose == "rank"]
    by_voter = Counter((turn.agent_id, one.label) for turn in dealt for one in turn.shown)
    assert all(often == 1 for often in by_voter.values()), "an answer twice for one voter"
    if number <= len(race.closed) and race.closed[number - 1].asked == len(dealt):
        seen = Counter(one.label for turn in dealt for one in turn.shown)
        field = [one.label for one in race.closed[number - 1].standing]
        counts = [seen[label] for label in field]
        assert max(counts) - min(counts) <= 1, "some are seen more often"


@given(seeds=st.tuples(st.integers(0, 99), st.integers(0, 99)))
@settings(max_examples=20, deadline=None)
def test_the_order_of_arrival_changes_neither_stages_nor_winner(seeds: tuple[int, int]) -> None:
    ends = []
    for seed in seeds:
        dice = random.Random(seed)  # noqa: S311 - no secret
        race = Race(count=20, size=4)
        while not race.stages.is_over:
            turn = dice.choice(list(race.running.values()))
            if place(f"agent{turn.agent_id[1:]}") % 5 == 0:
                race.happen(TurnLost(**who(turn), kind="server", message="down"))
            else:
                race.rank(turn, key=lambda label, by=turn.agent_id: hash_of(f"{label}{by}"))  # type: ignore[misc]  # as above
        ends.append(result_of(race.stages))

    assert ends[0] == ends[1]


def hash_of(text: str) -> float:
    return random.Random(text).random()  # noqa: S311 - no secret
