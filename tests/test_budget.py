from __future__ import annotations

import pytest

from massgen_bridge.budget import Budget, BudgetName, spending
from massgen_bridge.events import BudgetReached


def test_a_budget_holds_what_it_is_given_and_nothing_else() -> None:
    assert not Budget()
    assert list(Budget().limits()) == []
    budget = Budget(wall_s=2, model_calls=3)
    assert budget
    assert list(budget.limits()) == [("model_calls", 3), ("wall_s", 2)]


def test_another_one_takes_the_place_of_what_it_limits() -> None:
    own = Budget(model_calls=3, tokens=50)
    assert own.but(Budget(tokens=9, cost_usd=1)) == Budget(model_calls=3, tokens=9, cost_usd=1)
    assert own.but(Budget()) == own


@pytest.mark.parametrize(
    ("name", "amount", "words"),
    [
        ("model_calls", 1, "1 model call"),
        ("model_calls", 12, "12 model calls"),
        ("tokens", 1, "1 token"),
        ("tokens", 1_200_000, "1,200,000 tokens"),
        ("cost_usd", 0.5, "$0.50"),
        ("cost_usd", 1234.5, "$1,234.50"),
        ("cost_usd", 0.00123, "$0.00123"),
        ("cost_usd", 0.00001, "$0.00001"),
        ("wall_s", 90, "90 s"),
        ("wall_s", 0.25, "0.2 s"),
    ],
)
def test_amounts_read_well(name: BudgetName, amount: float, words: str) -> None:
    assert spending(name, amount) == words


def test_a_budget_that_was_reached_says_whose_it_was_and_how_much_more_was_used() -> None:
    run = BudgetReached(budget="model_calls", limit=5, used=5)
    assert run.message == "the run has used its budget of 5 model calls"
    agent = BudgetReached(agent_id="ada", budget="cost_usd", limit=0.5, used=0.621)
    assert agent.message == "ada has used its budget of $0.50 ($0.62 used)"
