"""Teams in runs that are resumed, and what is kept of them."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from runtime.teams import config, kept, of, play, scripted, team

import massgen_bridge
from massgen_bridge import AgentContext, Team
from massgen_bridge.events import (
    ModelCallFinished,
    ModelCallStarted,
    Record,
)
from massgen_bridge.kinds.scripted import ScriptedAgent, ScriptedOptions
from massgen_bridge.runtime.inner_past import inner_run_id

if TYPE_CHECKING:
    pass

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASSGEN_BRIDGE_DATA", str(tmp_path))


async def test_what_was_used_before_an_interruption_is_counted_once() -> None:
    given = config(
        team("slow", scripted("one"), scripted("two", delay_s=0.6, votes=["agent1"])),
        strategy="single",
    )
    records = massgen_bridge.stream(given, "Which?")
    async for record in records:
        if getattr(record.event, "source", None) == "two":
            break
    await records.aclose()  # type: ignore[attr-defined]  # an async generator
    again: list[Record] = []
    result = await massgen_bridge.aresume(record.run_id, on_record=again.append)

    assert (result.status, result.answer) == ("answered", "of one")
    sources = [one.source for one in of(again, ModelCallStarted)]
    assert sources.count("one") == 1  # its vote: its answer was there
    everything = await kept(record.run_id)
    used = sum((one.usage for one in of(everything, ModelCallFinished)), massgen_bridge.Usage())
    assert result.usage == used
    assert result.calls == len(of(everything, ModelCallStarted))


async def test_an_inner_run_is_resumed_with_the_run_around_it_alone() -> None:
    given = config(team("slow", scripted("one", delay_s=30)), strategy="single")
    records = massgen_bridge.stream(given, "Which?")
    async for record in records:
        if isinstance(record.event, ModelCallStarted):
            break
    await records.aclose()  # type: ignore[attr-defined]  # an async generator
    inner = inner_run_id(record.run_id, "slow.1")
    with pytest.raises(massgen_bridge.JournalError, match=f"part of the run '{record.run_id}'"):
        await massgen_bridge.aresume(inner)


async def test_the_file_of_a_team_counts_as_it_was_when_the_run_began(tmp_path: Path) -> None:
    def write(answer: str) -> None:
        one = scripted("one", answers=[answer], delay_s=0.3)
        (tmp_path / "inner.json").write_text(json.dumps(config(one, strategy="single")))

    await anyio.to_thread.run_sync(write, "as it was")
    outer = tmp_path / "outer.json"
    backend = {"type": "team", "config": "inner.json"}
    outer.write_text(json.dumps(config({"id": "t", "backend": backend}, strategy="single")))
    records = massgen_bridge.stream(outer, "Which?")
    async for record in records:
        if isinstance(record.event, ModelCallStarted):
            break
    await records.aclose()  # type: ignore[attr-defined]  # an async generator
    await anyio.to_thread.run_sync(write, "as it is now")

    assert (await massgen_bridge.aresume(record.run_id)).answer == "as it was"


async def test_keys_of_a_team_enter_no_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = "canary-8c1f77d0aa"
    monkeypatch.setenv("INNER_KEY", canary)

    (tmp_path / "leak.py").write_text(
        "from massgen_bridge import TextDelta\n"
        f"KEY = {canary!r}\n"
        "async def answer(question, emit):\n"
        "    for piece in ('it is ', KEY[:7], KEY[7:]):\n"
        "        await emit(TextDelta(text=piece))\n"
        "    return 'it is ' + KEY\n"
    )
    own = {
        "provider": "openai",
        "model": "m",
        "base_url": "http://127.0.0.1:9/v1",
        "api_key": "${INNER_KEY}",
    }
    member = {
        "id": "leaky",
        "backend": {"type": "python", "function": "leak.py:answer", "model": "own"},
    }
    file = tmp_path / "outer.json"
    both = config(team("leaks", member, models={"own": own}, strategy="single"), scripted("ann"))
    file.write_text(json.dumps(both))
    result, _ = await play(file, trust=True)

    assert result.calls
    found = [
        path.name
        for path in await anyio.to_thread.run_sync(lambda: list((tmp_path / "runs").iterdir()))
        if canary in path.read_bytes().decode(errors="ignore")
    ]
    assert found == []


async def test_what_members_are_made_of_is_imported_before_anybody_runs() -> None:
    order: list[str] = []

    class Late:
        @massgen_bridge.hookimpl
        def bridge_adapters(self) -> list[massgen_bridge.AdapterSpec]:
            return [massgen_bridge.AdapterSpec(kind="late", summary="Late.", factory=self.make)]

        def make(self, context: AgentContext) -> Any:
            del context
            time.sleep(0.1)  # as the import of a framework takes
            order.append("imported")
            return ScriptedAgent(ScriptedOptions())

    async def early(question: str) -> str:
        order.append("ran")
        return question

    inner = Team(strategy="single").add("first", lambda _question: "first").add("last", "late")
    outer = Team(plugins=[Late()], strategy={"type": "map_reduce", "reducer": "end"})
    outer.add("early", early).add("inner", inner).add("end", "scripted")
    await play(outer)
    assert order[0] == "imported"
