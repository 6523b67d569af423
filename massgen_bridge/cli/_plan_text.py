"""The plan of a run as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from massgen_bridge.budget import BudgetName, spending
from massgen_bridge.cli._tables import table

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["plan_text"]


_PLACES = {
    "none": "in this process",
    "process": "in its own process",
    "environment": "in its own environment",
}


def plan_text(plan: dict[str, Any]) -> str:
    """What `plan_of` found, for people."""
    return "\n".join(_lines(plan)) + "\n"


def _lines(plan: dict[str, Any]) -> Iterator[str]:
    if "agents" in plan:
        yield from _resolved(plan)
        yield f"Cost: {_cost(plan['cost'])}"
    yield from map(_environment, plan["environments"])
    local = plan["local_model"]
    if local is not None and local["to_fetch"]:
        yield f"To fetch first: the local model's weights, {local['to_fetch'] / 1e6:.0f} MB"
    yield f"Plugins: {', '.join(plan['plugins']) or 'none'}"
    yield f"Sinks: {', '.join(plan['sinks']) or 'none'}"
    if plan["code"]:
        yield "Code that would be imported:"
        for one in plan["code"]:
            yield f"  {one['reference']}  ({one['path']})"
            yield from (f"    {path}" for path in one["files"])
    if plan["warnings"]:
        yield "Warnings:"
        yield from (f"  {warning}" for warning in plan["warnings"])
    if plan["problems"]:
        yield "Problems:"
        yield from (f"  {problem}" for problem in plan["problems"])


def _resolved(plan: dict[str, Any]) -> Iterator[str]:
    strategy, deadline = plan["strategy"], plan["deadline_s"]
    options = ", ".join(
        f"{name} {value}" for name, value in strategy["options"].items() if value is not None
    )
    yield f"Strategy: {strategy['type']}{f' ({options})' if options else ''}"
    yield f"Deadline: {'none' if deadline is None else f'{deadline:g} s'}"
    yield f"Budget: {_amounts(plan['budget']) or 'none'}"
    for one in plan["agents"]:
        if one["budget"]:
            yield f"Budget of {one['id']}: {_amounts(one['budget'])}"
    yield from map(_part, filter(_has_a_part, plan["agents"]))
    yield ""
    rows = list(_rows(plan["agents"]))
    yield table(("AGENT", "KIND", "MODEL", "PROVIDER", "VOTES BY", "WHERE"), rows)
    yield from _elsewhere(plan["agents"], "")
    expected = plan["model_calls"]
    if expected is None:
        yield "Model calls: not known for this strategy"
    else:
        yield (
            f"Model calls: {expected['least']} at least, {expected['usual']} usually, "
            f"{expected['most']} at most; tool calls and retries come on top"
        )


def _elsewhere(agents: list[dict[str, Any]], within: str) -> Iterator[str]:
    """Those agents that do not run in this process, and why."""
    for one in agents:
        path = f"{within}{one['id']}"
        if one["team"] is not None:
            yield from _elsewhere(one["team"]["agents"], f"{path}/")
        elif one["isolation"] != "none":
            where = "a process" if one["isolation"] == "process" else "an environment"
            yield f"{path} runs in {where} of its own: {one['isolation_reason']}"


def _environment(needed: dict[str, Any]) -> str:
    told = f"{needed['packages']} ({', '.join(needed['agents'])})"
    return f"Environment: {told}" if needed["ready"] else f"To build first: {told}"


def _has_a_part(agent: dict[str, Any]) -> bool:
    """Whether an agent is not one that answers and votes like the others."""
    return sorted(agent["roles"]) != ["propose", "vote"] or agent["weight"] != 1


def _part(agent: dict[str, Any]) -> str:
    weight = f", weight {agent['weight']:g}" if agent["weight"] != 1 else ""
    return f"Roles of {agent['id']}: {', '.join(agent['roles'])}{weight}"


def _amounts(budget: dict[BudgetName, float]) -> str:
    return ", ".join(spending(name, amount) for name, amount in budget.items())


def _rows(agents: list[dict[str, Any]], depth: int = 0) -> Iterator[tuple[str, ...]]:
    """Each agent, and below one that is a team its members."""
    for one in agents:
        team = one["team"]
        yield (
            "  " * depth + one["id"],
            one["kind"],
            one["model"] or "-",
            one["provider"] or "-",
            one["votes_by"],
            (one["where"] or _PLACES[one["isolation"]])
            if team is None
            else f"a team: {team['strategy']['type']}",
        )
        if team is not None:
            yield from _rows(team["agents"], depth + 1)


def _cost(cost: dict[str, Any]) -> str:
    parts = []
    if cost["unknown_models"]:
        parts.append(f"not known for {', '.join(cost['unknown_models'])}")
    if cost["usd"]:
        parts.append(f"about ${cost['usd']:.2g} for the usual course of a run")
    elif cost["free"]:
        parts.append("free")
    if cost["not_counted"]:
        parts.append(f"not counted: what the own code of {', '.join(cost['not_counted'])} calls")
    return "; ".join(parts)
