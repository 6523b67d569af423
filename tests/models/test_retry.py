from __future__ import annotations

import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_bridge.connection import Connection, RetryPolicy
from massgen_bridge.errors import (
    AuthFailed,
    NetworkFailed,
    RateLimited,
    ServerFailed,
    TimedOut,
)
from massgen_bridge.events import ModelCallStarted, ModelRetried, ModelWaiting
from massgen_bridge.models.retry import ModelCalls, retry_after_s
from massgen_bridge.models.traffic import Traffic

if TYPE_CHECKING:
    from massgen_bridge.events import TurnEvent

pytestmark = pytest.mark.anyio

_FAST = RetryPolicy(attempts=4, base_s=0.001, max_s=0.004)
_SLOW = RetryPolicy(attempts=2, base_s=1e6, max_s=1e6)


def _connection(policy: RetryPolicy = _FAST) -> Connection:
    return Connection(
        name="main",
        provider="openai",
        protocol="chat",
        model="gpt",
        base_url="http://127.0.0.1:1/v1",
        retry=policy,
    )


class _Provider:
    """Fails as told, then answers; keeps what was emitted."""

    def __init__(
        self,
        *failures: Exception,
        policy: RetryPolicy = _FAST,
        traffic: Traffic | None = None,
        **limits: Any,
    ) -> None:
        self.calls = 0
        self.retried = anyio.Event()
        self.events: list[TurnEvent] = []
        self._failures = list(failures)
        connection = _connection(policy).model_copy(update=limits)
        self._call = ModelCalls(connection, traffic=traffic)

    async def emit(self, event: TurnEvent) -> None:
        self.events.append(event)
        if isinstance(event, ModelRetried):
            self.retried.set()

    async def attempt(self) -> str:
        self.calls += 1
        if self._failures:
            raise self._failures.pop(0)
        return "answer"

    async def ask(self) -> str:
        return await self._call(self.attempt, self.emit)

    @property
    def retries(self) -> list[ModelRetried]:
        return [event for event in self.events if isinstance(event, ModelRetried)]


async def test_a_call_that_goes_well_is_made_once() -> None:
    provider = _Provider()
    assert await provider.ask() == "answer"
    assert provider.events == [ModelCallStarted(model="gpt")]


async def test_a_failure_that_may_pass_is_tried_again_and_told() -> None:
    provider = _Provider(RateLimited("slow down"), NetworkFailed("cut"))
    assert await provider.ask() == "answer"
    kinds = [event.type for event in provider.events]
    assert kinds == [
        "model_call_started",
        "model_retried",
        "model_call_started",
        "model_retried",
        "model_call_started",
    ]
    assert [(r.attempt, r.kind, r.message) for r in provider.retries] == [
        (1, "rate_limit", "slow down"),
        (2, "network", "cut"),
    ]


async def test_the_last_error_is_raised_when_the_attempts_are_used_up() -> None:
    failures = [ServerFailed(str(number)) for number in range(9)]
    provider = _Provider(*failures)
    with pytest.raises(ServerFailed) as caught:
        await provider.ask()
    assert caught.value is failures[3]
    assert provider.calls == 4
    assert provider.events[-1] == ModelCallStarted(model="gpt")


async def test_one_attempt_means_no_second() -> None:
    provider = _Provider(ServerFailed("no"), policy=RetryPolicy(attempts=1))
    with pytest.raises(ServerFailed):
        await provider.ask()
    assert provider.retries == []


@pytest.mark.parametrize("error", [AuthFailed("wrong key"), ValueError("a mistake in an adapter")])
async def test_any_other_failure_is_raised_at_once(error: Exception) -> None:
    provider = _Provider(error)
    with pytest.raises(type(error)) as caught:
        await provider.ask()
    assert caught.value is error
    assert provider.calls == 1


async def test_retry_after_is_waited_for() -> None:
    provider = _Provider(RateLimited("slow down", retry_after_s=0.05))
    begun = time.perf_counter()
    await provider.ask()
    assert time.perf_counter() - begun >= 0.05
    (retry,) = provider.retries
    assert 0.05 <= retry.delay_s <= 0.05 + _FAST.base_s


async def test_a_retry_after_that_is_too_long_fails_at_once_and_says_so() -> None:
    provider = _Provider(
        RateLimited("quota", retry_after_s=3600, agent_id="alice"),
        policy=RetryPolicy(max_retry_after_s=60),
    )
    with pytest.raises(RateLimited, match=r"quota \(the provider asks to wait 3600 s, longer") as e:
        await provider.ask()
    assert e.value.retry_after_s == 3600
    assert e.value.agent_id == "alice"
    assert provider.calls == 1
    assert provider.retries == []


async def test_waits_double_up_to_the_longest_and_vary() -> None:
    policy = RetryPolicy(attempts=7, base_s=0.001, max_s=0.008)
    longest = [0.0] * 6
    seen: set[float] = set()
    for _ in range(20):
        provider = _Provider(*(TimedOut("slow") for _ in range(6)), policy=policy)
        await provider.ask()
        delays = [retry.delay_s for retry in provider.retries]
        seen.update(delays)
        longest = [max(pair) for pair in zip(longest, delays, strict=True)]
    ceilings = [0.001, 0.002, 0.004, 0.008, 0.008, 0.008]
    assert all(wait <= ceiling for wait, ceiling in zip(longest, ceilings, strict=True))
    # Were the ceilings lower than they should be, 20 draws would all stay below half of them.
    assert all(wait > ceiling / 2 for wait, ceiling in zip(longest, ceilings, strict=True))
    assert len(seen) == 20 * 6


async def test_cancellation_ends_a_wait_at_once() -> None:
    provider = _Provider(RateLimited("slow down", retry_after_s=30))
    begun = time.perf_counter()
    with anyio.move_on_after(0.05) as scope:
        await provider.ask()
    assert scope.cancelled_caught
    assert time.perf_counter() - begun < 5
    assert provider.calls == 1


async def test_cancellation_ends_a_call_and_is_no_failure() -> None:
    call = ModelCalls(_connection())
    provider = _Provider()
    with anyio.move_on_after(0.02) as scope:
        await call(anyio.sleep_forever, provider.emit)
    assert scope.cancelled_caught
    assert provider.retries == []


async def test_a_limiter_bounds_the_calls_at_the_same_time() -> None:
    running = most = 0

    async def attempt() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await anyio.sleep(0.005)
        running -= 1

    call = ModelCalls(_connection(), traffic=Traffic(name="main", max_concurrent=2))
    provider = _Provider()
    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(call, attempt, provider.emit)
    assert most == 2
    waited = [event for event in provider.events if isinstance(event, ModelWaiting)]
    assert len(provider.events) - len(waited) == 8
    assert waited == [ModelWaiting(model="gpt", reason="concurrency")] * 6


async def test_a_call_that_waits_lets_others_through() -> None:
    traffic = Traffic(name="main", max_concurrent=1)
    failing = _Provider(ServerFailed("down"), policy=_SLOW, traffic=traffic)
    other = _Provider(traffic=traffic)
    async with anyio.create_task_group() as group:
        group.start_soon(failing.ask)
        await failing.retried.wait()
        assert await other.ask() == "answer"
        assert failing.calls == 1
        group.cancel_scope.cancel()


async def test_a_call_without_failures_costs_next_to_nothing() -> None:
    call = ModelCalls(_connection())

    async def attempt() -> None:
        pass

    async def emit(event: TurnEvent) -> None:
        pass

    async def cost(calls: int) -> float:
        begun = time.thread_time()
        for _ in range(calls):
            await call(attempt, emit)
        return (time.thread_time() - begun) / calls

    # Measured at about a microsecond; the best of several, since the machine has other work.
    assert min([await cost(200) for _ in range(20)]) < 25e-6


# --- Retry-After ---------------------------------------------------------------------------------

_NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 1.5 ", 1.5),
        ("Tue, 14 Nov 2023 22:13:50 GMT", 30.0),
        ("Tue, 14 Nov 2023 22:13:50", 30.0),
        ("Tuesday, 14-Nov-23 22:13:50 GMT", 30.0),
        ("Tue, 14 Nov 2023 21:00:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1e3", None),
        ("nan", None),
        ("inf", None),
        ("1_0", None),
        ("9" * 400, None),
        ("Tue, 99 Nov 2023 22:13:50 GMT", None),
    ],
)
def test_retry_after_says(value: str, seconds: float | None) -> None:
    assert retry_after_s({"Retry-After": value}, _NOW) == seconds


def test_milliseconds_count_before_seconds() -> None:
    assert retry_after_s({"retry-after-ms": "1500", "retry-after": "9"}) == 1.5
    assert retry_after_s({}) is None


@given(st.integers(min_value=0, max_value=10**6), st.integers(min_value=0, max_value=4 * 10**9))
def test_a_date_and_the_seconds_until_then_mean_the_same(seconds: int, now: int) -> None:
    date = formatdate(now + seconds, usegmt=True)
    assert retry_after_s({"retry-after": date}, now) == seconds
    assert retry_after_s({"retry-after": str(seconds)}, now) == seconds


@given(st.text())
def test_anything_else_says_nothing(value: str) -> None:
    parsed = retry_after_s({"retry-after": value}, _NOW)
    assert parsed is None or parsed >= 0


@given(
    st.floats(min_value=1e-6, max_value=1e9),
    st.floats(min_value=1e-6, max_value=1e9),
    st.integers(min_value=1, max_value=10**6),
)
def test_no_policy_makes_a_wait_impossible(base: float, most: float, attempt: int) -> None:
    from massgen_bridge.models.retry import _retried  # noqa: PLC0415 - too many waits to live through

    policy = RetryPolicy(base_s=base, max_s=most, attempts=attempt + 1)
    assert 0 <= _retried(ServerFailed("no"), attempt, policy).delay_s <= most
