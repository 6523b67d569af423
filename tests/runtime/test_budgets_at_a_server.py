"""Budgets of agents with a model, counted where the requests arrive."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import massgen_bridge
from massgen_bridge import Usage, price_of
from massgen_bridge.api import prepare
from massgen_bridge.errors import ConfigError
from massgen_bridge.events import BudgetReached, ModelRetried, Record
from massgen_bridge.hookspecs import hookimpl
from massgen_bridge.plugins import PluginHost
from massgen_bridge.runtime.execution import execute
from massgen_bridge.specs import ProviderSpec
from massgen_bridge.testing import servers
from massgen_bridge.testing.servers import Echo, HttpError, ModelServer, Text, ToolCalls

if TYPE_CHECKING:
    from collections.abc import Iterable

    from massgen_bridge.connection import Protocols
    from massgen_bridge.events import RunResult
    from massgen_bridge.runtime.planning import Prepared
    from massgen_bridge.testing.servers import Script

TALK = {"type": "group", "max_turns": 9}


@pytest.fixture(autouse=True)
def a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-nobody")


def team(server: ModelServer | None, agents: int = 1, **top: Any) -> dict[str, Any]:
    model = {"provider": "openai", "model": "gpt-5-mini", **top.pop("model", {})}
    if server is not None and "base_url" not in model:
        model["base_url"] = server.base_url("chat")
    each = top.pop("each", {})
    return {
        "version": 1,
        "models": {"m": model},
        "agents": [
            {"id": f"a{i}", "backend": {"type": "openai", "model": "m"}, **each}
            for i in range(agents)
        ],
        **top,
    }


async def played(
    script: Script, agents: int = 1, **top: Any
) -> tuple[RunResult, int, list[Record]]:
    """The result, how many requests there were, and the records."""
    records: list[Record] = []
    with ModelServer(script) as server:
        config = team(server, agents, **top)
        result = await massgen_bridge.arun(config, "?", keep=False, on_record=records.append)
        return result, server.calls, records


async def played_with(plugin: object, config: dict[str, Any]) -> RunResult:
    def prepared() -> Prepared:
        host = PluginHost()
        host.register(plugin)
        return prepare(config, host=host)

    run = await anyio.to_thread.run_sync(prepared)
    return await execute(run, massgen_bridge.user("?"), keep=False)


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["anthropic", "langchain", "openai"])
async def test_a_call_beyond_the_budget_is_never_sent(kind: str) -> None:
    protocol: Protocols = "messages" if kind == "anthropic" else "chat"
    with ModelServer(Echo()) as server:
        config = team(
            server,
            strategy=TALK,
            budget={"model_calls": 3},
            each={"backend": {"type": kind, "model": "m"}},
            model={"provider": "vllm", "model": "m", "base_url": server.base_url(protocol)},
        )
        result = await massgen_bridge.arun(config, "?", keep=False)
        sent = server.calls

    assert (result.status, result.budget) == ("best_so_far", "model_calls")
    assert (sent, result.calls) == (3, 3)


@pytest.mark.anyio
@pytest.mark.parametrize("left", [1, 2, 4])
async def test_of_calls_at_the_same_moment_no_more_are_sent_than_there_is_budget_for(
    left: int,
) -> None:
    result, sent, _ = await played(
        Text("The same.", latency_s=0.2), agents=5, budget={"model_calls": left}
    )

    assert (sent, result.calls) == (left, left)
    assert result.answer == "The same."
    assert len(result.answers[0].authors) == left


@pytest.mark.anyio
async def test_retries_count_and_end_with_the_budget() -> None:
    retry = {"attempts": 9, "base_s": 0.01}
    result, sent, records = await played(
        HttpError(status=503), model={"retry": retry}, budget={"model_calls": 3}
    )

    assert (sent, result.calls) == (3, 3)
    assert sum(isinstance(one.event, ModelRetried) for one in records) == 3
    assert (result.status, result.budget) == ("failed", "model_calls")
    assert result.message == "the run has used its budget of 3 model calls, before any answer"


@pytest.mark.anyio
async def test_an_agents_calls_count_over_all_its_turns() -> None:
    result, sent, records = await played(
        Echo(), agents=2, strategy=TALK, each={"budget": {"model_calls": 2}}
    )

    assert (sent, result.status, result.budget) == (4, "best_so_far", "model_calls")
    told = [one.event for one in records if isinstance(one.event, BudgetReached)]
    assert [(one.agent_id, one.used) for one in told] == [("a0", 2), ("a1", 2)]


@pytest.mark.anyio
async def test_calls_within_a_turn_count_too() -> None:
    """The turn is over in the middle, and the tool's result is not sent any more."""

    async def add(arguments: Any) -> str:
        return str(arguments)

    class Tools:
        @hookimpl
        def bridge_tools(self) -> Iterable[massgen_bridge.ToolSpec]:
            definition = massgen_bridge.ToolDefinition(
                name="add", description="Adds.", input_schema={"type": "object", "properties": {}}
            )
            return [massgen_bridge.ToolSpec(definition=definition, call=add)]

    with ModelServer(ToolCalls(("add", {}))) as server:
        config = team(server, each={"tools": ["add"]}, budget={"model_calls": 4})
        result = await played_with(Tools(), config)
        assert (server.calls, result.calls) == (4, 4)
    assert (result.status, result.budget) == ("failed", "model_calls")


@pytest.mark.anyio
async def test_money_ends_a_run_with_the_first_call_that_goes_beyond() -> None:
    used = servers.Usage(input_tokens=100_000, output_tokens=10_000)
    each = price_of(
        Usage(input_tokens=100_000, output_tokens=10_000), provider="openai", model="gpt-5-mini"
    )
    assert each is not None
    limit = float(each * Decimal("2.5"))
    result, sent, records = await played(
        Text("Well.", usage=used), strategy=TALK, budget={"cost_usd": limit}
    )

    assert (sent, result.status, result.budget) == (3, "best_so_far", "cost_usd")
    (told,) = [one.event for one in records if isinstance(one.event, BudgetReached)]
    assert told.used == pytest.approx(float(3 * each))
    assert told.message == f"the run has used its budget of ${limit:.2f} (${3 * each:.2f} used)"


@pytest.mark.anyio
async def test_the_money_of_one_agent_is_its_own() -> None:
    used = servers.Usage(input_tokens=100_000, output_tokens=10_000)
    with ModelServer(Text("Well.", usage=used)) as server:
        config = team(server, agents=2, strategy={"type": "group", "max_turns": 5})
        config["agents"][0]["budget"] = {"cost_usd": 0.001}
        result = await massgen_bridge.arun(config, "?", keep=False)

    # Its second turn is refused.
    assert [answer.authors[0] for answer in result.answers] == ["a0", "a1", "a1", "a1"]
    assert result.status == "answered"


@pytest.mark.anyio
@pytest.mark.parametrize("within", [False, True])
async def test_a_model_without_a_known_price_is_refused_where_money_is_limited(
    *, within: bool
) -> None:
    config = team(None, agents=2, model={"model": "of-nobody"}, budget={"cost_usd": 1.0})
    if within:
        members = {key: config.pop(key) for key in ("agents", "models")}
        config["agents"] = [{"id": "t", "backend": {"type": "team", **members}}]

    with pytest.raises(ConfigError) as told:
        await massgen_bridge.arun(config, "?")

    name = "t" if within else "a0"
    assert f"agent {name!r}: the price of the model 'of-nobody' is not known" in str(told.value)
    assert "limit 'tokens' or 'model_calls' instead" in str(told.value)


def test_only_the_models_that_count_need_a_price(tmp_path: Any) -> None:
    config = team(None, agents=2, model={"model": "of-nobody"})
    config["agents"][1] = {
        "id": "a1",
        "backend": {"type": "openai", "model": "gpt-5-mini"},
        "budget": {"cost_usd": 1},
    }
    assert prepare(config).plan.agents[1].budget.cost_usd == 1

    file = tmp_path / "team.yaml"
    file.write_text(
        "version: 1\n"
        "agents:\n"
        "  - id: ada\n"
        "    backend: {type: openai, model: of-nobody}\n"
        "    budget: {cost_usd: 1}\n"
    )
    with pytest.raises(ConfigError) as told:
        prepare(file)
    assert str(told.value).startswith(f"{file}:5:24: agent 'ada': the price of the model")


@pytest.mark.anyio
async def test_models_that_nobody_charges_for_cost_nothing() -> None:
    model = {"provider": "vllm", "model": "own"}
    result, sent, _ = await played(
        Text("So."), model=model, strategy={"type": "group", "max_turns": 2}, budget={"cost_usd": 1}
    )

    assert (result.status, sent) == ("answered", 2)


@pytest.mark.anyio
async def test_the_prices_of_a_plugins_provider_count() -> None:
    class Own:
        @hookimpl
        def bridge_providers(self) -> Iterable[ProviderSpec]:
            return [
                ProviderSpec(
                    name="house",
                    summary="Resells.",
                    base_urls={"chat": "http://127.0.0.1:9/v1"},
                    needs_key=False,
                    prices_id="openai",
                )
            ]

    used = servers.Usage(input_tokens=100_000, output_tokens=10_000)
    with ModelServer(Text("Well.", usage=used)) as server:
        config = team(server, model={"provider": "house"}, strategy=TALK, budget={"cost_usd": 0.01})
        result = await played_with(Own(), config)
        assert (server.calls, result.budget) == (1, "cost_usd")


def test_prices_are_not_read_where_no_budget_asks_for_them() -> None:
    code = (
        "import sys; from massgen_bridge.api import prepare; prepare({'version': 1, 'agents':"
        " [{'id': 'a', 'backend': {'type': 'openai', 'model': 'gpt-5-mini'}}],"
        " 'budget': {'tokens': 5}}); print('genai_prices' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout == "False\n"
