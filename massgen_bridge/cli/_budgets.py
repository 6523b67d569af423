"""Budgets on the command line: what `--budget` says, and whether the expected course fits in."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, get_args

import typer
from pydantic import ValidationError

from massgen_bridge.budget import Budget, BudgetName, spending
from massgen_bridge.cli._output import BadUsage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from massgen_bridge.cli._calls import Expected
    from massgen_bridge.config import RunConfig

__all__ = ["BudgetOption", "doubts", "with_budget"]

_NAMES = ", ".join(get_args(BudgetName))

BudgetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--budget",
        metavar="NAME=AMOUNT",
        help="What the run may use; then the best answer so far counts. NAME is model_calls, "
        "tokens, cost_usd or wall_s; repeatable.",
    ),
]


def with_budget(config: RunConfig, given: Sequence[str] | None) -> RunConfig:
    """The same configuration, with what is given in place of the same limits of its own.

    Raises:
        BadUsage: One of them is no budget.
    """
    if not given:
        return config
    asked = Budget()
    for one in given:
        asked = asked.but(_parsed(one))
    document = config.document.model_copy(update={"budget": config.budget.but(asked)})
    return replace(config, document=document)


def _parsed(given: str) -> Budget:
    name, _, amount = given.partition("=")
    name, amount = name.strip(), amount.strip()
    if name not in get_args(BudgetName) or not amount:
        raise BadUsage(
            f"--budget: expected NAME=AMOUNT, where NAME is one of {_NAMES}; found {given!r}"
        )
    try:
        return Budget.model_validate_strings({name: amount}, strict=False)
    except ValidationError:
        number = "whole number" if name in {"model_calls", "tokens"} else "number"
        raise BadUsage(f"--budget {name}: expected a {number} above 0, found {amount!r}") from None


def doubts(
    budget: Budget, expected: Expected | None, tokens: float, usd: float | None
) -> Iterator[str]:
    """Why a budget may not be enough.

    Args:
        budget: That of the run.
        expected: How many model calls the run takes; None where that is not known.
        tokens: About how many tokens its usual course takes.
        usd: About what that costs; None where it is not known.
    """
    if budget.model_calls is not None and expected is not None:
        limit = spending("model_calls", budget.model_calls)
        if budget.model_calls < expected.least:
            yield f"the budget of {limit} is too small: it takes {expected.least} at least"
        elif budget.model_calls < expected.usual:
            yield f"the budget of {limit} may be too small: it takes {expected.usual} usually"
    if budget.tokens is not None and budget.tokens < tokens:
        yield _too_small("tokens", budget.tokens, tokens)
    if budget.cost_usd is not None and usd is not None and budget.cost_usd < usd:
        yield _too_small("cost_usd", budget.cost_usd, usd)


def _too_small(name: BudgetName, limit: float, usual: float) -> str:
    about = spending(name, float(f"{usual:.2g}"))
    return f"the budget of {spending(name, limit)} may be too small: it takes about {about}"
