"""What was used, and what it cost."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field

from massgen_bridge.agent import Usage
from massgen_bridge.messages import Frozen

_PLACES = 10


def _sum(*dollars: float | None) -> float | None:
    """Without what binary fractions add to decimal ones; None where nothing is known."""
    known = [Decimal(str(one)) for one in dollars if one is not None]
    return round(float(sum(known)), _PLACES) if known else None


class Cost(Frozen):
    """What model calls cost, by the list prices of the day on which they were made.

    Attributes:
        usd: US dollars of the calls whose price is known; None where no call's is.
        unpriced_calls: Calls whose price is not known, or whose tokens were not told: they are in
            no sum, and not free either.
        unpriced: The models of those calls, sorted; for what an agent counts without naming a
            model, the agent's id.
    """

    usd: float | None = Field(default=None, ge=0)
    unpriced_calls: int = Field(default=0, ge=0)
    unpriced: tuple[str, ...] = ()

    def __add__(self, other: Cost) -> Cost:
        """Both together."""
        return Cost(
            usd=_sum(self.usd, other.usd),
            unpriced_calls=self.unpriced_calls + other.unpriced_calls,
            unpriced=tuple(sorted({*self.unpriced, *other.unpriced})),
        )


class Use(Frozen):
    """Model calls, their tokens and what they cost; `calls` counts failed and repeated ones too."""

    calls: int = Field(default=0, ge=0)
    usage: Usage = Usage()
    cost: Cost = Cost()

    def __add__(self, other: Use) -> Use:
        """Both together."""
        return Use(
            calls=self.calls + other.calls,
            usage=self.usage + other.usage,
            cost=self.cost + other.cost,
        )


class AgentUse(Use):
    """What an agent has used; `agent_id` of one within another is `team/member`.

    `members` are parts of the whole: the members of a team or of a framework's group, the model
    that describes pictures. What one of them used is not in any other's figures.
    """

    agent_id: str
    members: tuple[AgentUse, ...] = ()
