"""What holds for every strategy, whatever happens and in whatever order."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from strategies.driving import DEADLINE, NAMES, NEWS, OUTCOMES, Drive, outcome, seats

from massgen_bridge.agent import AnswerRef
from massgen_bridge.cli._calls import expected_calls
from massgen_bridge.events import Happening, TeamRole, TieBroken
from massgen_bridge.plugins import PluginHost

if TYPE_CHECKING:
    from massgen_bridge.strategy import Finish

HOST = PluginHost(entry_points=False)

Case = tuple[str, dict[str, Any]]
CASES: tuple[Case, ...] = (
    ("consensus", {}),
    ("consensus", {"max_rounds": 2, "max_answers_per_agent": 2, "presentation": "always"}),
    ("consensus", {"quorum": 2, "straggler_idle_s": 5}),
    ("consensus", {"quorum": 0.5, "max_rounds": 2}),
    ("consensus", {"ballot_size": 3}),
    ("consensus", {"ballot_size": 3, "quorum": 0.5, "straggler_idle_s": 5}),
    ("single", {}),
    ("sequential", {}),
    ("sequential", {"on_failure": "stop", "show": "all", "instructions": {"bob": "Check it."}}),
    ("debate", {}),
    ("debate", {"rounds": 1, "judge": "bob"}),
    ("debate", {"rounds": 0, "judge": "ada"}),
    ("map_reduce", {}),
    ("map_reduce", {"reducer": "ada", "parts": {"bob": "the first half"}}),
    ("group", {"max_turns": 5}),
    ("group", {"order": ("cyd", "ada", "cyd"), "stop_phrase": "DONE", "max_turns": 7}),
    ("group", {"chair": "bob", "max_turns": 4, "stop_phrase": "DONE"}),
)
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1]}")


def strategy(case: Case) -> Any:
    spec = HOST.strategy(case[0])
    return spec.create(spec.options(**case[1]))


def most_turns(case: Case) -> int:
    options = HOST.strategy(case[0]).options(**case[1]).model_dump(mode="json")
    expected = expected_calls(case[0], options, ["schema"] * len(NAMES))
    assert expected is not None
    return expected.most


ROLES = st.lists(st.sampled_from(get_args(TeamRole)), min_size=1, unique=True).map(tuple)
TEAMS = st.fixed_dictionaries(
    {},
    optional={
        name: st.fixed_dictionaries(
            {},
            optional={
                # Somebody has to answer.
                "roles": ROLES if name != "ada" else ROLES.map(lambda held: ("propose", *held)),
                "weight": st.sampled_from([0.1, 0.3, 2.0]),
                "has_tools": st.booleans(),
            },
        )
        for name in NAMES
    },
)


def heeds_roles(case: Case) -> bool:
    return HOST.strategy(case[0]).roles


def test_every_built_in_strategy_is_held_to_this() -> None:
    assert {info.name for info in HOST.strategies()} == {name for name, _ in CASES}


def test_each_sort_of_happening_is_tried() -> None:
    turn = Drive(strategy(CASES[0])).started["ada.1"]
    tried = {type(outcome(kind, turn)) for kind in (*OUTCOMES, *NEWS)}
    assert tried | {TieBroken, type(DEADLINE)} == set(get_args(Happening))


@each_case
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_a_run_ends_once_within_its_bound_and_keeps_its_promises(
    case: Case, data: st.DataObject
) -> None:
    """In any order, with any failures, restarted before each step, with or without a deadline."""
    drive = Drive(strategy(case), **data.draw(TEAMS if heeds_roles(case) else st.just({})))
    most = most_turns(case) + 2 * len(NAMES)  # each may break ties
    dice = st.tuples(st.integers(0, 9), st.sampled_from((*OUTCOMES, *NEWS)), st.integers(0, 9))
    while drive.finish is None:
        assert len(drive.started) <= most
        which, kind, choice = data.draw(dice)
        if which == 9 and kind == "the end":
            drive.happen(DEADLINE)
        elif drive.tie is not None:
            drive.break_tie(choice)
        elif kind == "idle" and drive.watched:
            drive.idle(choice)
        else:
            turns = list(drive.running.values())
            drive.happen(outcome(kind, turns[which % len(turns)], choice))
    drive.check_result()
    drive.check_replay()
    for turn in drive.started.values():
        drive.happen(outcome(data.draw(st.sampled_from(OUTCOMES)), turn))
    drive.happen(DEADLINE)
    drive.check_replay()


@each_case
@pytest.mark.parametrize("kind", sorted(set(OUTCOMES)))
def test_a_run_ends_also_when_the_same_happens_again_and_again(case: Case, kind: str) -> None:
    drive = Drive(strategy(case))
    while drive.finish is None:
        assert len(drive.started) <= most_turns(case)
        if drive.tie is not None:
            drive.break_tie(0)
        else:
            drive.happen(outcome(kind, next(iter(drive.running.values()))))
    drive.check_result()


def played(case: Case, fates: dict[str, tuple[str, int]], seed: int) -> Drive:
    """The end of a run in which each turn has its own fate, in an order that the seed gives."""
    order = random.Random(seed)  # noqa: S311 - no secret
    drive = Drive(strategy(case))
    while drive.finish is None:
        if drive.tie is not None:
            drive.break_tie(0)
            continue
        turn = order.choice(list(drive.running.values()))
        kind, choice = fates.get(turn.turn_id, ("proper", 0))
        drive.happen(outcome(kind, turn, choice))
    return drive


def sorted_votes(drive: Drive) -> Finish:
    votes = tuple(sorted(drive.result.votes, key=lambda vote: vote.voter))
    return drive.result.model_copy(update={"votes": votes})


@each_case
@settings(max_examples=40, deadline=None)
@given(
    fates=st.dictionaries(
        st.tuples(st.sampled_from(NAMES), st.integers(1, 6)).map(
            lambda turn: f"{turn[0]}.{turn[1]}"
        ),
        st.tuples(st.sampled_from(OUTCOMES), st.integers(0, 9)),
    ),
    seeds=st.tuples(st.integers(0, 99), st.integers(0, 99)),
)
def test_the_order_of_arrival_changes_nothing(
    case: Case, fates: dict[str, tuple[str, int]], seeds: tuple[int, int]
) -> None:
    """But where a better answer re-opens the question: who is first then stops the others."""
    one, other = played(case, fates, seeds[0]), played(case, fates, seeds[1])
    reopened = [case[0] == "consensus" and drive.state.round > 1 for drive in (one, other)]
    assert reopened[0] == reopened[1]
    if not reopened[0]:
        assert sorted_votes(one) == sorted_votes(other)
        assert one.started.keys() == other.started.keys()


@each_case
def test_a_deadline_at_any_moment_gives_the_best_so_far(case: Case) -> None:
    for moment in range(most_turns(case)):
        drive = Drive(strategy(case))
        for _ in range(moment):
            if drive.finish is None and drive.tie is None:
                drive.happen(outcome("proper", next(iter(drive.running.values()))))
        if drive.finish is None:
            drive.happen(DEADLINE)
            texts = any(one.type == "answered" for one in drive.happened)
            assert drive.result.status == ("best_so_far" if texts else "failed")
        drive.check_result()


@each_case
def test_when_everybody_fails_the_run_fails(case: Case) -> None:
    drive = Drive(strategy(case))
    while drive.finish is None:
        drive.happen(outcome("failure", next(iter(drive.running.values()))))
    assert drive.result.status == "failed"
    assert drive.result.message
    drive.check_result()


class Anything(RuleBasedStateMachine):
    """All that can reach a strategy, also what a sound host never sends it."""

    @initialize(case=st.sampled_from(CASES), agents=st.integers(1, 4), team=TEAMS)
    def begin(self, case: Case, agents: int, team: dict[str, dict[str, Any]]) -> None:
        spec = HOST.strategy(case[0])
        names = NAMES[:agents]
        options = spec.options(**case[1])
        if spec.check is not None and list(spec.check(options, names)):
            names = NAMES
        others = {name: team[name] for name in team if name in names and spec.roles}
        self.drive = Drive(spec.create(options), *names, **others)

    @rule(kind=st.sampled_from(OUTCOMES), which=st.integers(0, 99), choice=st.integers(0, 9))
    def news_of_any_turn(self, kind: str, which: int, choice: int) -> None:
        turns = list(self.drive.started.values())
        self.drive.happen(outcome(kind, turns[which % len(turns)], choice))

    @precondition(lambda self: self.drive.running)
    @rule(kind=st.sampled_from(OUTCOMES), which=st.integers(0, 9), choice=st.integers(0, 9))
    def news_of_a_running_turn(self, kind: str, which: int, choice: int) -> None:
        turns = list(self.drive.running.values())
        self.drive.happen(outcome(kind, turns[which % len(turns)], choice))

    @rule(name=st.sampled_from([*NAMES, "nobody"]), number=st.integers(1, 9))
    def news_of_a_turn_that_never_was(self, name: str, number: int) -> None:
        turn = next(iter(self.drive.started.values()))
        stray = turn.model_copy(update={"agent_id": name, "turn_id": f"{name}.{number}x"})
        self.drive.happen(outcome("unasked text", stray))

    @precondition(lambda self: self.drive.watched)
    @rule(choice=st.integers(0, 3))
    def silence(self, choice: int) -> None:
        self.drive.idle(choice)

    @precondition(lambda self: self.drive.tie is not None)
    @rule(choice=st.integers(0, 3))
    def tie(self, choice: int) -> None:
        self.drive.break_tie(choice)

    @precondition(lambda self: self.drive.tie is None)
    @rule(label=st.sampled_from([seat.label for seat in seats(*NAMES)]))
    def tie_that_is_none(self, label: str) -> None:
        before = self.drive.state
        self.drive.happen(TieBroken(winner=AnswerRef(label=label, version=1), by="x"))
        assert self.drive.state == before

    @rule(often=st.integers(0, 9))
    def deadline(self, often: int) -> None:
        if often == 0:
            self.drive.happen(DEADLINE)

    def teardown(self) -> None:
        if hasattr(self, "drive"):
            if self.drive.finish is not None:
                self.drive.check_result()
            self.drive.check_replay()


Anything.TestCase.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
TestAnything = Anything.TestCase
