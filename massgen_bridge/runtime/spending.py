"""What model calls cost: said of each where its record is made, added up wherever it is read."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

import anyio
from anyio import to_thread

from massgen_bridge.agent import Usage
from massgen_bridge.events import Cost, ModelCallFinished, TurnDone

if TYPE_CHECKING:
    from massgen_bridge.events import TurnEvent

__all__ = ["Meter", "Price", "Spending", "TurnSpending"]


class Price(Protocol):
    """What model calls cost."""

    @property
    def is_at_hand(self) -> bool:
        """Whether asking takes no time worth mentioning."""

    def __call__(
        self, agent: str, model: str | None, usage: Usage | None, fallback: str | None = None
    ) -> Decimal | None:
        """US dollars of a call by an agent or `team/member`; None where they are not known.

        Its model is None where it is not told, and so are its usage and, where the agent's own
        connection has answered, the fallback.
        """


class Meter:
    """Says in the records of one turn what its model calls cost, where the agent does not.

    Args:
        agent_id: Whose turn it is.
        price: What calls cost; without one, nothing is said.
    """

    def __init__(self, agent_id: str, price: Price | None) -> None:
        self._agent_id = agent_id
        self._price = price
        self._counted = Usage()

    async def priced(self, event: TurnEvent) -> TurnEvent:
        """An event of the turn, with the cost of the call that it tells of."""
        if not isinstance(event, ModelCallFinished):
            return event
        self._counted += event.usage or Usage()
        if event.cost_usd is not None:
            return event
        who = self._agent_id if event.source is None else f"{self._agent_id}/{event.source}"
        usd = await self._usd(who, event.model, event.usage, event.fallback)
        return event if usd is None else event.model_copy(update={"cost_usd": usd})

    async def done(self, event: TurnDone) -> TurnDone:
        """The end of the turn, with the cost of what its calls have not told."""
        rest = _rest(event, self._counted)
        if rest is None or event.cost_usd is not None:
            return event
        usd = await self._usd(self._agent_id, None, rest)
        return event if usd is None else event.model_copy(update={"cost_usd": usd})

    async def _usd(
        self, who: str, model: str | None, usage: Usage | None, fallback: str | None = None
    ) -> float | None:
        if self._price is None:
            return None
        if self._price.is_at_hand:
            usd = self._price(who, model, usage, fallback)
        else:
            # A call that was made is counted even while everything is being cancelled.
            with anyio.CancelScope(shield=True):
                usd = await to_thread.run_sync(self._price, who, model, usage, fallback)
        return None if usd is None else float(usd)


class Spending:
    """A sum of what calls cost."""

    def __init__(self) -> None:
        self._usd: Decimal | None = None
        self._unpriced: Counter[str] = Counter()

    @property
    def usd(self) -> Decimal:
        """Dollars of what has a price."""
        return self._usd or Decimal(0)

    @property
    def cost(self) -> Cost:
        """The sum so far."""
        return Cost(
            usd=None if self._usd is None else float(self._usd),
            unpriced_calls=self._unpriced.total(),
            unpriced=tuple(sorted(self._unpriced)),
        )

    def add(self, name: str, usd: float | None, calls: int = 1) -> None:
        """Count calls by the model `name`: dollars of all of them, None where unknown."""
        if usd is None:
            self._unpriced[name] += calls
        else:
            # The decimal figure that stands in the record, so that sums are exact.
            self._usd = self.usd + Decimal(str(usd))

    def merge(self, other: Spending) -> None:
        """Add another sum."""
        if other._usd is not None:
            self._usd = self.usd + other._usd
        self._unpriced += other._unpriced


class TurnSpending(Spending):
    """What a turn costs: the sum of its calls, and of what only its end tells of."""

    def __init__(self) -> None:
        super().__init__()
        self._counted = Usage()
        self._untold: Counter[str] = Counter()

    def called(self, event: ModelCallFinished) -> None:
        """Count a call."""
        self.add(event.model, event.cost_usd)
        if event.usage is not None:
            self._counted += event.usage
        elif event.cost_usd is None:
            self._untold[event.model] += 1

    def done(self, event: TurnDone, agent_id: str) -> None:
        """Count the end of a turn of this agent."""
        rest = _rest(event, self._counted)
        if rest is None:
            return
        if event.cost_usd is not None:
            self._unpriced -= self._untold
        if event.cost_usd is not None or not self._untold:
            self.add(agent_id, event.cost_usd, max(1, rest.calls))


def _rest(event: TurnDone, counted: Usage) -> Usage | None:
    """The tokens that a turn has used beside those that its calls told; None where there are none.

    Some frameworks count a turn as a whole.
    """
    rest = (event.result.usage or Usage()) - counted
    return rest if rest.input_tokens or rest.output_tokens else None
