"""Steps of a replay in the order of the recording."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from massgen_bridge.models.tape import NOBODY, Caller
from massgen_bridge.runtime.cassette.order import Order

pytestmark = pytest.mark.anyio


def _turn(name: str) -> Caller:
    return NOBODY.within(name, f"{name}.1")


async def test_steps_happen_in_their_order_whoever_is_first() -> None:
    order, done = Order(), list[int]()

    async def do(step: int) -> None:
        await order.wait(step, _turn(str(step)))
        done.append(step)
        order.done(step)

    async with anyio.create_task_group() as tasks:
        for step in (3, 1, 2, 0):
            order.started(_turn(str(step)))
            tasks.start_soon(do, step)
            await anyio.lowlevel.checkpoint()
    assert done == [0, 1, 2, 3]


async def test_where_nothing_else_can_come_the_first_that_waits_goes_on() -> None:
    order = Order()
    order.started(_turn("ada"))
    with anyio.fail_after(30):
        await order.wait(2, _turn("ada"))


async def test_a_turn_that_works_is_waited_for() -> None:
    order = Order()
    order.started(_turn("ada"))
    order.started(_turn("bot"))
    with anyio.move_on_after(1.2) as waited:
        await order.wait(1, _turn("ada"))
    assert waited.cancelled_caught
    order.done(0)
    with anyio.fail_after(20):
        await order.wait(1, _turn("ada"))


async def test_a_team_waits_with_its_members() -> None:
    order, crew = Order(), _turn("crew")
    member = crew.within("ada", "ada.1")
    order.started(crew)
    order.started(member)
    with anyio.fail_after(30):
        await order.wait(4, member)


async def test_what_hangs_does_not_hold_up_the_others() -> None:
    order = Order()
    order.started(_turn("ada"))
    order.started(_turn("lin"))
    order.hangs(_turn("lin"))
    with anyio.fail_after(30):
        await order.wait(1, _turn("ada"))
