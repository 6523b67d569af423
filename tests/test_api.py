"""The Python API as a user calls it."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import massgen_bridge
from massgen_bridge import (
    AnswerVerdict,
    Capabilities,
    ConfigError,
    NoOptions,
    RunFailed,
    RunResult,
    SinkSpec,
    Team,
    TrustRequired,
    Turn,
    TurnResult,
    assistant,
    hookimpl,
)
from massgen_bridge.events import RunFinished, RunStarted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from massgen_bridge import Emit, Record

pytestmark = pytest.mark.anyio

CONFIG: dict[str, Any] = {
    "version": 1,
    "agents": [
        {"id": "ada", "backend": {"type": "scripted", "answers": ["one"], "votes": ["agent2"]}},
        {"id": "bob", "backend": {"type": "scripted", "answers": ["two"], "votes": ["agent2"]}},
    ],
}
YAML = """\
version: 1
agents:
  - id: ada
    backend: {type: scripted, answers: [from yaml]}
"""


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASSGEN_BRIDGE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("MASSGEN_BRIDGE_CONFIG", str(tmp_path / "config"))


def test_a_dict_runs_and_the_result_is_typed() -> None:
    result = massgen_bridge.run(CONFIG, "Which?")

    assert isinstance(result, RunResult)
    assert (result.status, result.winner, result.answer, result.calls) == (
        "answered",
        "bob",
        "two",
        4,
    )
    assert result.require_answer() == "two"


async def test_it_runs_in_a_running_loop() -> None:
    result = await massgen_bridge.arun(CONFIG, "Which?")

    assert result.answer == "two"


async def test_the_blocking_call_works_inside_a_running_loop_as_in_a_notebook() -> None:
    result = await anyio.to_thread.run_sync(_blocking_call_in_a_loop)

    assert result.answer == "two"


def _blocking_call_in_a_loop() -> RunResult:
    async def cell() -> RunResult:
        return massgen_bridge.run(CONFIG, "Which?")

    return asyncio.run(cell())


def test_a_file_its_path_as_text_and_its_text_run_alike(tmp_path: Path) -> None:
    file = tmp_path / "team.yaml"
    file.write_text(YAML)

    for config in (file, str(file), YAML):
        assert massgen_bridge.run(config, "Which?").answer == "from yaml"


async def test_the_stream_yields_every_record_and_ends_with_the_result() -> None:
    records = [record async for record in massgen_bridge.stream(CONFIG, "Which?")]

    assert isinstance(records[0].event, RunStarted)
    assert isinstance(records[-1].event, RunFinished)
    assert records[-1].event.result.answer == "two"
    assert [record.seq for record in records] == list(range(1, len(records) + 1))


async def test_leaving_the_stream_early_cancels_the_run() -> None:
    slow = {"type": "scripted", "answers": ["a b c d e f g h"], "tokens_per_second": 5}
    config = {"version": 1, "agents": [{"id": "ada", "backend": slow}]}
    seen: list[Record] = []
    with anyio.fail_after(30):
        records = massgen_bridge.stream(config, "Which?")
        async for record in records:
            seen.append(record)
            if record.event.type == "text_delta":
                break
        await records.aclose()  # type: ignore[attr-defined]  # an async generator

    assert seen[-1].event.type == "text_delta"
    assert not [task for task in asyncio.all_tasks() if "work" in repr(task.get_coro())]


async def test_an_error_comes_out_of_the_stream() -> None:
    with pytest.raises(ConfigError):
        async for _ in massgen_bridge.stream({"version": 1, "agents": []}, "Which?"):
            pass


async def test_cancelling_a_run_ends_it_soon_and_keeps_its_journal() -> None:
    slow = {"type": "scripted", "delay_s": 60}
    config = {"version": 1, "agents": [{"id": "ada", "backend": slow}]}

    def stop(record: Record) -> None:
        if record.event.type == "turn_started":
            scope.cancel()

    with anyio.CancelScope() as scope:
        await massgen_bridge.arun(config, "Which?", on_record=stop)

    assert scope.cancelled_caught
    kept = await anyio.to_thread.run_sync(
        lambda: list(Path(os.environ["MASSGEN_BRIDGE_DATA"]).rglob("*.sqlite"))
    )
    assert len(kept) == 2


def test_without_a_journal_nothing_is_written() -> None:
    massgen_bridge.run(CONFIG, "Which?", keep=False)

    assert not Path(os.environ["MASSGEN_BRIDGE_DATA"]).exists()


def test_records_can_be_listened_to() -> None:
    records: list[Record] = []
    massgen_bridge.run(CONFIG, "Which?", on_record=records.append)

    assert records[-1].event.type == "run_finished"


def test_a_failed_run_has_a_result_and_no_answer() -> None:
    failing = {"id": "ada", "backend": {"type": "scripted", "fails": "auth"}}
    result = massgen_bridge.run({"version": 1, "agents": [failing]}, "Which?")

    assert (result.status, result.answer) == ("failed", None)
    with pytest.raises(RunFailed, match="failed"):
        result.require_answer()


def test_a_file_that_imports_code_needs_trust(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("def answer(question):\n    return question.upper()\n")
    file = tmp_path / "team.yaml"
    file.write_text(
        "version: 1\nagents:\n  - id: own\n    backend: {type: python, function: own.py:answer}\n"
    )

    with pytest.raises(TrustRequired, match=r"own\.py:answer"):
        massgen_bridge.run(file, "Which?")
    assert massgen_bridge.run(file, "Which?", trust=True).answer == "WHICH?"


# --- a team built in code -------------------------------------------------------------------------


def test_a_team_mixes_kinds_functions_and_objects() -> None:
    class Own:
        closed = False

        async def run(self, turn: Turn, emit: Emit) -> TurnResult:
            del emit
            if turn.output_schema is not None:
                vote = {"vote": turn.shown[0].label, "reason": "first"}
                return TurnResult(message=assistant(""), structured=vote)
            return TurnResult(message=assistant("an object's answer"))

        async def aclose(self) -> None:
            self.closed = True

    own = Own()
    team = (
        Team(strategy={"type": "consensus", "max_rounds": 1}, timeout_s=30)
        .add("kind", "scripted", answers=["a kind's answer"], votes=["agent2"])
        .add("function", lambda question: f"{question} Yes.", vote=_vote_second)
        .add("object", own, capabilities=Capabilities(structured=True))
    )
    result = team.run("Which?")

    assert result.answer == "Which? Yes."
    assert {vote.voter for vote in result.votes} == {"kind", "function", "object"}
    assert not own.closed
    assert team.run("Again?").answer == "Again? Yes."


def _vote_second(task: str, answers: dict[str, str]) -> str:
    assert task
    return sorted(answers)[1]


def test_a_team_has_roles_and_weights() -> None:
    team = (
        Team()
        .add("ada", "scripted", answers=["hers"], roles=["propose"])
        .add("lin", "scripted", answers=["his"], votes=["agent1"])
        .add("judge", "scripted", votes=["agent2"], roles=["vote"], weight=2)
    )
    result = team.run("Which?", keep=False)

    assert {answer.authors for answer in result.answers} == {("ada",), ("lin",)}
    assert {vote.voter: vote.weight for vote in result.votes} == {"lin": 1.0, "judge": 2.0}
    assert result.answer == "his"


async def test_a_team_runs_and_streams_in_a_loop() -> None:
    team = Team().add("ada", "scripted", answers=["hello"])

    assert (await team.arun("Which?")).answer == "hello"
    assert [r.event.type for r in [r async for r in team.stream("Which?")]][-1] == "run_finished"


def test_plugins_of_a_team_take_part() -> None:
    class Polite:
        @hookimpl
        def bridge_answer(self, text: str) -> AnswerVerdict:
            return AnswerVerdict(accept="please" in text, reason="say please")

    team = Team(plugins=[Polite()]).add("ada", "scripted", answers=["no", "yes please"])

    assert team.run("Which?").answer == "yes please"


class Only(NoOptions):
    """The options of the sink below."""

    only: str = "answered"


def test_a_team_has_sinks_with_options() -> None:
    heard: list[str] = []

    class Kept:
        def __init__(self, options: Only) -> None:
            self._type = options.only

        def write(self, records: Sequence[Record]) -> None:
            heard.extend(r.event.type for r in records if r.event.type == self._type)

        def close(self) -> None:
            heard.append("closed")

    class Plugin:
        @hookimpl
        def bridge_sinks(self) -> list[SinkSpec]:
            return [SinkSpec(name="kept", summary="Keeps.", create=Kept, options=Only)]

    team = Team(plugins=[Plugin()], sinks=["kept", {"type": "kept", "only": "run_finished"}])
    team.add("ada", "scripted").run("Which?")

    assert sorted(heard) == ["answered", "closed", "closed", "run_finished"]


def test_an_observer_that_blocks_does_not_stall_a_run() -> None:
    release = threading.Event()

    class Stuck:
        @hookimpl
        def bridge_events(self, run_id: str) -> None:
            release.wait(30)
            del run_id

    result = Team(plugins=[Stuck()]).add("ada", "scripted", answers=["done"]).run("Which?")
    release.set()

    assert result.answer == "done"
    assert result.duration_s < 10


def test_something_that_is_no_agent_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"'ada'.* found int"):
        Team().add("ada", 3)  # type: ignore[arg-type]  # that is the point
