"""From a validated configuration to a plan: who takes part, with what, and how they coordinate."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from massgen_bridge.agent import Capabilities
from massgen_bridge.ballots import VOTE_TOOL, BallotChoice
from massgen_bridge.config.attached import Attached, load_attached
from massgen_bridge.errors import ConfigError
from massgen_bridge.events import Seat
from massgen_bridge.media.sight import Sight
from massgen_bridge.models.connections import ConnectionPool
from massgen_bridge.models.fallbacks import FallbackRefused
from massgen_bridge.models.prices import PriceList
from massgen_bridge.models.providers import LOCAL
from massgen_bridge.runtime.crew import AgentSetup
from massgen_bridge.runtime.describers import describer_of, sight_of
from massgen_bridge.runtime.places import Places, placed
from massgen_bridge.runtime.plan import PlannedAgent, RunPlan
from massgen_bridge.runtime.setup import RunSetup, literal_secrets, setup_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pydantic import BaseModel

    from massgen_bridge.config.load import RunConfig
    from massgen_bridge.config.models import AgentConfig
    from massgen_bridge.config.source import KeyPath
    from massgen_bridge.connection import Connection
    from massgen_bridge.isolation.placement import Placement
    from massgen_bridge.messages import MediaPart
    from massgen_bridge.people import Asking
    from massgen_bridge.plugins import PluginHost
    from massgen_bridge.specs import AdapterSpec, ProviderSpec, SinkSpec, ToolSpec

__all__ = ["Prepared", "prepare_run"]


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A run that can start: nothing is imported, connected or paid for yet.

    Attributes:
        plan: What will be done.
        host: The plugins that take part.
        pool: The connections, checked, not yet open.
        connections: The connection of each agent that has one; of a local model without address.
        prices: What the calls of these cost, and of those within teams.
        providers: The providers that its connections may have.
        describers: The connections of the models that describe pictures for agents, by the ids
            that those have.
        teams: What the agents that are teams do, by agent id.
        sinks: Kinds of sinks with their validated options.
        ask: Asks the people who take part; None where nobody can be asked.
        setup: What it is made from, as far as it may be written down; keys are not checked for.
        literals: Secrets that stand in the configuration itself.
    """

    plan: RunPlan
    host: PluginHost
    pool: ConnectionPool
    connections: Mapping[str, Connection]
    prices: PriceList
    providers: Sequence[ProviderSpec] = ()
    describers: Mapping[str, Connection] = field(default_factory=dict)
    sinks: Sequence[tuple[SinkSpec, BaseModel]] = ()
    setup: RunSetup | None = None
    literals: frozenset[str] = frozenset()
    teams: Mapping[str, Prepared] = field(default_factory=dict)
    ask: Asking | None = None

    def tree(self) -> Iterator[Prepared]:
        """This one, and those of the teams within it, to the innermost."""
        yield self
        for team in self.teams.values():
            yield from team.tree()


def prepare_run(
    config: RunConfig,
    *,
    host: PluginHost,
    environ: Mapping[str, str],
    from_objects: bool = False,
    hosts: Mapping[str, str] | None = None,
    attach: bool = True,
) -> Prepared:
    """Resolve a configuration against the plugins that are there.

    Args:
        config: The checked configuration; its `plugins:` are loaded already.
        host: The plugins.
        environ: The environment variables.
        from_objects: Whether objects of a program take part, which no file can name.
        hosts: For a run that a cassette answers: where each agent's model was, by the agent's
            path; nothing of the environment is needed then.
        attach: Whether the pictures and files that go along with every task are read; a run that
            is resumed has them already.

    Raises:
        ConfigError: Something does not go together, such as a kind without its model, or a picture
            is not there.
        PluginError: An adapter, strategy, tool or sink cannot be used.
    """
    providers = {
        info.name: host.provider(info.name)
        for info in host.providers()
        if info.state == "installed"
    }

    def prepared(
        config: RunConfig,
        around: ConnectionPool | None = None,
        hosts: Mapping[str, str] | None = None,
    ) -> Prepared:
        known = {**providers, **config.providers}
        pool = ConnectionPool(config.models, known, environ, within=around, hosts=hosts)
        teams = {
            name: prepared(team, pool, _hosts_within(hosts, name))
            for name, team in config.teams.items()
        }
        attached = load_attached(config) if attach else Attached()
        return _prepared(config, pool, teams, tuple(known.values()), places, attached=attached)

    places = Places(host, environ if hosts is None else None)
    setup = setup_of(config, host, from_objects=from_objects)
    return replace(prepared(config, hosts=hosts), setup=setup)


def _hosts_within(hosts: Mapping[str, str] | None, team: str) -> Mapping[str, str] | None:
    """Those of a team's members, by what they are called there."""
    if hosts is None:
        return None
    inner = f"{team}/"
    return {
        path.removeprefix(inner): host for path, host in hosts.items() if path.startswith(inner)
    }


def _prepared(
    config: RunConfig,
    pool: ConnectionPool,
    teams: Mapping[str, Prepared],
    providers: Sequence[ProviderSpec],
    places: Places,
    *,
    attached: Attached,
) -> Prepared:
    host = places.host
    connections: dict[str, Connection] = {}
    agents: list[PlannedAgent] = []
    for index, agent in enumerate(config.agents):
        try:
            planned, connection = _planned(config, index, pool, places)
        except FallbackRefused as error:
            raise placed(error, config, ("models", error.first, "fallback")) from None
        except ConfigError as error:
            raise placed(error, config, ("agents", index, "backend", "model")) from None
        planned = replace(planned, attached=attached.agents.get(agent.id, ()))
        agents.append(_as_team(planned, teams[agent.id]) if agent.id in teams else planned)
        if connection is not None:
            connections[agent.id] = connection
    describers = {
        agent.describer.setup.agent_id: agent.describer.connection
        for agent in agents
        if agent.describer is not None
    }
    within = {
        f"{team_id}/{member}": connection
        for team_id, team in teams.items()
        for member, connection in team.prices.connections.items()
    }
    prices = PriceList({**connections, **describers, **within}, providers)
    _check_prices(config, prices)
    return Prepared(
        plan=_plan(config, host, agents, attached.images),
        host=host,
        pool=pool,
        connections=connections,
        prices=prices,
        providers=tuple(providers),
        describers=describers,
        sinks=_sinks(config, host),
        teams=teams,
        literals=literal_secrets(config).union(*(team.literals for team in teams.values())),
    )


def _as_team(planned: PlannedAgent, team: Prepared) -> PlannedAgent:
    """The agent with what its members can do together: what one cannot carry, the team cannot."""
    members = team.plan.agents
    inputs = frozenset.intersection(*(member.takes for member in members))
    able = planned.capabilities
    names = tuple(member.seat.agent_id for member in members)
    return replace(
        planned,
        seat=planned.seat.model_copy(
            update={
                "members": names,
                "has_tools": any(member.seat.has_tools for member in members),
            }
        ),
        capabilities=able.model_copy(update={"inputs": able.inputs & inputs}),
        # Its members' pictures are prepared for each of them.
        sight=Sight(inputs=able.inputs & inputs, tool_media=able.tool_media),
        context_window=2 * min(member.room for member in members),
    )


def _plan(
    config: RunConfig,
    host: PluginHost,
    agents: Sequence[PlannedAgent],
    images: tuple[MediaPart, ...],
) -> RunPlan:
    strategy = host.strategy(config.strategy.type)
    options = config.strategy_options or strategy.options()
    return RunPlan(
        agents=tuple(agents),
        strategy=strategy.create(options),
        strategy_name=strategy.name,
        strategy_options=options.model_dump(mode="json"),
        deadline_s=config.timeout_settings.orchestrator_timeout_seconds,
        budget=config.budget,
        config_file=config.file,
        images=images,
    )


def _check_prices(config: RunConfig, prices: PriceList) -> None:
    """See that budgets of money can be kept: no model whose price is unknown uses some."""
    for index, agent in enumerate(config.agents):
        own = agent.budget.cost_usd is not None
        if not own and config.budget.cost_usd is None:
            continue
        unknown = prices.unknown(agent.id)
        if unknown is not None:
            path: KeyPath = ("agents", index) if own else ()
            problem = ConfigError(
                f"agent {agent.id!r}: the price of the model {unknown.model!r} is not known, so a"
                " budget of 'cost_usd' cannot be kept: limit 'tokens' or 'model_calls' instead"
            )
            path = (*path, "budget", "cost_usd")
            # One of the command line stands nowhere in the file.
            written = config.source.origin(path) in config.source.values
            raise placed(
                problem, config, path if written else ("agents", index, "backend", "model")
            )


def _sinks(config: RunConfig, host: PluginHost) -> list[tuple[SinkSpec, BaseModel]]:
    specs = [host.sink(sink.type) for sink in config.sinks]
    return [
        (spec, options or spec.options())
        for spec, options in zip(specs, config.sink_options, strict=True)
    ]


def _planned(
    config: RunConfig, index: int, pool: ConnectionPool, places: Places
) -> tuple[PlannedAgent, Connection | None]:
    agent, host = config.agents[index], places.host
    spec = host.adapter(agent.backend.type)
    connection = _connect(agent, spec, pool)
    pool.add_secrets(places.secrets(config, index))
    options = config.agent_options[agent.id]
    _check_options(agent.id, spec, options, connection)
    able = spec.claims(options, connection.traits if connection else None)
    settings = pool.settings(agent.id)
    sight = sight_of(able, spec, connection, settings)
    planned = PlannedAgent(
        seat=Seat(
            agent_id=agent.id,
            label=f"agent{index + 1}",
            kind=spec.kind,
            model=connection.model if connection else None,
            provider=connection.provider if connection else None,
            roles=agent.roles,
            weight=agent.weight,
            has_tools=bool(agent.tools),
        ),
        setup=_setup(agent, config.base_dir, places.of(config, index)),
        capabilities=able,
        system_message=agent.system_message or "",
        ballot=_ballot(agent, able, connection),
        tools=tuple(_tool(name, host) for name in agent.tools),
        limits=agent.limits,
        budget=agent.budget,
        asks_person=spec.needs_person is not None,
        needs_person=_needs_person(spec, options),
        context_window=connection.traits.context_window if connection else None,
        sight=sight,
        describer=describer_of(agent, sight, settings, pool, places) if settings else None,
    )
    return planned, connection


def _check_options(
    agent_id: str, spec: AdapterSpec, options: BaseModel, connection: Connection | None
) -> None:
    if spec.check is None or connection is None:
        return
    try:
        spec.check(options, connection)
    except ConfigError as error:
        others = ", ".join(repr(one.name) for one in connection.fallback)
        why = f" (so that it can have the fallback {others})" if others else ""
        raise ConfigError(f"agent {agent_id!r}: {error.message}{why}") from None


def _ballot(agent: AgentConfig, able: Capabilities, connection: Connection | None) -> BallotChoice:
    """How an agent votes: a model as small as the local one calls no tool by its own choice."""
    is_local = connection is not None and connection.provider == LOCAL
    return "schema" if agent.ballot == "auto" and is_local and able.structured else agent.ballot


def _needs_person(spec: AdapterSpec, options: BaseModel) -> bool:
    return spec.needs_person is not None and spec.needs_person(options)


def _connect(config: AgentConfig, spec: AdapterSpec, pool: ConnectionPool) -> Connection | None:
    if config.backend.model is None:
        if spec.needs_model:
            raise ConfigError(
                f"agent {config.id!r}: its kind {spec.kind!r} needs a model; add `model:` to its "
                "backend (`model: local` is built in)"
            )
        return None
    if not spec.protocols:
        raise ConfigError(f"agent {config.id!r}: its kind {spec.kind!r} uses no model")
    return pool.add(
        config.id,
        config.backend.model,
        protocols=spec.protocols,
        default_provider=spec.default_provider,
        one_provider=spec.one_provider,
    )


def _tool(name: str, host: PluginHost) -> ToolSpec:
    if name == VOTE_TOOL:
        raise ConfigError(f"the tool name {name!r} is taken: agents vote by it")
    return host.tool(name)


def _setup(config: AgentConfig, base_dir: Path, place: Placement) -> AgentSetup:
    return AgentSetup(
        place=place,
        agent_id=config.id,
        kind=config.backend.type,
        options=config.backend.options,
        model=config.backend.model,
        base_dir=str(base_dir),
    )
