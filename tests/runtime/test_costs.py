"""What runs say that they have used and what it cost, with model servers."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import massgen_bridge
from massgen_bridge import Cost, ModelCallFinished, Session, Usage, price_of, run
from massgen_bridge.export import export_of
from massgen_bridge.testing import servers
from massgen_bridge.testing.servers import HttpError, ModelServer, Text

if TYPE_CHECKING:
    from pathlib import Path

    from massgen_bridge import Record, RunResult

READ, MADE = 100_000, 10_000
SAID = Text("Well.", usage=servers.Usage(input_tokens=READ, output_tokens=MADE))


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASSGEN_BRIDGE_DATA", str(tmp_path))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-nobody")
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "sk-of-nobody")


def price(model: str, provider: str = "openai") -> float:
    usd = price_of(
        Usage(input_tokens=READ, output_tokens=MADE, calls=1), provider=provider, model=model
    )
    assert usd
    return float(usd)


def model(server: ModelServer, name: str, **more: Any) -> dict[str, Any]:
    given = {"provider": "openai", "base_url": server.base_url("chat"), "retry": {"attempts": 1}}
    return {**given, "model": name, **more}


def team(models: dict[str, Any], **top: Any) -> dict[str, Any]:
    agents = [{"id": name, "backend": {"type": "openai", "model": name}} for name in models]
    return {"version": 1, "models": models, "agents": agents, "strategy": "single", **top}


def played(config: dict[str, Any], **options: Any) -> tuple[RunResult, list[Record]]:
    records: list[Record] = []
    result = run(config, "?", on_record=records.append, **options)
    return result, records


TALK = {"type": "group", "max_turns": 3}


def test_a_run_costs_what_its_agents_calls_cost_by_the_models_names() -> None:
    with ModelServer(SAID) as server:
        models = {name: model(server, name) for name in ("gpt-5-mini", "gpt-5", "of-nobody")}
        result, records = played(team(models, strategy=TALK), keep=False)
    assert [one.agent_id for one in result.agents] == [*models]
    assert [one.cost for one in result.agents] == [
        Cost(usd=price("gpt-5-mini")),
        Cost(usd=price("gpt-5")),
        Cost(unpriced_calls=1, unpriced=("of-nobody",)),
    ]
    together = price("gpt-5-mini") + price("gpt-5")
    assert result.cost.usd == pytest.approx(together)
    assert result.cost.unpriced == ("of-nobody",)
    assert [one.usage.input_tokens for one in result.agents] == [READ] * 3
    told = export_of(records)
    assert (told.cost, [one.cost for one in told.agents]) == (
        result.cost,
        [one.cost for one in result.agents],
    )


def test_the_price_is_that_of_the_model_and_provider_that_answered() -> None:
    name = "gpt-4o-mini"
    with ModelServer(HttpError(status=401)) as first, ModelServer(SAID) as second:
        models = {
            "main": model(first, "gpt-5", fallback=["spare"], inputs=[]),
            "spare": model(second, name, provider="azure"),
        }
        config = team(models)
        config["agents"] = config["agents"][:1]
        result, _ = played(config, keep=False)
    assert (result.answer, result.calls) == ("Well.", 2)
    assert result.cost == Cost(usd=price(name, "azure"))


@pytest.mark.parametrize(
    ("kind", "isolation"), [("openai", "none"), ("openai", "process"), ("langchain", "none")]
)
def test_a_fallback_with_a_model_of_the_same_name_has_the_price_of_its_own_provider(
    kind: str, isolation: str
) -> None:
    name = "gpt-5-mini"
    with ModelServer(HttpError(status=401)) as down, ModelServer(SAID) as up:
        paid, free = {"provider": "openai"}, {"provider": "vllm"}
        costs = [
            _alone(
                model(down, name, fallback=["spare"], inputs=[], **first),
                model(up, name, **second),
                kind,
                isolation,
            )
            for first, second in ((paid, free), (free, paid))
        ]
    assert costs == [(Cost(usd=0.0), "spare"), (Cost(usd=price(name)), "spare")]


def _alone(
    main: dict[str, Any], spare: dict[str, Any], kind: str, isolation: str
) -> tuple[Cost, str | None]:
    """What a run of one agent costs, and which connection its call's record names."""
    backend = {"type": kind, "model": "main", "isolation": isolation}
    config = {
        "version": 1,
        "models": {"main": main, "spare": spare},
        "agents": [{"id": "ada", "backend": backend}],
    }
    result, records = played(config, keep=False)
    (call,) = [one.event for one in records if isinstance(one.event, ModelCallFinished)]
    assert call.cost_usd == result.cost.usd
    return result.cost, call.fallback


def test_the_members_of_a_team_are_parts_of_what_it_used() -> None:
    with ModelServer(SAID) as server:
        inner = team({"lin": model(server, "gpt-5-mini"), "bo": model(server, "gpt-5")})
        inner = {"agents": inner["agents"], "strategy": {"type": "group", "max_turns": 2}}
        result, _ = played(
            {
                "version": 1,
                "models": {
                    "lin": model(server, "gpt-5-mini"),
                    "bo": model(server, "gpt-5"),
                },
                "agents": [{"id": "ada", "backend": {"type": "team", **inner}}],
                "strategy": "single",
            },
            keep=False,
        )
    (ada,) = result.agents
    assert [(one.agent_id, one.calls, one.cost.usd) for one in ada.members] == [
        ("ada/lin", 1, price("gpt-5-mini")),
        ("ada/bo", 1, price("gpt-5")),
    ]
    assert ada.cost.usd == pytest.approx(sum(one.cost.usd or 0 for one in ada.members))
    assert (result.cost, result.usage) == (ada.cost, ada.usage)


def test_a_session_adds_up_its_runs_and_remembers_it() -> None:
    with ModelServer(SAID) as server:
        config = team({"ada": model(server, "gpt-5-mini")})
        for _ in range(2):
            run(config, "?", session=Session("trip"))
    used = Session("trip").used
    assert (used.calls, used.usage.output_tokens) == (2, 2 * MADE)
    assert used.cost == Cost(usd=round(2 * price("gpt-5-mini"), 10))
    assert [turn.used and turn.used.calls for turn in Session("trip").turns] == [1, 1]


@pytest.mark.anyio
async def test_a_run_that_goes_on_counts_what_it_had_used_before() -> None:
    with ModelServer(SAID) as server:
        config = team({"ada": model(server, "gpt-5-mini")}, strategy=TALK)
        stream = massgen_bridge.stream(config, "?")
        async for record in stream:
            if record.event.type == "answered":
                break
        await stream.aclose()  # type: ignore[attr-defined]  # an async generator
        result = await massgen_bridge.aresume(record.run_id)
        sent = server.calls
    each = Usage(input_tokens=READ, output_tokens=MADE)
    assert (result.status, result.usage.calls) == ("answered", 3)
    assert sent >= 3
    assert result.agents[0].usage == result.usage == each + each + each + Usage(calls=3)
    assert result.cost == Cost(usd=round(3 * price("gpt-5-mini"), 10))


def test_a_replay_costs_what_the_recorded_calls_cost(tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    with ModelServer(SAID) as server:
        config = team({"ada": model(server, "gpt-5-mini")})
        then, _ = played(config, keep=False, record=tape)
    now, _ = played(config, keep=False, replay=tape)
    assert now.cost == then.cost == Cost(usd=price("gpt-5-mini"))


def test_runs_without_models_that_cost_something_never_read_the_price_list() -> None:
    script = """
import json, sys, massgen_bridge
from massgen_bridge.testing.servers import ModelServer, Text
with ModelServer(Text("Well.")) as server:
    result = massgen_bridge.run({
        "version": 1,
        "models": {"own": {"provider": "vllm", "model": "m", "base_url": server.base_url("chat")}},
        "agents": [
            {"id": "ada", "backend": {"type": "openai", "model": "own"}},
            {"id": "lin", "backend": {"type": "scripted", "answers": ["Yes."]}},
        ],
        "strategy": {"type": "group", "max_turns": 2},
    }, "?", keep=False)
print(json.dumps([result.cost.model_dump(), result.calls, "genai_prices" in sys.modules]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    free = {"usd": 0.0, "unpriced_calls": 0, "unpriced": []}
    assert json.loads(done.stdout) == [free, 2, False]
