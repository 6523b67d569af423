"""Who is compared: agents that propose, each alone, and the team; on the same connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from massgen_bridge.config import load_config, open_config
from massgen_bridge.evaluation import Contestant, contestants_of
from massgen_bridge.hookspecs import hookimpl
from massgen_bridge.plugins import PluginHost
from massgen_bridge.specs import StrategySpec
from massgen_bridge.strategies.single import Single

if TYPE_CHECKING:
    from collections.abc import Iterable

    from massgen_bridge.evaluation.contestants import Only


class _Roles:
    """A strategy that knows of roles."""

    @hookimpl
    def bridge_strategies(self) -> Iterable[StrategySpec]:
        return (
            StrategySpec(name="ranked", summary="", create=lambda _options: Single(), roles=True),
        )


def _contestants(*agents: dict[str, Any], only: Only | None = None) -> tuple[Contestant, ...]:
    host = PluginHost()
    host.register(_Roles())
    named = [
        {"id": name, "backend": {"type": "scripted"}, **agent}
        for name, agent in zip(("ada", "lin", "own"), agents, strict=False)
    ]
    config = open_config({"version": 1, "agents": named, "strategy": "ranked"}, host)
    return contestants_of(config, host, only=only)


def test_each_agent_is_alone_once_and_the_team_comes_last() -> None:
    found = _contestants({}, {})
    assert [one.agent for one in found] == ["ada", "lin", None]
    alone, team = found[1].prepared.plan, found[2].prepared.plan
    assert ([a.seat.agent_id for a in alone.agents], alone.strategy_name) == (["lin"], "single")
    assert ([a.seat.agent_id for a in team.agents], team.strategy_name) == (
        ["ada", "lin"],
        "ranked",
    )


@pytest.mark.parametrize(("only", "who"), [("agents", ["ada", "lin"]), ("team", [None])])
def test_a_part_of_them_can_be_asked(only: Only, who: list[str | None]) -> None:
    assert [one.agent for one in _contestants({}, {}, only=only)] == who


def test_an_agent_that_does_not_propose_is_not_asked_alone() -> None:
    found = _contestants({"roles": ["propose"], "weight": 2}, {}, {"roles": ["vote"]})
    assert [one.agent for one in found] == ["ada", "lin", None]


def test_what_an_agents_own_run_is_made_from_is_a_whole_configuration() -> None:
    """So that `runs resume` can go on with it."""
    alone = _contestants({"roles": ["propose"], "weight": 2}, {})[0].prepared
    assert alone.setup is not None
    config = load_config(alone.setup.source(), PluginHost())
    assert [agent.id for agent in config.agents] == ["ada"]
    assert config.strategy.type == "single"


def test_all_have_the_same_connections() -> None:
    pools = {id(one.prepared.pool) for one in _contestants({}, {})}
    assert len(pools) == 1
