"""A team built in code, without YAML: agents by kind, by function or as ready objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Self

from massgen_bridge import api
from massgen_bridge.agent import Agent, Capabilities, Limits
from massgen_bridge.budget import Budget
from massgen_bridge.config.teams import DEEPEST
from massgen_bridge.errors import ConfigError
from massgen_bridge.hookspecs import hookimpl
from massgen_bridge.kinds.python import PythonAgent
from massgen_bridge.specs import AdapterSpec, NoOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from massgen_bridge.agent import Emit, Turn, TurnResult
    from massgen_bridge.ballots import BallotChoice
    from massgen_bridge.events import Record, RunResult, TeamRole
    from massgen_bridge.media.given import Given
    from massgen_bridge.messages import Message
    from massgen_bridge.people import Ask, Desk
    from massgen_bridge.plugins import PluginHost
    from massgen_bridge.runtime.sessions import Session
    from massgen_bridge.specs import AgentContext

__all__ = ["Team"]

_KIND = "object"
_TEAM = "team"


class Team:
    """Agents that work together; the same things as in YAML, said in Python.

    Args:
        strategy: Name of the strategy, or a mapping with `type` and its options.
        models: Named connections, as under `models:` in YAML.
        providers: Providers of your own, as under `providers:` in YAML.
        plugins: Objects or modules with hook implementations.
        sinks: Where records go: names of sinks, or mappings with `type` and the sink's options.
        timeout_s: Longest run in seconds; None for no limit.
        budget: What a run may use in all, as `budget` in YAML.
    """

    def __init__(
        self,
        *,
        strategy: str | Mapping[str, Any] = "consensus",
        models: Mapping[str, Mapping[str, Any]] | None = None,
        providers: Mapping[str, Mapping[str, Any]] | None = None,
        plugins: Iterable[object] = (),
        sinks: Iterable[str | Mapping[str, Any]] = (),
        timeout_s: float | None = 1800.0,
        budget: Budget | Mapping[str, Any] | None = None,
    ) -> None:
        self._strategy = strategy
        self._models = dict(models or {})
        self._providers = dict(providers or {})
        self._plugins = tuple(plugins)
        self._sinks = list(sinks)
        self._timeout_s = timeout_s
        self._budget = _as_values(budget)
        self._agents: list[dict[str, Any]] = []
        self._objects: dict[str, Agent] = {}
        self._teams: dict[str, Team] = {}

    def add(
        self,
        agent_id: str,
        agent: str | Agent | Team | Callable[..., Any],
        *,
        model: str | None = None,
        system_message: str = "",
        ballot: BallotChoice = "auto",
        roles: Iterable[TeamRole] | None = None,
        weight: float | None = None,
        tools: Iterable[str] = (),
        limits: Limits | None = None,
        budget: Budget | Mapping[str, Any] | None = None,
        capabilities: Capabilities | None = None,
        vote: Callable[..., Any] | None = None,
        **options: Any,
    ) -> Self:
        """Add an agent.

        Args:
            agent_id: Its id, unique in the team.
            agent: A kind such as `openai`, a function (see the kind `python`), another team, which
                then works and votes as one agent, or an object with `run` and `aclose`; an object
                is not closed after a run.
            model: Its model, as `backend.model` in YAML.
            system_message: What it is told before every task.
            ballot: How it votes.
            roles: What it does in a team that votes: `propose`, `vote`, `break_ties`; the first two
                where nothing is said.
            weight: What its vote counts; 1 where nothing is said.
            tools: Names of tools that plugins offer and this agent may call.
            limits: What one of its turns may use.
            budget: What all its turns may use, as `agents[].budget` in YAML.
            capabilities: What an object can do; text alone by default.
            vote: For a function: what votes in its place.
            options: The kind's own options; `isolation`, `env` and `packages` as in YAML.

        Returns:
            The team itself.
        """
        backend: dict[str, Any] = {"type": agent, "model": model, **options}
        if isinstance(agent, Team):
            self._teams[agent_id] = agent
            backend = {"type": _TEAM}
        elif not isinstance(agent, str):
            self._objects[agent_id] = _as_agent(agent_id, agent, vote)
            able = capabilities or Capabilities(structured=vote is not None)
            backend = {"type": _KIND, "able": able.model_dump(mode="json"), **options}
        self._agents.append(
            {
                "id": agent_id,
                "system_message": system_message or None,
                "ballot": ballot,
                **({} if roles is None else {"roles": list(roles)}),
                **({} if weight is None else {"weight": weight}),
                "tools": list(tools),
                "limits": (limits or Limits()).model_dump(mode="json", exclude_defaults=True),
                "budget": _as_values(budget),
                "backend": {key: value for key, value in backend.items() if value is not None},
            }
        )
        return self

    def configuration(self, host: PluginHost) -> dict[str, Any]:
        """The team as a configuration; its plugins and objects are registered with the host."""
        objects: dict[str, Agent] = {}
        sections = self._sections(host, (), objects)
        if objects:
            host.register(_Objects(objects), name="team")
        return {"version": 1, **sections}

    def _sections(
        self, host: PluginHost, at: tuple[int, ...], objects: dict[str, Agent]
    ) -> dict[str, Any]:
        """The parts of a configuration; `objects` gets the objects, by where they are used."""
        if len(at) > DEEPEST:
            raise ConfigError(f"more than {DEEPEST} teams stand within each other")
        for plugin in self._plugins:
            host.register(plugin)
        agents = []
        for position, agent in enumerate(self._agents):
            place, backend = (*at, position), dict(agent["backend"])
            if agent["id"] in self._teams:
                backend |= self._teams[agent["id"]]._sections(host, place, objects)  # noqa: SLF001 - our own
            elif agent["id"] in self._objects:
                backend["place"] = "/".join(map(str, place))
                objects[backend["place"]] = self._objects[agent["id"]]
            agents.append({**agent, "backend": backend})
        return {
            "models": self._models,
            "providers": self._providers,
            "agents": agents,
            "strategy": self._strategy,
            "sinks": self._sinks,
            "timeout_settings": {"orchestrator_timeout_seconds": self._timeout_s},
            "budget": self._budget,
        }

    def run(
        self,
        question: str | Message,
        *,
        images: Sequence[Given] = (),
        files: Sequence[Given] = (),
        keep: bool = True,
        session: Session | str | None = None,
        record: Path | str | None = None,
        replay: Path | str | None = None,
        ask: Ask | Desk | None = None,
        create_environments: bool = False,
        on_record: Callable[[Record], None] | None = None,
    ) -> RunResult:
        """Run the team on a question; see `massgen_bridge.run`."""
        return api.run(
            self,
            question,
            images=images,
            files=files,
            keep=keep,
            session=session,
            record=record,
            replay=replay,
            ask=ask,
            create_environments=create_environments,
            on_record=on_record,
        )

    async def arun(
        self,
        question: str | Message,
        *,
        images: Sequence[Given] = (),
        files: Sequence[Given] = (),
        keep: bool = True,
        session: Session | str | None = None,
        record: Path | str | None = None,
        replay: Path | str | None = None,
        ask: Ask | Desk | None = None,
        create_environments: bool = False,
        on_record: Callable[[Record], None] | None = None,
    ) -> RunResult:
        """Run the team on a question; see `massgen_bridge.arun`."""
        return await api.arun(
            self,
            question,
            images=images,
            files=files,
            keep=keep,
            session=session,
            record=record,
            replay=replay,
            ask=ask,
            create_environments=create_environments,
            on_record=on_record,
        )

    def stream(
        self,
        question: str | Message,
        *,
        images: Sequence[Given] = (),
        files: Sequence[Given] = (),
        keep: bool = True,
        session: Session | str | None = None,
        record: Path | str | None = None,
        replay: Path | str | None = None,
        ask: Ask | Desk | None = None,
        create_environments: bool = False,
    ) -> AsyncIterator[Record]:
        """Run the team and yield each record; see `massgen_bridge.stream`."""
        return api.stream(
            self,
            question,
            images=images,
            files=files,
            keep=keep,
            session=session,
            record=record,
            replay=replay,
            ask=ask,
            create_environments=create_environments,
        )


def _as_values(budget: Budget | Mapping[str, Any] | None) -> dict[str, Any]:
    return budget.model_dump() if isinstance(budget, Budget) else dict(budget or {})


def _as_agent(agent_id: str, agent: Any, vote: Callable[..., Any] | None) -> Agent:
    if isinstance(agent, Agent):
        return agent
    if callable(agent):
        return PythonAgent(agent, vote)
    raise ConfigError(
        f"agent {agent_id!r}: expected a kind, a function, or an object with run and aclose; "
        f"found {type(agent).__name__}"
    )


class _ObjectOptions(NoOptions):
    place: str = ""
    able: Capabilities = Capabilities()


class _Borrowed:
    """An agent of the user's own: it serves many runs, so a run does not close it."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        return await self._agent.run(turn, emit)

    async def aclose(self) -> None:
        pass


class _Objects:
    """A plugin that hands out the objects of a team."""

    def __init__(self, objects: Mapping[str, Agent]) -> None:
        self._objects = objects

    def _make(self, context: AgentContext) -> Agent:
        return _Borrowed(self._objects[context.options.place])

    @hookimpl
    def bridge_adapters(self) -> Iterable[AdapterSpec]:
        return (
            AdapterSpec(
                kind=_KIND,
                summary="An agent given as an object in code.",
                factory=self._make,
                options=_ObjectOptions,
                capabilities=Capabilities(
                    tools=True,
                    structured=True,
                    inputs=frozenset({"image", "audio", "video", "document"}),
                ),
                refine=lambda options, _traits: options.able,
            ),
        )
