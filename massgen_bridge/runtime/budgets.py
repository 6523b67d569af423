"""Keeps a run and its agents within their budgets: a model call beyond one does not begin."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

import anyio

from massgen_bridge.budget import Budget
from massgen_bridge.events import BudgetReached, ModelCallFinished, ModelCallStarted
from massgen_bridge.runtime.recorder import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from massgen_bridge.budget import BudgetName
    from massgen_bridge.events import Happening, TurnEvent
    from massgen_bridge.runtime.plan import RunPlan
    from massgen_bridge.runtime.planning import Prepared
    from massgen_bridge.strategy import Finish

__all__ = ["Budgets", "ledger_for"]


def ledger_for(prepared: Prepared) -> Ledger:
    """A ledger of a run and of each of its agents."""
    return Ledger(agent.seat.agent_id for agent in prepared.plan.agents)


class Budgets:
    """The budgets of a run and of its agents, held against what was used.

    Args:
        plan: Sets them.
        ledger: Knows what was used, also before a run was resumed.
        reached: Those that were reached before.
    """

    def __init__(
        self, plan: RunPlan, ledger: Ledger, reached: Iterable[BudgetReached] = ()
    ) -> None:
        self._ledger = ledger
        self._budgets: dict[str | None, Budget] = {
            agent.seat.agent_id: agent.budget for agent in plan.agents if agent.budget
        }
        if plan.budget:
            self._budgets[None] = plan.budget
        self._reached: dict[str | None, BudgetReached] = {}
        self._durable: dict[str | None, anyio.Event] = {}
        for one in reached:
            self._note(one).set()

    def refusal(self, agent_id: str) -> BudgetReached | None:
        """What keeps an agent from making one more model call, now; None where nothing does.

        A call that is not refused counts as soon as it is recorded. No other task may run between
        the two, so of several calls at once no more begin than a budget has left.
        """
        for whose in (None, agent_id):
            reached = self._reached.get(whose) or self._exceeded(whose)
            if reached is not None:
                return reached
        return None

    def count(self, event: TurnEvent, agent_id: str) -> bool:
        """Whether a budget counts this: a request is sent only once that outlives the process."""
        counted = isinstance(event, ModelCallStarted | ModelCallFinished)
        return counted and (None in self._budgets or agent_id in self._budgets)

    def time_up(self, agent_id: str) -> BudgetReached | None:
        """What to tell when a turn has taken all the time that its agent had left."""
        limit = self._budget(agent_id).wall_s
        if limit is None:
            return None
        return BudgetReached(agent_id=agent_id, budget="wall_s", limit=limit, used=limit)

    def turns_s(self, agent_id: str) -> float:
        """Seconds that the turns of an agent with a budget took so far."""
        return self._used("wall_s", agent_id)

    async def tell(self, reached: BudgetReached, tell: Callable[[Happening], None]) -> None:
        """Tell that a budget is reached, once, and return when that is durable."""
        if reached.agent_id not in self._reached:
            self._note(reached)
            tell(reached)
        await self._durable[reached.agent_id].wait()

    def acknowledge(self, reached: BudgetReached) -> None:
        """Note that the record of it is durable."""
        self._note(reached).set()

    def marked(self, finish: Finish) -> Finish:
        """The end of a run, marked as that of its budget also where the strategy says nothing."""
        reached = self._reached.get(None)
        if reached is None or finish.budget is not None or finish.status == "cancelled":
            return finish
        early = {"status": "best_so_far"} if finish.status == "answered" else {}
        why = {"budget": reached.budget, "message": finish.message or reached.message}
        return finish.model_copy(update={**early, **why})

    def _note(self, reached: BudgetReached) -> anyio.Event:
        self._reached.setdefault(reached.agent_id, reached)
        return self._durable.setdefault(reached.agent_id, anyio.Event())

    def _budget(self, whose: str | None) -> Budget:
        return self._budgets.get(whose) or Budget()

    def _exceeded(self, whose: str | None) -> BudgetReached | None:
        for name, limit in self._budget(whose).limits():
            used = self._used(name, whose)
            if used >= limit:
                return BudgetReached(agent_id=whose, budget=name, limit=limit, used=used)
        return None

    def _used(self, name: BudgetName, whose: str | None) -> float:
        ledger = self._ledger if whose is None else self._ledger.agents[whose]
        match name:
            case "model_calls":
                return ledger.calls
            case "tokens":
                usage = ledger.usage
                return usage.input_tokens + usage.output_tokens
            case "cost_usd":
                return float(ledger.cost_usd)
            case "wall_s":
                # That of the run is held by its clock.
                return 0.0 if whose is None else ledger.turns_s
        assert_never(name)
