from __future__ import annotations

import subprocess
import sys
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from massgen_bridge.agent import Usage
from massgen_bridge.connection import Connection, Sampling
from massgen_bridge.models.prices import estimate, estimate_run, estimate_tokens, price_of
from massgen_bridge.models.providers import PROVIDERS
from massgen_bridge.specs import ProviderSpec

_MILLION = Usage(input_tokens=1_000_000, calls=1)

_OFFLINE = """
import sys, threading
def watch(event, arguments):
    if event.startswith("socket."):
        print("NETWORK", event, arguments)
sys.addaudithook(watch)
from massgen_bridge.agent import Usage
from massgen_bridge.connection import Connection
from massgen_bridge.models.prices import estimate
connection = Connection(
    name="x", provider="openai", protocol="chat", model="gpt-4o-mini", base_url="http://x"
)
print(estimate(connection, Usage(input_tokens=1000000)), threading.active_count())
"""


def _connection(provider: str, model: str, **sampling: int) -> Connection:
    return Connection(
        name="main",
        provider=provider,
        protocol="chat",
        model=model,
        base_url="https://example.com",
        sampling=Sampling(**sampling),
    )


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-4o-mini"),
        ("anthropic", "claude-sonnet-4-5"),
        ("gemini", "gemini-2.5-flash"),
        ("azure", "gpt-4o-mini"),
        ("openrouter", "anthropic/claude-sonnet-4.5"),
        ("groq", "llama-3.3-70b-versatile"),
        ("xai", "grok-4"),
        ("deepseek", "deepseek-chat"),
    ],
)
def test_a_known_model_has_a_price(provider: str, model: str) -> None:
    price = estimate(_connection(provider, model), _MILLION)
    assert price is not None
    assert Decimal("0.01") < price < Decimal(100)


def test_every_provider_that_charges_is_in_the_price_list_or_known_to_be_missing() -> None:
    from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415 - as in the product

    known = {provider.id for provider in get_snapshot().providers}
    missing = {spec.name for spec in PROVIDERS if spec.prices_id and spec.prices_id not in known}
    assert missing == {"nebius", "poe", "qwen"}


def test_cached_tokens_are_part_of_the_input_and_cost_less() -> None:
    connection = _connection("openai", "gpt-4o-mini")
    fresh = estimate(connection, Usage(input_tokens=1000, calls=1))
    cached = estimate(connection, Usage(input_tokens=1000, cached_tokens=900, calls=1))
    assert fresh is not None
    assert cached is not None
    assert fresh / 10 < cached < fresh


@pytest.mark.parametrize("provider", ["local", "ollama", "vllm"])
def test_what_nobody_charges_for_costs_nothing(provider: str) -> None:
    assert estimate(_connection(provider, "any"), _MILLION) == 0


@pytest.mark.parametrize(
    ("provider", "model"),
    [("openai", "a-model-of-tomorrow"), ("nebius", "any"), ("a-plugin", "any")],
)
def test_an_unknown_price_is_not_zero(provider: str, model: str) -> None:
    assert estimate(_connection(provider, model), _MILLION) is None


def test_a_providers_plugin_names_its_prices() -> None:
    mine = ProviderSpec(name="mine", summary="", base_urls={}, prices_id="openai")
    connection = _connection("mine", "gpt-4o-mini")
    assert estimate(connection, _MILLION, [mine]) == estimate(
        _connection("openai", "gpt-4o-mini"), _MILLION
    )


_tokens = st.integers(min_value=0, max_value=10**7)


@settings(max_examples=50)
@given(_tokens, _tokens, _tokens)
def test_any_usage_has_a_price(given_tokens: int, cached: int, made: int) -> None:
    usage = Usage(input_tokens=given_tokens, cached_tokens=cached, output_tokens=made)
    price = estimate(_connection("openai", "gpt-4o-mini"), usage)
    assert price is not None
    assert price >= 0


def test_prices_are_looked_up_without_the_network_and_without_threads() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _OFFLINE], capture_output=True, text=True, check=True
    )
    price, threads = done.stdout.split()
    assert Decimal(price) > 0
    assert threads == "1"


def test_a_run_is_estimated_over_all_its_agents() -> None:
    paid, free = _connection("openai", "gpt-4o-mini"), _connection("local", "small")
    one = estimate_run([paid], "What is the answer?")
    two = estimate_run([paid, free], "What is the answer?")
    assert one.usage.calls == 2
    assert two.usage.calls == 4
    assert one.price > 0
    # The paid agent reads one answer more; the free one adds nothing else.
    assert one.price < two.price < 2 * one.price
    assert one.unpriced == two.unpriced == ()


def test_an_estimate_names_what_it_could_not_price() -> None:
    connections = [_connection("nebius", "b"), _connection("nebius", "a")] * 2
    guess = estimate_run(connections, "question")
    assert guess.unpriced == ("a", "b")
    assert guess.price == 0
    assert guess.usage.calls == 8


def test_an_estimate_keeps_to_the_limit_of_an_answer() -> None:
    long = estimate_run([_connection("openai", "gpt-4o-mini")], "q")
    short = estimate_run([_connection("openai", "gpt-4o-mini", max_output_tokens=10)], "q")
    assert short.usage.output_tokens < long.usage.output_tokens
    assert short.price < long.price


@given(st.text(), st.text())
def test_longer_text_never_has_fewer_tokens(first: str, more: str) -> None:
    assert estimate_tokens(first) <= estimate_tokens(first + more)
    assert estimate_tokens("") == 0


def test_a_call_is_priced_by_the_names_in_its_records() -> None:
    price = price_of(_MILLION, provider="openai", model="gpt-4o-mini")
    assert price == estimate(_connection("openai", "gpt-4o-mini"), _MILLION)
    assert price_of(_MILLION, provider="local", model="any") == 0
    assert price_of(_MILLION, provider=None, model="scripted") is None
