"""What answers say of the quota that is left, and the wait before the next call."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import pytest
from hypothesis import given
from hypothesis import strategies as st
from massgen_bridge_anthropic import bridge_adapters as anthropic_adapters
from massgen_bridge_gemini import bridge_adapters as gemini_adapters
from massgen_bridge_langchain import bridge_adapters as langchain_adapters
from massgen_bridge_openai import bridge_adapters as openai_adapters

from massgen_bridge.connection import RetryPolicy
from massgen_bridge.events import ModelWaiting
from massgen_bridge.models.quotas import quota_wait_s
from massgen_bridge.models.retry import ModelCalls
from massgen_bridge.models.traffic import Traffic
from massgen_bridge.specs import AgentContext
from massgen_bridge.testing.agents import connection_to, turn
from massgen_bridge.testing.servers import HttpError, ModelServer, Text

if TYPE_CHECKING:
    from massgen_bridge import AdapterSpec
    from massgen_bridge.connection import Protocols
    from massgen_bridge.events import TurnEvent
    from massgen_bridge.testing.servers import Reply

_NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def _openai(of: str, limit: str, remaining: str, reset: str) -> dict[str, str]:
    told = {"limit": limit, "remaining": remaining, "reset": reset}
    return {f"x-ratelimit-{what}-{of}": value for what, value in told.items() if value}


def _anthropic(of: str, limit: str, remaining: str, seconds: float) -> dict[str, str]:
    reset = (_NOW + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
    told = {"limit": limit, "remaining": remaining, "reset": reset}
    return {f"Anthropic-Ratelimit-{of}-{what}": value for what, value in told.items()} | {
        "Date": format_datetime(_NOW, usegmt=True)
    }


def _wait_s(headers: dict[str, str]) -> float:
    return quota_wait_s([(name.encode(), value.encode()) for name, value in headers.items()])


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        (_openai("requests", "60", "0", "12s"), 0.2),
        (_openai("requests", "3", "0", "1m0s"), 20.0),
        (_openai("requests", "", "0", "850ms"), 0.85),
        (_openai("requests", "2", "1", "30s"), 0.0),
        (_openai("tokens", "20000", "0", "1m0s"), 6.0),
        (_openai("tokens", "1000", "0", "59.5s"), 59.5),
        (_openai("requests-day", "14400", "0", "33011.38"), 33011.38 / 14400),
        (_openai("requests", "10", "0", "10s") | _openai("tokens", "4000", "0", "4s"), 2.0),
        (_anthropic("requests", "50", "0", 60), 1.2),
        (_anthropic("input-tokens", "20000", "0", 30), 3.0),
        (_anthropic("output-tokens", "8000", "1000", 30), 0.0),
        (_anthropic("requests", "50", "0", -5), 0.0),
    ],
)
def test_a_used_up_quota_is_waited_for_until_one_more_call_fits(
    headers: dict[str, str], seconds: float
) -> None:
    assert _wait_s(headers) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "text/event-stream"},
        _openai("requests", "0", "0", "12s"),
        _openai("requests", "60", "-1", "12s"),
        _openai("requests", "60", "none", "12s"),
        _openai("requests", "60", "", "12s"),
        _openai("requests", "60", "0", ""),
        _openai("requests", "60", "0", "soon"),
        _openai("requests", "60", "0", "12 s"),
        _openai("requests", "60", "0", "1763900000000"),
        _openai("requests", "", "0", "2m0s"),
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "5"},
    ],
)
def test_what_is_absent_odd_or_too_long_slows_nothing(headers: dict[str, str]) -> None:
    assert _wait_s(headers) == 0.0


@given(st.lists(st.tuples(st.binary(max_size=40), st.binary(max_size=40))), st.binary())
def test_no_header_makes_a_call_fail(others: list[tuple[bytes, bytes]], reset: bytes) -> None:
    spent = [(b"x-ratelimit-remaining-tokens", b"0"), (b"x-ratelimit-reset-tokens", reset)]
    assert 0.0 <= quota_wait_s([*others, *spent, (b"date", reset)]) <= 60.0


# --- by every client -----------------------------------------------------------------------------

_KINDS: tuple[tuple[AdapterSpec, Protocols], ...] = (
    (openai_adapters()[0], "chat"),
    (openai_adapters()[0], "responses"),
    (anthropic_adapters()[0], "messages"),
    (gemini_adapters()[0], "gemini"),
    (next(spec for spec in langchain_adapters() if spec.kind == "langchain"), "chat"),
)
# Far longer than a slow machine takes from one call to the next: no test waits for its end.
_SPENT = tuple(_openai("requests", "1", "0", "50s").items())


async def _waits_of_a_second_call(
    spec: AdapterSpec, protocol: Protocols, reply: Reply, retry: RetryPolicy
) -> list[ModelWaiting]:
    """What the second of two calls over one connection is told to wait for; it then ends."""
    waits: list[ModelWaiting] = []
    scope = anyio.CancelScope()

    async def heard(event: TurnEvent) -> None:
        if isinstance(event, ModelWaiting):
            waits.append(event)
            scope.cancel()

    with ModelServer([reply, Text("Here.")], default=Text("There.")) as server:
        connection = connection_to(server, protocol=protocol, retry=retry)
        # The wait for the first token is watched for below the SDK, too.
        connection = connection.model_copy(update={"first_token_timeout_s": 15.0})
        context = AgentContext(
            agent_id="ada",
            options=spec.options(),
            connection=connection,
            call_model=ModelCalls(connection, traffic=Traffic(name="main")),
            load=resolve_name,
            base_dir=Path.cwd(),
        )
        agent = await anyio.to_thread.run_sync(spec.factory, context)
        with scope:
            for _ in range(2):
                await agent.run(turn("Where?"), heard)
        await agent.aclose()
    return waits


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("spec", "protocol"), _KINDS, ids=[f"{spec.kind}-{protocol}" for spec, protocol in _KINDS]
)
async def test_the_next_call_waits_and_says_so(spec: AdapterSpec, protocol: Protocols) -> None:
    answer = Text("It is there.", headers=_SPENT)
    (wait,) = await _waits_of_a_second_call(spec, protocol, answer, RetryPolicy(attempts=1))
    assert wait.reason == "provider"
    assert wait.delay_s is not None
    assert 0 < wait.delay_s <= 50


@pytest.mark.anyio
async def test_a_refusal_says_it_too() -> None:
    refusal = HttpError(status=429, headers=_SPENT)
    retry = RetryPolicy(attempts=2, base_s=0.001)
    waits = await _waits_of_a_second_call(*_KINDS[0], refusal, retry)
    assert [one.reason for one in waits] == ["provider"]


@pytest.mark.anyio
async def test_no_quota_makes_a_call_wait_for_longer_than_a_provider_may_ask_for() -> None:
    answer = Text("It is there.", headers=_SPENT)
    retry = RetryPolicy(attempts=1, max_retry_after_s=10)
    assert await _waits_of_a_second_call(*_KINDS[0], answer, retry) == []
