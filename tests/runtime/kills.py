"""A team whose runs are killed and resumed, and what has to hold of them afterwards."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, get_args

from massgen_bridge.events import (
    Answered,
    AnswerRejected,
    Happening,
    ModelCallStarted,
    Record,
    RunResult,
    RunStarted,
    TurnDone,
    TurnFailed,
    TurnStarted,
)
from massgen_bridge.runtime.course import past_of
from massgen_bridge.runtime.index import RunIndex
from massgen_bridge.runtime.journal import read_run
from massgen_bridge.strategies.consensus import Consensus

if TYPE_CHECKING:
    from types import TracebackType

HAPPENINGS = get_args(Happening)

# All ways to vote, a better answer, an answer that is refused, an agent that fails, and a tie.
# Who gives the better answer waits for all votes: it would stop those still at their ballots.
TEAM = """
version: 1
plugins: [./hooks.py]
agents:
  - id: ann
    backend:
      {type: patient, answers: [first, better], votes: [improve, agent1], delay_s: 0.06}
  - id: ben
    ballot: text
    backend: {type: scripted, answers: [of ben], votes: [agent9, agent1], delay_s: 0.008}
  - id: cleo
    ballot: schema
    backend: {type: scripted, answers: [of cleo], votes: [agent3], delay_s: 0.012}
  - id: dan
    backend: {type: scripted, answers: [rude, of dan], votes: [agent3], delay_s: 0.004}
  - id: eve
    backend: {type: scripted, fails: auth}
"""

HOOKS = """
from dataclasses import replace
from pathlib import Path

import anyio

from massgen_bridge import AnswerVerdict, hookimpl
from massgen_bridge.events import Voted
from massgen_bridge.kinds import scripted
from massgen_bridge.runtime.index import RunIndex
from massgen_bridge.runtime.journal import read_run


class Patient(scripted.ScriptedAgent):
    async def run(self, turn, emit):
        while turn.turn_id == "ann.2" and len(_voters(turn.run_id)) < 3:
            await anyio.sleep(0.005)
        return await super().run(turn, emit)


def _voters(run_id):
    records = read_run(RunIndex().path(run_id))
    return {one.agent_id for one in records if isinstance(one.event, Voted)}


def _make(context):
    agent = Patient(context.options)
    for one in context.finished:
        agent.recall(one.turn)
    return agent


@hookimpl
def bridge_adapters():
    return [replace(one, kind="patient", factory=_make) for one in scripted.bridge_adapters()]


def _note(text):
    with Path(__file__).with_name("asked").open("a") as file:
        file.write(text + "\\n")


@hookimpl
def bridge_answer(turn, agent_id, text):
    _note(turn.turn_id)
    return AnswerVerdict(accept=text != "rude", reason="be polite")


@hookimpl
def bridge_tie_break(question, candidates):
    _note("tie")
    return candidates[-1].label
"""


class Killer:
    """The process that forks the runs of a team."""

    def __init__(self, folder: Path, team: str = TEAM) -> None:
        self.config = folder / "team.yaml"
        self.config.write_text(team)
        (folder / "hooks.py").write_text(HOOKS)
        self._asked = folder / "asked"
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("killing.py"), self.config],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, do: str, data: Path, **how: Any) -> list[dict[str, Any]]:
        """Do something to the run in the folder `data`, `times` at once."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        data.mkdir(exist_ok=True)
        if do == "run":
            how["config"] = str(self.config)
        process.stdin.write(json.dumps({"do": do, "data": str(data), **how}) + "\n")
        process.stdin.flush()
        found: list[dict[str, Any]] = json.loads(process.stdout.readline())
        return found

    def result(self, do: str, data: Path, **how: Any) -> RunResult:
        """Do it to the end."""
        (said,) = self(do, data, **how)
        assert "result" in said, said
        return RunResult.model_validate(said["result"])

    def asked(self) -> list[str]:
        """What the hooks were asked since the last time, oldest first."""
        if not self._asked.exists():
            return []
        lines = self._asked.read_text().splitlines()
        self._asked.unlink()
        return lines

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate(timeout=20)


def journal_of(data: Path) -> Path | None:
    """The file of the one run in a folder; None where nothing was begun."""
    index = RunIndex(data)
    rows = index.list()
    path = index.path(rows[0].run_id) if rows else None
    return path if path is not None and path.exists() else None


def records_of(data: Path) -> list[Record]:
    path = journal_of(data)
    return [] if path is None else list(read_run(path))


def turns_of(records: list[Record]) -> frozenset[str]:
    return frozenset(record.turn_id for record in records if record.turn_id)


def essence(result: RunResult) -> dict[str, Any]:
    """What of a result does not depend on time and the order of arrival."""
    return {
        **result.model_dump(
            include={"status", "answer", "winner", "winning", "answers", "tie_broken_by"}
        ),
        "votes": sorted(vote.model_dump_json() for vote in result.votes),
        "errors": sorted(error.model_dump_json() for error in result.errors),
    }


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What the run gives where nobody disturbs it, and the turns that it takes."""

    result: RunResult
    turns: frozenset[str]


@dataclass(kw_only=True)
class Aftermath:
    """A run that was killed and resumed: what was durable at the kill, and what there is now."""

    data: Path
    before: list[Record]
    asked_after: list[str] = field(default_factory=list)

    def check(self, result: RunResult, expected: Expected) -> None:
        """Nothing is lost, nothing is done twice, and the result is the undisturbed one."""
        after = records_of(self.data)
        assert essence(result) == essence(expected.result)
        assert turns_of(after) == expected.turns
        assert after[: len(self.before)] == self.before
        assert [record.seq for record in after] == sorted({record.seq for record in after})
        self._check_acknowledged()
        self._check_turns(after)
        self._check_hooks()
        assert result.calls == sum(isinstance(one.event, ModelCallStarted) for one in after)
        check_course(after, result)

    def _check_acknowledged(self) -> None:
        """A happening from which something followed was durable before that."""
        heard = [line.split() for line in self._heard()]
        effects = ("turn_started", "answer_listed", "run_finished")
        last = max((i for i, (_, kind, _) in enumerate(heard) if kind in effects), default=0)
        names = {one.model_fields["type"].default for one in HAPPENINGS}
        durable = {record.seq for record in self.before}
        lost = [line for line in heard[:last] if line[1] in names and int(line[0]) not in durable]
        assert lost == []

    def _heard(self) -> list[str]:
        """What the killed process told its listener."""
        lines = (self.data / "heard").read_text().splitlines()
        resumed = [i for i, line in enumerate(lines) if " run_resumed " in line]
        return lines[: resumed[0]] if resumed else lines

    def _check_turns(self, after: list[Record]) -> None:
        done = {one.turn_id for one in self.before if isinstance(one.event, TurnDone | TurnFailed)}
        again = after[len(self.before) :]
        assert [one for one in again if one.turn_id in done and _is_work(one)] == []
        for turn_id in turns_of(after):
            mine = [one.event for one in after if one.turn_id == turn_id]
            starts = [one.attempt for one in mine if isinstance(one, TurnStarted)]
            assert starts == list(range(1, len(starts) + 1))
            assert sum(isinstance(one, TurnDone | TurnFailed) for one in mine) == 1
            assert sum(isinstance(one, HAPPENINGS) for one in mine) == 1

    def _check_hooks(self) -> None:
        """What is recorded is not asked again."""
        decided = {
            one.turn_id for one in self.before if isinstance(one.event, Answered | AnswerRejected)
        }
        assert decided.isdisjoint(self.asked_after)


def check_course(records: list[Record], result: RunResult) -> None:
    """Stepping the strategy over the journal gives the end that was recorded."""
    assert isinstance(records[0].event, RunStarted)
    finish = past_of(records, Consensus()).course.finish
    assert finish is not None
    assert (finish.status, finish.winner, finish.votes, finish.answers, finish.tie_broken_by) == (
        result.status,
        result.winning,
        result.votes,
        result.answers,
        result.tie_broken_by,
    )


def _is_work(record: Record) -> bool:
    return isinstance(record.event, TurnStarted | ModelCallStarted | TurnDone | TurnFailed)
