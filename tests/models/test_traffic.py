"""Calls over one connection, of several agents at once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_bridge.agent import Limits, Turn, Usage
from massgen_bridge.connection import BreakerPolicy, Connection, RetryPolicy
from massgen_bridge.errors import (
    AgentError,
    BadRequest,
    NetworkFailed,
    RateLimited,
    ServerFailed,
    TimedOut,
)
from massgen_bridge.events import ModelCallStarted, ModelWaiting
from massgen_bridge.messages import Message, TextPart
from massgen_bridge.models.breaker import Breaker
from massgen_bridge.models.rates import Window
from massgen_bridge.models.retry import ModelCalls
from massgen_bridge.models.traffic import Traffic, TurnCalls, counting_calls

if TYPE_CHECKING:
    from massgen_bridge.events import TurnEvent

pytestmark = pytest.mark.anyio

_ONCE = RetryPolicy(attempts=1)
_SPAN_S = 0.1


class _Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class _Agent:
    """One of several that call over the same connection."""

    def __init__(
        self, traffic: Traffic, *, retry: RetryPolicy = _ONCE, has_fallback: bool = False
    ) -> None:
        connection = Connection(
            name="main",
            provider="openai",
            protocol="chat",
            model="gpt",
            base_url="http://127.0.0.1:1/v1",
            retry=retry,
        )
        self.events: list[TurnEvent] = []
        self.sent: list[float] = []
        self._call = ModelCalls(connection, traffic=traffic, has_fallback=has_fallback)

    async def emit(self, event: TurnEvent) -> None:
        self.events.append(event)

    async def ask(self, *errors: Exception) -> str:
        left = list(errors)

        async def attempt() -> str:
            self.sent.append(time.monotonic())
            if left:
                raise left.pop(0)
            return "answer"

        return await self._call(attempt, self.emit)

    @property
    def waits(self) -> list[str]:
        return [event.reason for event in self.events if isinstance(event, ModelWaiting)]


# --- rates ---------------------------------------------------------------------------------------


async def test_no_span_has_more_requests_than_are_allowed_and_all_wait_in_order() -> None:
    traffic = Traffic(name="main", requests_per_minute=3, span_s=_SPAN_S)
    agents = [_Agent(traffic) for _ in range(8)]
    async with anyio.create_task_group() as group:
        for agent in agents:
            group.start_soon(agent.ask)
    sent = [agent.sent[0] for agent in agents]
    assert sent == sorted(sent)
    assert all(sent[at + 3] - sent[at] >= _SPAN_S for at in range(5))
    assert [agent.waits[:1] for agent in agents] == [[]] * 3 + [["requests"]] * 5
    assert isinstance(agents[-1].events[-1], ModelCallStarted)


def _turn(limits: Limits) -> Turn:
    asked = Message(role="user", parts=(TextPart(text="x" * 400),))
    return Turn(run_id="r", turn_id="t", agent_id="a", messages=(asked,), limits=limits)


async def test_tokens_are_guessed_before_a_call_and_corrected_after_it() -> None:
    traffic = Traffic(name="main", tokens_per_minute=1000, span_s=60.0)
    agent = _Agent(traffic)
    calls = TurnCalls(_turn(Limits(max_output_tokens=500)))
    with counting_calls(calls):
        await agent.ask()  # 100 of the prompt and 500 of the answer are held for it
        calls.finished(Usage(input_tokens=10, output_tokens=10, calls=1))
        await agent.ask()  # 30 by what the first one has used
        assert agent.waits == []
        calls.finished(Usage(input_tokens=900, output_tokens=50, calls=1))
        with anyio.move_on_after(0.2) as scope:
            await agent.ask()
    assert scope.cancelled_caught
    assert agent.waits == ["tokens"]


async def test_the_tokens_of_a_refused_call_are_given_back() -> None:
    traffic = Traffic(name="main", tokens_per_minute=700, span_s=60.0)
    agent = _Agent(traffic)
    with counting_calls(TurnCalls(_turn(Limits(max_output_tokens=500)))):
        with pytest.raises(RateLimited):
            await agent.ask(RateLimited("429"))
        await agent.ask()
    assert agent.waits == []


@given(st.lists(st.tuples(st.integers(1, 30), st.floats(0, 5)), max_size=60))
def test_a_window_is_never_exceeded_and_always_opens_again(
    asked: list[tuple[int, float]],
) -> None:
    clock, most, span = _Clock(), 20, 10.0
    window = Window(most, span, clock)
    gone: list[tuple[float, int]] = []
    for amount, later in asked:
        clock.now += later
        for _ in range(len(gone) + 1):
            wait = window.wait_s(amount)
            if not wait:
                break
            clock.now += wait
        assert window.wait_s(amount) == 0
        within = sum(size for at, size in gone if at > clock.now - span + 1e-6)
        assert within + min(amount, most) <= most
        window.charge(amount)
        gone.append((clock.now, amount))


# --- what the provider asks for ------------------------------------------------------------------


async def test_what_a_provider_asks_one_call_holds_for_all_of_the_connection() -> None:
    traffic = Traffic(name="main")
    first, second = _Agent(traffic), _Agent(traffic)
    with pytest.raises(RateLimited):
        await first.ask(RateLimited("429", retry_after_s=0.3))
    await second.ask()
    assert second.sent[0] - first.sent[0] >= 0.3
    assert second.waits == ["provider"]


async def test_a_wait_that_is_too_long_for_one_fails_at_once_for_all() -> None:
    traffic = Traffic(name="main")
    first, second = _Agent(traffic), _Agent(traffic)
    with pytest.raises(RateLimited, match="429"):
        await first.ask(RateLimited("429", retry_after_s=3600))
    with pytest.raises(RateLimited, match=r"'main' asks to wait another 3\d\d\d s, longer than"):
        await second.ask()
    assert second.sent == []


# --- the breaker ---------------------------------------------------------------------------------


def _down(failures: int = 3, open_s: float = 0.3) -> Traffic:
    return Traffic(name="main", breaker_policy=BreakerPolicy(failures=failures, open_s=open_s))


async def _fail(agent: _Agent, error: AgentError) -> None:
    with pytest.raises(AgentError):
        await agent.ask(error)


async def test_failures_in_a_row_of_all_agents_open_the_breaker_and_a_probe_closes_it() -> None:
    traffic = _down()
    for error in (ServerFailed("503"), NetworkFailed("cut"), TimedOut("slow")):
        await _fail(_Agent(traffic), error)
    agents = [_Agent(traffic, retry=RetryPolicy(attempts=1, max_s=9)) for _ in range(3)]
    async with anyio.create_task_group() as group:
        for agent in agents:
            group.start_soon(agent.ask)
    assert all(agent.waits[0] == "breaker" for agent in agents)
    assert [len(agent.sent) for agent in agents] == [1, 1, 1]


async def test_an_open_breaker_names_the_connection_the_time_and_the_last_failure() -> None:
    traffic = _down(open_s=60)
    for _ in range(3):
        await _fail(_Agent(traffic), ServerFailed("HTTP 503: no room"))
    agent = _Agent(traffic)
    wanted = r"'main' has failed 3 times in a row.*another (60\.0|59\.\d) s.*HTTP 503: no room"
    with pytest.raises(ServerFailed, match=wanted):
        await agent.ask()
    assert agent.sent == []


async def test_calls_that_have_waited_for_a_probe_fail_when_it_does() -> None:
    traffic = _down()
    for _ in range(3):
        await _fail(_Agent(traffic), ServerFailed("503"))
    agents = [_Agent(traffic, retry=RetryPolicy(attempts=1, max_s=9)) for _ in range(3)]
    async with anyio.create_task_group() as group:
        for agent in agents:
            group.start_soon(_fail, agent, ServerFailed("still down"))
    assert sum(len(agent.sent) for agent in agents) == 1


async def test_a_call_with_a_fallback_does_not_wait_for_an_open_breaker() -> None:
    traffic = _down(open_s=15)  # which a call without a fallback waits for
    for _ in range(3):
        await _fail(_Agent(traffic), ServerFailed("503"))
    agent = _Agent(traffic, has_fallback=True)
    await _fail(agent, ServerFailed("503"))
    assert (agent.waits, agent.sent) == ([], [])


async def test_answers_and_refusals_show_that_the_provider_is_there() -> None:
    traffic = _down()
    for _ in range(4):
        await _fail(_Agent(traffic), ServerFailed("503"))
        await _fail(_Agent(traffic), ServerFailed("503"))
        await _fail(_Agent(traffic), BadRequest("400"))
    assert await _Agent(traffic).ask() == "answer"


async def test_a_cancelled_probe_lets_the_next_call_be_one() -> None:
    clock = _Clock()
    breaker = Breaker("main", BreakerPolicy(failures=1, open_s=5), clock)
    breaker.failed(ServerFailed("503"), probing=False)
    assert not breaker.probe()
    clock.now += 5
    assert breaker.probe()
    assert not breaker.probe()
    breaker.give_up()
    assert breaker.probe()


async def test_a_breaker_of_no_failures_never_opens() -> None:
    traffic = _down(failures=0)
    for _ in range(30):
        await _fail(_Agent(traffic), ServerFailed("503"))
    assert await _Agent(traffic).ask() == "answer"
