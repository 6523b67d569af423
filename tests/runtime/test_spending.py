"""What calls cost: said in their records, and added up from them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from massgen_bridge import Connection, Cost, Usage, Use, assistant
from massgen_bridge.agent import Turn, TurnResult
from massgen_bridge.events import (
    ModelCallFinished,
    ModelCallStarted,
    Record,
    TextDelta,
    TurnDone,
    TurnFailed,
    TurnStarted,
)
from massgen_bridge.models.prices import PriceList
from massgen_bridge.runtime.recorder import Ledger
from massgen_bridge.runtime.spending import Meter, TurnSpending

ONE = Usage(input_tokens=10, output_tokens=1, calls=1)
TWO = ONE + ONE


class Cents:
    """A cent for each token that was read; nothing is known of the model `new`."""

    is_at_hand = True

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []

    def __call__(
        self, agent: str, model: str | None, usage: Usage | None, fallback: str | None = None
    ) -> Decimal | None:
        self.asked.append((agent, model if fallback is None else fallback))
        if usage is None or model == "new":
            return None
        return Decimal(usage.input_tokens) / 100


class Slow(Cents):
    is_at_hand = False


def ended(usage: Usage | None, cost_usd: float | None = None) -> TurnDone:
    result = TurnResult(message=assistant("x"), usage=usage)
    return TurnDone(result=result, cost_usd=cost_usd)


def called(
    usage: Usage | None = ONE, usd: float | None = None, model: str = "m", source: str | None = None
) -> ModelCallFinished:
    return ModelCallFinished(model=model, usage=usage, cost_usd=usd, source=source)


@pytest.mark.anyio
@pytest.mark.parametrize("price", [Cents(), Slow()])
async def test_a_call_is_given_its_price(price: Cents) -> None:
    meter = Meter("ada", price)
    assert await meter.priced(called()) == called(usd=0.1)
    assert await meter.priced(called(source="lin")) == called(usd=0.1, source="lin")
    assert price.asked == [("ada", "m"), ("ada/lin", "m")]
    for unknown in (called(model="new"), called(None), TextDelta(text="x")):
        assert await meter.priced(unknown) == unknown


@pytest.mark.anyio
async def test_an_agent_that_knows_what_a_call_cost_is_believed() -> None:
    assert await Meter("ada", Cents()).priced(called(usd=7.5)) == called(usd=7.5)
    assert await Meter("ada", Cents()).done(ended(ONE, 7.5)) == ended(ONE, 7.5)
    assert await Meter("ada", None).priced(called()) == called()


@pytest.mark.anyio
@pytest.mark.parametrize("price", [Cents(), Slow()])
async def test_a_call_is_priced_by_the_connection_that_answered(price: Cents) -> None:
    await Meter("ada", price).priced(called().model_copy(update={"fallback": "spare"}))
    assert price.asked == [("ada", "spare")]


@pytest.mark.anyio
async def test_the_end_of_a_turn_is_priced_by_what_its_calls_have_not_told() -> None:
    meter = Meter("ada", Cents())
    assert await meter.done(ended(ONE)) == ended(ONE, 0.1)
    await meter.priced(called())
    assert await meter.done(ended(TWO)) == ended(TWO, 0.1)
    assert await meter.done(ended(ONE)) == ended(ONE)
    assert await meter.done(ended(None)) == ended(None)


@pytest.mark.parametrize(
    ("calls", "end", "cost"),
    [
        ((), ended(Usage()), Cost()),
        ((called(usd=0.1), called(usd=0.2)), ended(TWO), Cost(usd=0.3)),
        ((called(),), ended(ONE), Cost(unpriced_calls=1, unpriced=("m",))),
        ((called(None),), ended(None), Cost(unpriced_calls=1, unpriced=("m",))),
        # Only the turn is counted, with a price and without.
        ((called(None), called(None)), ended(TWO, 0.2), Cost(usd=0.2)),
        ((called(None), called(None)), ended(TWO), Cost(unpriced_calls=2, unpriced=("m",))),
        ((), ended(TWO), Cost(unpriced_calls=2, unpriced=("ada",))),
        ((called(usd=0.1),), ended(TWO, 0.2), Cost(usd=0.3)),
        ((called(usd=0.1),), ended(TWO), Cost(usd=0.1, unpriced_calls=1, unpriced=("ada",))),
    ],
)
def test_a_turn_costs_what_its_calls_cost_and_what_only_its_end_tells(
    calls: tuple[ModelCallFinished, ...], end: TurnDone, cost: Cost
) -> None:
    spending = TurnSpending()
    for call in calls:
        spending.called(call)
    spending.done(end, "ada")
    assert spending.cost == cost


def test_sums_are_exact_and_name_every_model_once() -> None:
    known = Use(calls=1, usage=ONE, cost=Cost(usd=0.1))
    unknown = Use(calls=2, usage=ONE, cost=Cost(unpriced_calls=1, unpriced=("m",)))
    more = Use(cost=Cost(usd=0.2, unpriced_calls=1, unpriced=("a", "m")))
    assert known + unknown + more == Use(
        calls=3, usage=TWO, cost=Cost(usd=0.3, unpriced_calls=2, unpriced=("a", "m"))
    )
    assert (Cost() + Cost()).usd is None


def test_usage_that_is_left_never_falls_below_zero() -> None:
    assert TWO - ONE == ONE
    assert Usage() == ONE - TWO


def test_a_ledger_tells_what_each_agent_used_and_who_within_it() -> None:
    ledger = Ledger(["ada", "lin"])
    turn = Turn(run_id="r", turn_id="1", agent_id="ada", messages=())
    events = (
        TurnStarted(purpose="answer", round=0, turn=turn),
        ModelCallStarted(model="m", source="one"),
        called(usd=0.1, source="one"),
        ModelCallStarted(model="new", source="two"),
        called(model="new", source="two"),
        ModelCallStarted(model="m"),
        TurnFailed(kind="server", message="down"),
    )
    for seq, event in enumerate(events, 1):
        ledger.add(Record(run_id="r", seq=seq, at=seq, agent_id="ada", turn_id="1", event=event))
    ada, lin = (one.used_by(agent_id) for agent_id, one in ledger.agents.items())
    assert (ada.calls, ada.usage) == (3, TWO)
    assert ada.cost == Cost(usd=0.1, unpriced_calls=1, unpriced=("new",)) == ledger.cost
    assert [(one.agent_id, one.calls, one.usage, one.cost.usd) for one in ada.members] == [
        ("ada/one", 1, ONE, 0.1),
        ("ada/two", 1, ONE, None),
    ]
    assert (lin.calls, lin.cost, lin.members) == (0, Cost(), ())


def at(provider: str, model: str) -> Connection:
    where = "http://127.0.0.1:1"
    return Connection(name="m", protocol="chat", base_url=where, provider=provider, model=model)


def test_what_nobody_charges_for_needs_no_list_and_no_usage() -> None:
    free = PriceList({"ada": at("vllm", "m")})
    assert free.is_at_hand
    assert free("ada", "m", ONE) == free("ada/member", None, None) == 0
    assert free("somebody", "m", ONE) is None

    paid = PriceList({"ada": at("openai", "gpt-5-mini")})
    assert not paid.is_at_hand
    assert paid("ada", "gpt-5-mini", None) is None
    price = paid("ada", "gpt-5-mini", ONE)
    assert price
    assert paid.is_at_hand
    # By the agent's own model, where the name in the record says nothing.
    assert paid("ada", "of-nobody", ONE) == paid("ada", None, ONE) == price
