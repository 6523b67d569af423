"""What `run --dry-run` finds out: who would take part, for how many calls, at what cost."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from massgen_bridge.ballots import remembered
from massgen_bridge.cli._budgets import doubts
from massgen_bridge.cli._calls import expected_calls, team_turn, with_teams
from massgen_bridge.cli._weights import uses_local_model
from massgen_bridge.config import code_references, load_config, open_config
from massgen_bridge.config.source import dotted
from massgen_bridge.errors import BridgeError, ConfigError, TrustRequired
from massgen_bridge.media.words import is_text
from massgen_bridge.messages import MediaPart
from massgen_bridge.models.local import WEIGHTS_SIZE, own_weights, status
from massgen_bridge.models.prices import estimate_run
from massgen_bridge.models.providers import LOCAL
from massgen_bridge.runtime.planning import prepare_run
from massgen_bridge.runtime.provision import environments_lacking, environments_needed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from massgen_bridge.cli._calls import Expected
    from massgen_bridge.config import CodeReference, RunConfig
    from massgen_bridge.messages import Message
    from massgen_bridge.plugins import PluginHost
    from massgen_bridge.runtime.plan import PlannedAgent
    from massgen_bridge.runtime.planning import Prepared
    from massgen_bridge.runtime.sessions import Session
    from massgen_bridge.specs import ProviderSpec

__all__ = ["UsualCourse", "plan_of", "trusted_or_read", "usual_course"]

_STAND_IN = "stands in for a key that is not there"
_MEDIA = ("audio", "document", "image", "video")


class UsualCourse(NamedTuple):
    """What a run takes if it goes as runs usually go: a rough guess.

    Attributes:
        calls: Model calls.
        tokens: Tokens in and out.
        usd: Dollars of the models whose price is known.
        unpriced: Models whose price is not known.
        is_free: Whether nobody charges for any of the models.
    """

    calls: int
    tokens: float
    usd: float
    unpriced: tuple[str, ...]
    is_free: bool


def usual_course(prepared: Prepared, asked: str) -> UsualCourse:
    """Guess what a run takes, without asking anyone.

    Args:
        prepared: The run.
        asked: All that each agent is asked.
    """
    connections = [one for part in prepared.tree() for one in part.connections.values()]
    providers = [spec for part in prepared.tree() for spec in part.providers]
    found = estimate_run(connections, asked, providers)
    # What was estimated is an answer and a vote of each agent; strategies differ in their calls.
    rated = 2 * sum(len(part.plan.agents) - len(part.teams) for part in prepared.tree())
    expected = _expected(prepared)
    usual = rated if expected is None else expected.usual
    charging = {spec.name for spec in providers if spec.prices_id is not None}
    return UsualCourse(
        calls=usual,
        tokens=(found.usage.input_tokens + found.usage.output_tokens) * usual / rated,
        usd=float(found.price) * usual / rated,
        unpriced=found.unpriced,
        is_free=all(one.provider not in charging for one in connections),
    )


def trusted_or_read(
    file: Path, host: PluginHost, *, trust: bool, with_plugins: bool = False
) -> RunConfig:
    """A configuration with its plugins where they are trusted, and only read where not.

    Args:
        file: The configuration.
        host: The plugins; gets those that the file names.
        trust: Whether what it imports is allowed.
        with_plugins: Whether it is of no use without its plugins, which may know its providers.

    Raises:
        ConfigError: Something is wrong with it.
        TrustRequired: It cannot do without plugins that are not allowed.
    """
    try:
        return open_config(file, host, trust=trust)
    except TrustRequired:
        read = load_config(file, host)
        if with_plugins and read.plugins:
            raise
        return read


def plan_of(
    config: RunConfig, host: PluginHost, message: Message, session: Session | None = None
) -> dict[str, Any]:
    """The plan of a run as `--output json` prints it; nothing is connected for it.

    Keys may be missing: they are `problems`. The conversation of a `session` counts for the cost.
    """
    prepared, problems = _prepared(config, host)
    code = code_references(config, host)
    media = [part.type for part in message.parts if part.type in _MEDIA]
    plan = {
        "config": config.file,
        "question": {"text": message.text, "media": media},
        "deadline_s": config.timeout_settings.orchestrator_timeout_seconds,
        "budget": config.budget.model_dump(exclude_none=True),
        "warnings": list(config.warnings),
        "plugins": [one.name for one in host.plugins() if one.source != "built-in"],
        "sinks": [one.type for one in config.sinks],
        "code": [_code(one) for one in code],
        "local_model": None,
        "environments": [],
    }
    if prepared is not None:
        asked_with = [part for part in message.parts if isinstance(part, MediaPart)]
        problems += _unsuitable(prepared, [*asked_with, *prepared.plan.images])
        plan["environments"], broken = _environments(prepared)
        problems += broken
        plan |= _resolved(prepared)
        asked = message.text if session is None else _with_conversation(prepared, message, session)
        plan["cost"], doubtful = _cost(config, prepared, asked, code)
        plan["warnings"] = [*config.warnings, *doubtful]
        if uses_local_model(prepared):
            plan["local_model"], missing = _local_model()
            problems += missing
    return {**plan, "problems": problems}


def _prepared(config: RunConfig, host: PluginHost) -> tuple[Prepared | None, list[str]]:
    """The run, with stand-ins for keys that are missing; each of those is a problem."""
    problems: dict[str, None] = {}
    for index, agent in enumerate(config.agents):
        document = config.document.model_copy(update={"agents": (agent,)})
        alone = replace(config, document=document, source=config.source.of_agent(index))
        try:
            prepare_run(alone, host=host, environ=os.environ)
        except BridgeError as error:
            problems[str(error)] = None
    stand_ins = dict.fromkeys(_key_variables(config, host), _STAND_IN)
    try:
        prepared = prepare_run(config, host=host, environ={**stand_ins, **os.environ})
    except BridgeError as error:
        return None, list(problems) or [str(error)]
    return prepared, list(problems)


def _key_variables(config: RunConfig, host: PluginHost) -> Iterator[str]:
    described = [spec for one in config.tree() for spec in one.providers.values()]
    for spec in (*_providers(host), *described):
        yield from spec.key_variables
    for model in (model for one in config.tree() for model in one.models.values()):
        if model.key_variable is not None:
            yield model.key_variable


def _providers(host: PluginHost) -> list[ProviderSpec]:
    return [host.provider(info.name) for info in host.providers() if info.state == "installed"]


def _resolved(prepared: Prepared) -> dict[str, Any]:
    expected = _expected(prepared)
    return {**_team(prepared), "model_calls": None if expected is None else expected._asdict()}


def _team(prepared: Prepared) -> dict[str, Any]:
    """Who takes part, and how; for an agent that is a team, its members as well."""
    plan = prepared.plan
    agents = []
    for agent in plan.agents:
        connection = prepared.connections.get(agent.seat.agent_id)
        team = prepared.teams.get(agent.seat.agent_id)
        agents.append(
            {
                "id": agent.seat.agent_id,
                "label": agent.seat.label,
                "kind": agent.seat.kind,
                "model": agent.seat.model,
                "provider": connection.provider if connection else None,
                "where": _where(connection.provider, connection.base_url) if connection else None,
                "isolation": agent.setup.place.mode,
                "isolation_reason": agent.setup.place.reason,
                "votes_by": agent.way,
                "roles": list(agent.seat.roles),
                "weight": agent.seat.weight,
                "budget": agent.budget.model_dump(exclude_none=True),
                "tools": [tool.definition.name for tool in agent.tools],
                "team": None if team is None else _team(team),
            }
        )
    return {
        "agents": agents,
        "strategy": {"type": plan.strategy_name, "options": dict(plan.strategy_options)},
    }


def _expected(prepared: Prepared) -> Expected | None:
    plan = prepared.plan
    ways = [agent.way for agent in plan.agents]
    seats = [agent.seat for agent in plan.agents]
    turns = expected_calls(plan.strategy_name, plan.strategy_options, ways, seats)
    known = {name: (_expected(team), _voters(team)) for name, team in prepared.teams.items()}
    answers = {name: answer for name, (answer, _) in known.items() if answer is not None}
    if turns is None or len(answers) < len(known):
        return None
    teams = [team_turn(plan.strategy_name, answers[name], known[name][1]) for name in known]
    return with_teams(turns, teams, len(plan.agents))


def _voters(prepared: Prepared) -> int:
    return sum("vote" in agent.seat.roles for agent in prepared.plan.agents)


def _where(provider: str, base_url: str) -> str:
    return "this machine" if provider == LOCAL else base_url


def _cost(
    config: RunConfig, prepared: Prepared, asked: str, code: Iterable[CodeReference]
) -> tuple[dict[str, Any], list[str]]:
    """What the usual course of the run costs, and why its budget may not be enough for it."""
    usual = usual_course(prepared, asked)
    own = sorted({one.path[1] for one in code if one.path[0] == "agents"})
    cost = {
        "usd": usual.usd,
        "free": usual.is_free,
        "unknown_models": list(usual.unpriced),
        "not_counted": [config.agents[int(position)].id for position in own],
    }
    usd = None if usual.unpriced else usual.usd
    return cost, list(doubts(config.budget, _expected(prepared), usual.tokens, usd))


def _with_conversation(prepared: Prepared, message: Message, session: Session) -> str:
    """About all that a run of a session asks of each agent."""
    known = remembered(session.conversation, [agent.room for agent in prepared.plan.agents])
    texts = (text for one in known.earlier for text in (one.question.text, one.answer))
    return "".join((*texts, message.text))


def _code(reference: CodeReference) -> dict[str, Any]:
    return {
        "path": dotted(reference.path),
        "reference": reference.reference,
        "files": [str(path) for path in reference.files],
    }


def _environments(prepared: Prepared) -> tuple[list[dict[str, Any]], list[str]]:
    """The environments that agents need, and what is wrong with their locks."""
    try:
        needed = environments_needed(prepared)
    except ConfigError as error:
        return [], [str(error)]
    missing = {one.request for one in environments_lacking(prepared)}
    return [
        {
            "agents": list(one.agents),
            "kind": one.kind,
            "packages": one.request.wording,
            "python": one.request.python,
            "lock": one.request.lock,
            "ready": one.request not in missing,
        }
        for one in needed
    ], []


def _unsuitable(prepared: Prepared, media: Sequence[MediaPart]) -> Iterator[str]:
    """What belongs to the question and cannot reach an agent."""
    for agent in prepared.plan.agents:
        for kind in _not_taken(agent, media):
            yield f"agent {agent.seat.agent_id!r}: it cannot take the question's {kind}"
        for kind in _not_taken(agent, agent.attached):
            yield f"agent {agent.seat.agent_id!r}: it cannot take the {kind} of its 'upload_files'"


def _not_taken(agent: PlannedAgent, media: Sequence[MediaPart]) -> Sequence[str]:
    # A text reaches everybody.
    return sorted({one.type for one in media if not is_text(one)} - agent.takes)


def _local_model() -> tuple[dict[str, Any], list[str]]:
    found = status()
    problems = []
    if found.runtime is None:
        problems.append(
            "the local model's runtime is not installed: run `pip install 'massgen-bridge[local]'`"
        )
    missing = found.problem is not None
    if missing and own_weights() is not None:
        problems.append(str(found.problem))
    return {"weights": str(found.weights), "to_fetch": WEIGHTS_SIZE if missing else 0}, problems
