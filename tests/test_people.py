"""Questions to people are put one by one, each with its own time."""

from __future__ import annotations

import anyio
import pytest

from massgen_bridge.people import Desk, Question, Reply, Written, desk_of

pytestmark = pytest.mark.anyio


def question(turn_id: str, limit_s: float | None = None) -> Question:
    return Question(
        run_id="r", turn_id=turn_id, agent_id="a", kind="answer", wish="", time_limit_s=limit_s
    )


class Slow:
    """Replies after a while; knows how many questions were open at once, and which were void."""

    def __init__(self, seconds: float) -> None:
        self.open = self.most = 0
        self.void: list[str] = []
        self._seconds = seconds

    async def __call__(self, asked: Question, /) -> Reply:
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            await anyio.sleep(self._seconds)
        except anyio.get_cancelled_exc_class():
            self.void.append(asked.turn_id)
            raise
        finally:
            self.open -= 1
        return Written(text=asked.turn_id)


async def ask_three(desk: Desk, limit_s: float | None = None) -> dict[str, Reply | None]:
    replies: dict[str, Reply | None] = {}

    async def one(turn_id: str) -> None:
        replies[turn_id] = await desk(question(turn_id, limit_s))

    async with anyio.create_task_group() as tasks:
        for turn_id in ("1", "2", "3"):
            tasks.start_soon(one, turn_id)
    return replies


@pytest.mark.parametrize("at_once", [1, 2])
async def test_only_so_many_questions_are_open_at_once(at_once: int) -> None:
    person = Slow(0.02)
    replies = await ask_three(Desk(person, at_once=at_once))

    assert person.most == at_once
    assert replies == {one: Written(text=one) for one in ("1", "2", "3")}


async def test_time_does_not_run_while_a_question_waits_for_its_place() -> None:
    person = Slow(0.3)
    replies = await ask_three(Desk(person), limit_s=0.8)

    assert None not in replies.values()
    assert person.void == []


async def test_a_question_whose_time_is_up_is_taken_back_and_the_next_one_is_put() -> None:
    person = Slow(5)
    replies = await ask_three(Desk(person), limit_s=0.05)

    assert set(replies.values()) == {None}
    assert sorted(person.void) == ["1", "2", "3"]


async def test_a_question_that_is_cancelled_leaves_its_place() -> None:
    person = Slow(0.01)
    desk = Desk(person)
    with anyio.move_on_after(0.001):
        await desk(question("stopped"))

    assert await desk(question("next")) == Written(text="next")


def test_whoever_asks_one_by_one_gets_a_desk() -> None:
    person = Slow(0)
    desk = Desk(person)

    assert desk_of(None) is None
    assert desk_of(desk) is desk
    assert isinstance(desk_of(person), Desk)
