"""What the agents of a run and of the teams within it get with every task, kept for a resume."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_bridge.messages import MediaPart
    from massgen_bridge.runtime.planning import Prepared

    AllAttached = Mapping[str, tuple[MediaPart, ...]]

__all__ = ["all_attached", "with_all_attached"]


def all_attached(prepared: Prepared, at: str = "") -> AllAttached:
    """What single agents get, and what all of a team within do.

    Args:
        prepared: The run; what all of its own agents get stands in its question.
        at: Where it is within the outermost run: `critics/`.

    Returns:
        By the path of an agent, `critics/ann`, or that of a team, `critics/`.
    """
    own = {
        f"{at}{agent.seat.agent_id}": agent.attached
        for agent in prepared.plan.agents
        if agent.attached
    }
    for name, team in prepared.teams.items():
        inner = f"{at}{name}/"
        own |= {inner: team.plan.images} if team.plan.images else {}
        own |= all_attached(team, inner)
    return own


def with_all_attached(prepared: Prepared, attached: AllAttached, at: str = "") -> Prepared:
    """The same run with what its agents got when it began, whatever became of the files."""
    plan = prepared.plan
    agents = tuple(
        replace(agent, attached=attached.get(f"{at}{agent.seat.agent_id}", ()))
        for agent in plan.agents
    )
    teams = {
        name: with_all_attached(team, attached, f"{at}{name}/")
        for name, team in prepared.teams.items()
    }
    images = attached.get(at, ())
    return replace(prepared, plan=replace(plan, agents=agents, images=images), teams=teams)
