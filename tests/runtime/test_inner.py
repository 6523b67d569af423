"""Teams as agents: what they give, how they vote, and what the run around them sees of that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from runtime.teams import TWO_TEAMS, config, kept, of, play, scripted, team

import massgen_bridge
from massgen_bridge import AgentContext, Limits, Team, Turn, TurnResult
from massgen_bridge.api import prepare
from massgen_bridge.events import (
    InnerRunFinished,
    InnerRunStarted,
    ModelCallFinished,
    ModelCallStarted,
    Record,
    RunStarted,
    TextDelta,
)
from massgen_bridge.kinds import team as kind
from massgen_bridge.messages import ImagePart, Message, TextPart, assistant
from massgen_bridge.runtime.index import RunIndex
from massgen_bridge.runtime.inner_past import inner_run_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_bridge.agent import Emit

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASSGEN_BRIDGE_DATA", str(tmp_path))


# --- answers --------------------------------------------------------------------------------------


async def test_two_teams_and_an_agent_come_to_one_answer() -> None:
    result, records = await play(TWO_TEAMS)

    assert (result.status, result.winner, result.answer) == ("answered", "reds", "of r1")
    assert {one.authors: one.text for one in result.answers} == {
        ("reds",): "of r1",
        ("solo",): "of solo",
        ("blues",): "from a draft",
    }
    (started,) = of(records, RunStarted)
    assert [seat.members for seat in started.seats] == [("r1", "r2"), (), ("b1", "b2")]


async def test_a_team_takes_a_step_of_a_pipeline() -> None:
    steps = config(
        scripted("first", answers=["a draft"]),
        team("editors", scripted("e1"), scripted("e2", votes=["agent1"])),
        strategy="sequential",
    )
    result, records = await play(steps)

    assert (result.winner, result.answer) == ("editors", "of e1")
    inner = await kept(next(one.run_id for one in of(records, InnerRunStarted)))
    (started,) = of(inner, RunStarted)
    assert "a draft" in started.question.text


async def test_a_debate_within_map_and_reduce() -> None:
    debate = {"type": "debate", "rounds": 1}
    given = config(
        team("mapper", scripted("m1"), scripted("m2", votes=["agent1"]), strategy=debate),
        scripted("other"),
        scripted("reducer", answers=["all in one"]),
        strategy={"type": "map_reduce", "reducer": "reducer"},
    )
    result, records = await play(given)

    assert result.answer == "all in one"
    (inner,) = of(records, InnerRunFinished)
    assert inner.result.answer == "of m1"


async def test_teams_stand_within_teams() -> None:
    deep = team("outer", team("inner", scripted("leaf"), strategy="single"), strategy="single")
    result, records = await play(config(deep, strategy="single"))

    assert result.answer == "of leaf"
    (delta,) = of(records, TextDelta)
    assert delta.source == "inner/leaf"
    rows = await anyio.to_thread.run_sync(lambda: RunIndex().list(inner=True))
    assert len(rows) == 3


async def test_members_are_told_what_the_team_is_told() -> None:
    seen: list[str] = []

    async def member(turn: Turn) -> str:
        seen.extend(message.text for message in turn.messages)
        return "done"

    inner = Team(strategy="single").add("own", member, system_message="You are a cook.")
    outer = Team(strategy="single").add("cooks", inner, system_message="Be brief.")
    await play(outer, "What is for lunch?")

    assert seen == ["Be brief.\n\nYou are a cook.", "What is for lunch?"]


async def test_media_reach_members_that_carry_them_and_are_refused_otherwise() -> None:
    picture = ImagePart(media_type="image/png", data=b"\x89PNG")
    asked = Message(role="user", parts=(TextPart(text="What is it?"), picture))
    seen: list[Message] = []

    async def sees(turn: Turn) -> str:
        seen.append(turn.messages[-1])
        return "a picture"

    can = Team(strategy="single").add("eyes", Team(strategy="single").add("own", sees))
    result, _ = await play(can, asked)
    # A function takes text alone unless it says more.
    assert result.errors[0].kind == "unsupported"
    able = massgen_bridge.Capabilities(inputs=frozenset({"image"}))
    one = _Sees(seen)
    can = Team(strategy="single").add(
        "eyes", Team(strategy="single").add("own", one, capabilities=able)
    )
    result, _ = await play(can, asked)
    assert (result.answer, seen[-1].parts) == ("a picture", asked.parts)
    mixed = Team(strategy="single").add("own", one, capabilities=able).add("blind", "scripted")
    result, _ = await play(Team(strategy="single").add("eyes", mixed), asked)
    assert result.errors[0].kind == "unsupported"


class _Sees:
    def __init__(self, seen: list[Message]) -> None:
        self._seen = seen

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        del emit
        self._seen.append(turn.messages[-1])
        message = assistant("a picture")
        return TurnResult(message=message, new_messages=(message,))

    async def aclose(self) -> None:
        pass


# --- what the run around it sees ------------------------------------------------------------------


async def test_calls_tokens_and_words_of_members_count_in_the_outer_run() -> None:
    result, records = await play(TWO_TEAMS)

    started = of(records, ModelCallStarted)
    assert result.calls == len(started)
    assert {one.source for one in started} == {None, "r1", "r2", "b1", "b2"}
    used = sum((one.usage for one in of(records, ModelCallFinished)), massgen_bridge.Usage())
    assert result.usage == used
    inner = [one.result for one in of(records, InnerRunFinished)]
    own = sum(one.source is None for one in started)
    assert sum(one.calls for one in inner) + own == result.calls
    said = {one.source: one.text for one in of(records, TextDelta) if one.text.startswith("of")}
    assert said == {"r1": "of r1", "r2": "of r2", None: "of solo"}


async def test_a_member_that_fails_is_told_and_the_team_goes_on() -> None:
    given = config(team("pair", scripted("good"), scripted("bad", fails="auth")), strategy="single")
    result, _ = await play(given)

    assert result.answer == "of good"
    (error,) = result.errors
    assert (error.agent_id, error.kind) == ("pair/bad", "auth")


async def test_where_all_members_fail_the_turn_fails_of_that_kind() -> None:
    given = config(
        team("pair", scripted("one", fails="auth"), scripted("two", fails="auth")),
        scripted("spare"),
        strategy="single",
    )
    result, _ = await play(given)

    assert (result.winner, result.answer) == ("spare", "of spare")
    assert {(one.agent_id, one.kind) for one in result.errors} == {
        ("pair/one", "auth"),
        ("pair/two", "auth"),
        ("pair", "auth"),
    }
    assert "one: the script says" in result.errors[-1].message


async def test_inner_runs_name_the_turn_that_they_are_for_and_are_told_by_it() -> None:
    result, records = await play(TWO_TEAMS)

    for record in records:
        if isinstance(record.event, InnerRunStarted):
            assert record.event.run_id == inner_run_id(result.run_id, str(record.turn_id))
            (started,) = of(await kept(record.event.run_id), RunStarted)
            assert started.within.model_dump() == {
                "run_id": result.run_id,
                "agent_id": record.agent_id,
                "turn_id": record.turn_id,
            }


async def test_inner_runs_are_listed_only_where_asked_for_and_go_with_their_run() -> None:
    result, records = await play(TWO_TEAMS)
    inner = {one.run_id for one in of(records, InnerRunStarted)}

    def check() -> None:
        index = RunIndex()
        assert [row.run_id for row in index.list()] == [result.run_id]
        assert {row.run_id for row in index.list(inner=True)} == {result.run_id, *inner}
        assert index.find(result.run_id[:-3]).run_id == result.run_id
        one = min(inner)
        assert index.find(one).run_id == one
        index.rebuild()
        assert [row.run_id for row in index.list()] == [result.run_id]
        index.prune(keep=0)
        assert index.list(inner=True) == ()
        assert [path.name for path in index.folder.iterdir()] == ["index.sqlite"]

    await anyio.to_thread.run_sync(check)


async def test_without_a_journal_nothing_is_kept_of_teams_either() -> None:
    result, _ = await play(TWO_TEAMS, keep=False)
    assert result.answer == "of r1"
    assert await anyio.to_thread.run_sync(lambda: RunIndex().list(inner=True)) == ()


async def test_hooks_see_one_run_and_sinks_of_a_team_its_own(tmp_path: Path) -> None:
    plugin = tmp_path / "sink.py"
    plugin.write_text(
        "from pathlib import Path\n"
        "from massgen_bridge import SinkSpec, hookimpl\n"
        "FOLDER = Path(__file__).parent\n"
        "class Sink:\n"
        "    def write(self, records):\n"
        "        with (FOLDER / 'sunk').open('a') as file:\n"
        "            file.writelines(f'{one.run_id}\\n' for one in records)\n"
        "    def close(self): pass\n"
        "@hookimpl\n"
        "def bridge_sinks():\n"
        "    return [SinkSpec(name='note', summary='Notes.', create=lambda options: Sink())]\n"
        "@hookimpl\n"
        "def bridge_run_started(run_id):\n"
        "    with (FOLDER / 'seen').open('a') as file:\n"
        "        file.write(f'{run_id}\\n')\n"
    )
    given = config(
        team("noted", scripted("one"), strategy="single", sinks=["note"]),
        plugins=[str(plugin)],
        strategy="single",
    )
    result, _ = await play(given)

    assert (tmp_path / "seen").read_text().split() == [result.run_id]
    sunk = set((tmp_path / "sunk").read_text().split())
    assert sunk == {inner_run_id(result.run_id, "noted.1")}


# --- limits ---------------------------------------------------------------------------------------


async def test_a_team_has_its_best_answer_ready_before_the_deadline_of_the_run() -> None:
    given = config(
        team("pair", scripted("quick"), scripted("slow", delay_s=30)),
        strategy="single",
        timeout_settings={"orchestrator_timeout_seconds": 5.0},
    )
    result, records = await play(given)

    assert (result.status, result.answer) == ("answered", "of quick")
    (inner,) = of(records, InnerRunFinished)
    assert inner.result.status == "best_so_far"
    assert result.duration_s < 5.0


async def test_what_members_do_keeps_a_team_from_being_idle() -> None:
    slow = scripted("slow", answers=["one two three four five six"], tokens_per_second=8)
    inner = {**team("busy", slow, strategy="single"), "limits": {"idle_s": 0.5}}
    result, _ = await play(config(inner, strategy="single"))
    assert result.answer == "one two three four five six"

    silent = team("silent", scripted("slow", delay_s=30), strategy="single")
    result, _ = await play(config({**silent, "limits": {"idle_s": 0.3}}, strategy="single"))
    assert [(one.agent_id, one.kind) for one in result.errors] == [("silent", "timeout")]


async def test_a_cancelled_turn_ends_the_inner_run_at_once() -> None:
    given = config(scripted("ann"), team("slow", scripted("one", delay_s=30)))
    records: list[Record] = []
    with anyio.move_on_after(1.5):
        await massgen_bridge.arun(given, "Which?", on_record=records.append)

    (started,) = of(records, InnerRunStarted)
    inner = await kept(started.run_id)
    assert inner[-1].event.type == "run_finished"
    assert inner[-1].event.result.status == "cancelled"


# --- in code --------------------------------------------------------------------------------------


async def test_a_team_built_in_code_is_an_agent_with_its_own_functions() -> None:
    inner = Team(strategy="sequential", budget={"model_calls": 5})
    inner.add("x", lambda question: f"{question}!").add("y", lambda _question: "said twice")
    outer = Team().add("x", lambda _question: "said once", vote=lambda _task, _answers: "agent2")
    outer.add("critics", inner, vote=None).add("judge", "scripted", votes=["agent2"])
    result, _ = await play(outer)

    assert (result.winner, result.answer) == ("critics", "said twice")


async def test_a_team_of_a_file_takes_its_place_in_code(tmp_path: Path) -> None:
    file = tmp_path / "inner.json"
    file.write_text(json.dumps(config(scripted("one"), strategy="single")))
    outer = Team(strategy="single").add("critics", "team", config=str(file), limits=Limits())
    result, _ = await play(outer)
    assert result.answer == "of one"


def test_nobody_can_run_a_team_without_a_host() -> None:
    (spec,) = kind.bridge_adapters()
    context = AgentContext(
        agent_id="critics",
        options=spec.options(agents=({"id": "one"},)),
        connection=None,
        call_model=None,  # type: ignore[arg-type]  # it is not asked
        load=str,
        base_dir=Path(),
    )
    with pytest.raises(massgen_bridge.ConfigError, match="nobody here to run its team"):
        spec.factory(context)


def test_a_team_has_tools_where_one_of_its_members_has() -> None:
    async def look(_arguments: Mapping[str, Any]) -> str:
        return "12:00"

    class Clock:
        @massgen_bridge.hookimpl
        def bridge_tools(self) -> list[massgen_bridge.ToolSpec]:
            definition = massgen_bridge.ToolDefinition(
                name="clock", description="Tells the time.", input_schema={"type": "object"}
            )
            return [massgen_bridge.ToolSpec(definition=definition, call=look)]

    armed = Team().add("one", "scripted").add("two", "scripted", tools=["clock"])
    bare = Team().add("one", "scripted")
    prepared = prepare(Team(plugins=[Clock()]).add("armed", armed).add("bare", bare))
    assert [agent.seat.has_tools for agent in prepared.plan.agents] == [True, False]
