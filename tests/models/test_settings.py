from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from massgen_bridge.connection import RetryPolicy
from massgen_bridge.messages import Frozen
from massgen_bridge.models.settings import ModelConfig, expand, variables_in

_SECRET = "sk-live-0123456789"  # noqa: S105 - it must not come back


class _Team(Frozen):
    models: dict[str, ModelConfig]


def _mistake(**entry: Any) -> str:
    """All that the errors of an entry say, with the input that they quote."""
    with pytest.raises(ValidationError) as caught:
        _Team.model_validate({"models": {"main": {"provider": "openai", **entry}}})
    return f"{caught.value} {caught.value.errors()} {caught.value.json()}"


def test_every_key_is_documented() -> None:
    undocumented = [
        name for name, field in ModelConfig.model_fields.items() if not field.description
    ]
    assert undocumented == []


def test_all_but_the_provider_may_be_left_out() -> None:
    config = ModelConfig(provider="local")
    assert config.model is None
    assert config.key_variable is None


def test_a_retry_policy_may_be_given_in_part() -> None:
    config = ModelConfig.model_validate({"provider": "openai", "retry": {"attempts": 2}})
    assert config.retry == RetryPolicy(attempts=2)


@pytest.mark.parametrize(
    "entry",
    [
        {"api_key": _SECRET},
        {"api_key": f"${{{_SECRET}}}"},
        {"api_key": f"$X{_SECRET}"},
        {"api_key": [_SECRET]},
        {"api_key_env": _SECRET},
        {"api_key": _SECRET, "slots": 2, "unknown": 1},
        {"headers": {"Authorization": f"Bearer {_SECRET}"}},
        {"headers": {"X-API-Key": _SECRET}, "top_p": 7},
    ],
    ids=str,
)
def test_a_key_written_into_the_file_is_refused_and_not_repeated(entry: dict[str, Any]) -> None:
    assert _SECRET not in _mistake(**entry)


def test_the_refusal_of_a_key_says_why_and_what_to_do() -> None:
    said = _mistake(api_key=_SECRET)
    assert "does not belong in a file" in said
    assert "api_key: ${MY_API_KEY}" in said


def test_a_key_is_named_in_two_ways() -> None:
    assert ModelConfig(provider="x", api_key="${MINE}").key_variable == "MINE"
    assert ModelConfig(provider="x", api_key_env="MINE").key_variable == "MINE"
    assert "not both" in _mistake(api_key="${MINE}", api_key_env="MINE")


def test_a_header_without_a_secret_may_be_literal() -> None:
    headers = {"X-Title": "my team", "Authorization": "Bearer ${TOKEN}"}
    assert ModelConfig(provider="x", headers=headers).headers == headers


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://example.com", "expected an address"),
        ("example.com/v1", "expected an address"),
        ("https://", "expected an address"),
        ("https://me:pass@example.com/v1", "user name or a password"),
        ("https://example.com/v1?key=1", "ends with its path"),
        ("https://example.com/v1#x", "ends with its path"),
        ("https://example.com/v1/chat/completions/", "added for each call"),
        ("https://example.com/${1X}", "begins the name"),
        ("https://example.com/${X", "begins the name"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused(url: str, said: str) -> None:
    assert said in _mistake(base_url=url)


@pytest.mark.parametrize(
    "url",
    ["http://localhost:1/v1", "https://example.com/", "${ENDPOINT}/v1", "https://${HOST}/v1"],
)
def test_an_address_may_hold_variables(url: str) -> None:
    assert ModelConfig(provider="openai", base_url=url).base_url == url


@pytest.mark.parametrize("name", ["slots", "context"])
def test_what_only_the_local_model_knows_is_refused_elsewhere(name: str) -> None:
    assert "only provider 'local' takes it" in _mistake(**{name: 512 if name == "context" else 2})


@pytest.mark.parametrize(
    "entry", [{"base_url": "http://x/v1"}, {"api_key": "${X}"}, {"api_key_env": "X"}], ids=str
)
def test_the_local_model_takes_neither_address_nor_key(entry: dict[str, Any]) -> None:
    assert "started, and given a key, by the run itself" in _mistake(provider="local", **entry)


def test_unknown_keys_are_refused() -> None:
    assert "tempratur" in _mistake(tempratur=1)


_names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)


@given(st.lists(_names), st.text(alphabet="abc $", max_size=4))
def test_variables_are_found_and_filled_in_once(names: list[str], between: str) -> None:
    text = between.join(f"${{{name}}}" for name in names)
    assert list(variables_in(text)) == names
    # A value that looks like a variable stays as it is.
    filled = expand(text, lambda name: f"${{{name}X}}")
    assert filled == between.join(f"${{{name}X}}" for name in names)
