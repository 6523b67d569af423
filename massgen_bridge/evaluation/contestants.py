"""Who is compared: the team as it is configured, and each of its agents alone."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from massgen_bridge.config.models import StrategyConfig
from massgen_bridge.config.source import Source
from massgen_bridge.errors import ConfigError
from massgen_bridge.events import Seat
from massgen_bridge.runtime.planning import prepare_run
from massgen_bridge.runtime.setup import setup_of

if TYPE_CHECKING:
    from massgen_bridge.config import RunConfig
    from massgen_bridge.plugins import PluginHost
    from massgen_bridge.runtime.planning import Prepared

__all__ = ["Contestant", "Only", "contestants_of"]

Only = Literal["agents", "team"]
_ALONE = "single"


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """One that answers every question.

    Attributes:
        agent: The agent that answers alone; None for the team.
        prepared: What is run for a question. All contestants share their connections.
    """

    agent: str | None
    prepared: Prepared


def contestants_of(
    config: RunConfig, host: PluginHost, *, only: Only | None = None
) -> tuple[Contestant, ...]:
    """The agents of a configuration that can answer, in its order, then the team.

    Raises:
        ConfigError: Something does not go together, or nobody is left to be compared.
        PluginError: An adapter, strategy, tool or sink cannot be used.
    """
    team = prepare_run(config, host=host, environ=os.environ)
    found = [
        Contestant(agent=agent.id, prepared=_alone(config, index, team))
        for index, agent in enumerate(config.agents)
        if "propose" in agent.roles and only != "team"
    ]
    if only != "agents":
        found.append(Contestant(agent=None, prepared=team))
    if not found:
        raise ConfigError("no agent of this configuration proposes answers", file=config.file)
    return tuple(found)


def _alone(config: RunConfig, index: int, team: Prepared) -> Prepared:
    """The run of one agent, as if the configuration had no other and the strategy `single`."""
    # There is nobody to vote for, and `single` refuses what only a vote can honour.
    usual = {"roles": Seat.model_fields["roles"].default, "weight": 1.0}
    agent = config.agents[index].model_copy(update=usual)
    written = config.source.data["agents"][index]
    strategy = StrategyConfig(type=_ALONE)
    source = Source(
        data={
            **config.source.data,
            "agents": [{key: one for key, one in written.items() if key not in usual}],
            "strategy": _ALONE,
        },
        base_dir=config.base_dir,
    )
    document = config.document.model_copy(update={"agents": (agent,), "strategy": strategy})
    own = replace(config, document=document, source=source, strategy_options=None)
    own = replace(own, teams={name: one for name, one in config.teams.items() if name == agent.id})
    planned = team.plan.agents[index]
    seat = planned.seat.model_copy(update={"label": "agent1", **usual})
    spec = team.host.strategy(_ALONE)
    options = spec.options()
    plan = replace(
        team.plan,
        agents=(replace(planned, seat=seat),),
        strategy=spec.create(options),
        strategy_name=spec.name,
        strategy_options=options.model_dump(mode="json"),
    )
    return replace(
        team,
        plan=plan,
        teams={name: one for name, one in team.teams.items() if name == agent.id},
        setup=setup_of(own, team.host),
    )
