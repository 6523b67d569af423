"""Budgets: how much a run, or one agent of it, may use in all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, assert_never

from pydantic import ConfigDict, Field

from massgen_bridge.messages import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Budget", "BudgetName", "money", "spending"]

BudgetName = Literal["model_calls", "tokens", "cost_usd", "wall_s"]
"""What is counted: calls, tokens (input and output), US dollars, seconds."""

_CENT = 0.01


class Budget(Frozen):
    """How much a run, or one agent in all its turns, may use; None sets no limit.

    A model call beyond it is refused before it is made. What a call uses is known only after it,
    so the last ones may go beyond `tokens` and `cost_usd`.
    """

    model_config = ConfigDict(strict=True)

    model_calls: int | None = Field(
        default=None, ge=1, description="Most model calls, retries included."
    )
    tokens: int | None = Field(
        default=None, ge=1, description="Most tokens of model calls, input and output."
    )
    cost_usd: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Most US dollars for model calls. The price of each model has to be known; "
        "that of models on your own machines is nothing.",
    )
    wall_s: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Most seconds; for an agent the sum of its turns.",
    )

    def limits(self) -> Iterator[tuple[BudgetName, float]]:
        """What is limited, and to how much."""
        given: tuple[tuple[BudgetName, float | None], ...] = (
            ("model_calls", self.model_calls),
            ("tokens", self.tokens),
            ("cost_usd", self.cost_usd),
            ("wall_s", self.wall_s),
        )
        for name, limit in given:
            if limit is not None:
                yield name, limit

    def __bool__(self) -> bool:
        """Whether anything is limited."""
        return any(True for _ in self.limits())

    def but(self, other: Budget) -> Budget:
        """This one, with the limits that another one sets in place of its own."""
        return self.model_copy(update=other.model_dump(exclude_none=True))


def money(usd: float) -> str:
    """US dollars in words: `$1,204.50`, `$0.00123`."""
    if usd >= _CENT:
        return f"${usd:,.2f}"
    return f"${usd:.6f}".rstrip("0").rstrip(".")


def spending(budget: BudgetName, amount: float) -> str:
    """An amount of a budget in words: `12 model calls`, `4,000 tokens`, `$0.50`, `90 s`."""
    match budget:
        case "model_calls" | "tokens":
            noun = budget.replace("_", " ")
            return f"{amount:,.0f} {noun.removesuffix('s') if amount == 1 else noun}"
        case "cost_usd":
            return money(amount)
        case "wall_s":
            return f"{round(amount, 1):g} s"
    assert_never(budget)
