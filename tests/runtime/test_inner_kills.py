"""SIGKILL while teams work within a run: what they had finished is not done again."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from runtime.kills import Aftermath, Expected, Killer, records_of, turns_of

from massgen_bridge.events import (
    InnerRunFinished,
    ModelCallStarted,
    Record,
    RunFinished,
    RunResumed,
    RunStarted,
    TurnDone,
    TurnFailed,
    TurnStarted,
)
from massgen_bridge.runtime.index import RunIndex
from massgen_bridge.runtime.journal import read_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Members that remember what they said: their second vote is that in the outer team, and the team
# that improves writes its second answer. It is by far the slowest: it would stop those still at
# their ballots.
TEAM = """
version: 1
agents:
  - id: reds
    backend:
      type: team
      agents:
        - id: r1
          backend:
            {type: scripted, answers: [red, redder], votes: [agent1, improve], delay_s: 0.08}
        - id: r2
          ballot: text
          backend: {type: scripted, answers: [pink], votes: [agent1, agent3], delay_s: 0.09}
        - id: r3
          backend: {type: scripted, fails: auth}
  - id: solo
    backend: {type: scripted, answers: [alone], votes: [agent1], delay_s: 0.01}
  - id: blues
    backend: {type: team, config: blues.yaml}
"""
BLUES = """
version: 1
strategy: sequential
agents:
  - id: b1
    backend: {type: scripted, answers: [a draft], votes: [agent1], delay_s: 0.006}
  - id: deep
    backend:
      type: team
      agents:
        - id: d1
          backend: {type: scripted, answers: [blue], votes: [agent1, agent1], delay_s: 0.006}
        - id: d2
          backend: {type: scripted, answers: [navy], votes: [agent1, agent1], delay_s: 0.003}
"""

_DRAW = random.Random(20261123)  # noqa: S311 - the same points in every run of the tests
POINTS: list[dict[str, Any]] = [
    *({"record": number} for number in sorted(_DRAW.sample(range(1, 90), 8))),
    *(
        {"commit": number, "when": _DRAW.choice(("before", "during", "after"))}
        for number in sorted(_DRAW.sample(range(1, 45), 10))
    ),
    *({"after_s": round(_DRAW.uniform(0.0, 0.6), 3)} for _ in range(3)),
]


@pytest.fixture(scope="module")
def killer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killer]:
    folder = tmp_path_factory.mktemp("teams")
    (folder / "blues.yaml").write_text(BLUES)
    with Killer(folder, TEAM) as killer:
        yield killer


@pytest.fixture(scope="module")
def expected(killer: Killer, tmp_path_factory: pytest.TempPathFactory) -> Expected:
    """What the run gives where nobody disturbs it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    result = killer.result("run", folder)
    assert (result.status, result.winner) == ("answered", "reds")
    assert "reds/r3" in {error.agent_id for error in result.errors}
    return Expected(result=result, turns=turns_of(records_of(folder)))


def inner_runs(data: Path) -> dict[str, list[Record]]:
    """The records of every inner run, by its id."""
    index = RunIndex(data)
    rows = [row for row in index.list(inner=True) if row.within is not None]
    paths = {row.run_id: index.path(row.run_id) for row in rows}
    return {run_id: list(read_run(path)) for run_id, path in paths.items() if path.is_file()}


def named(point: dict[str, Any]) -> str:
    return "-".join(map(str, point.values())) + ("s" if "after_s" in point else "")


@pytest.mark.parametrize("point", POINTS, ids=named)
def test_after_a_kill_teams_go_on_where_they_were(
    killer: Killer, expected: Expected, tmp_path: Path, point: dict[str, Any]
) -> None:
    (said,) = killer("run", tmp_path, **point)
    before = records_of(tmp_path)
    over = bool(before) and isinstance(before[-1].event, RunFinished)
    if not said["killed"] or over or not before:
        return  # it had not begun, or was over already: a point in seconds falls where it falls
    inner_before = inner_runs(tmp_path)
    left = Aftermath(data=tmp_path, before=before)
    result = killer.result("resume", tmp_path)

    left.check(result, expected)
    assert result.usage.output_tokens >= expected.result.usage.output_tokens
    check_inner(inner_before, inner_runs(tmp_path), records_of(tmp_path))


def check_inner(
    before: dict[str, list[Record]], after: dict[str, list[Record]], outer: list[Record]
) -> None:
    """Inner runs that had ended are as they were; the others went on, and repeated nothing."""
    for run_id, records in after.items():
        early = [one for one in before.get(run_id, []) if one.seq <= len(records)]
        assert records[: len(early)] == early
        if early and isinstance(early[-1].event, RunFinished):
            assert records == early
        done = {one.turn_id for one in early if isinstance(one.event, TurnDone | TurnFailed)}
        again = [one for one in records[len(early) :] if one.turn_id in done]
        assert not [one for one in again if isinstance(one.event, TurnStarted | ModelCallStarted)]
        for turn_id in turns_of(records):
            mine = [one.event for one in records if one.turn_id == turn_id]
            assert sum(isinstance(one, TurnDone | TurnFailed) for one in mine) <= 1
        assert sum(isinstance(one.event, RunStarted) for one in records) == 1
    ended = [one.event.result for one in outer if isinstance(one.event, InnerRunFinished)]
    for result in ended:
        last = after[result.run_id][-1].event
        assert isinstance(last, RunFinished)
        assert last.result == result


def test_an_inner_run_that_was_killed_in_the_middle_is_resumed(
    killer: Killer, tmp_path: Path
) -> None:
    data, broken = broken_off(killer, tmp_path)
    killer.result("resume", data)
    after = inner_runs(data)
    assert any(isinstance(one.event, RunResumed) for run_id in broken for one in after[run_id])


def broken_off(killer: Killer, folder: Path) -> tuple[Path, set[str]]:
    """A run that was killed while a team had done some of its turns, and those inner runs."""
    for number in range(8, 40):
        data = folder / str(number)
        killer("run", data, commit=number, when="after")
        broken = {
            run_id
            for run_id, records in inner_runs(data).items()
            if any(isinstance(one.event, TurnDone) for one in records)
            and not isinstance(records[-1].event, RunFinished)
        }
        if broken:
            return data, broken
    raise AssertionError("no commit left a team's run in the middle")
