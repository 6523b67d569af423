"""What a provider does not know is not sent, and the rest by the names it has for it."""

from __future__ import annotations

from typing import Any

import pytest

from massgen_bridge.connection import Quirks
from massgen_bridge.models.chat_quirks import chat_as_understood
from massgen_bridge.models.providers import PROVIDERS

SCHEMA = {"name": "answer", "schema": {"type": "object"}}
ASKED = {"role": "user", "content": "Why?"}
SAID: dict[str, Any] = {"role": "assistant", "content": "", "tool_calls": []}
COMMON: dict[str, Any] = {
    "model": "m",
    "stream": True,
    "stream_options": {"include_usage": True},
    "max_tokens": 5,
    "seed": 7,
    "parallel_tool_calls": False,
    "response_format": {"type": "json_schema", "json_schema": {**SCHEMA, "strict": True}},
    "messages": [
        {"role": "system", "content": "Be kind."},
        ASKED,
        {**SAID, "reasoning_content": "Because."},
    ],
}


def _messages(*, role: str = "system", **thoughts: str) -> list[dict[str, Any]]:
    return [{"role": role, "content": "Be kind."}, ASKED, {**SAID, **thoughts}]


def test_the_common_form_goes_as_it_is() -> None:
    assert chat_as_understood(COMMON, Quirks()) is COMMON


@pytest.mark.parametrize(
    ("quirks", "gone", "instead"),
    [
        (Quirks(stream_usage=False), {"stream_options"}, {}),
        (Quirks(parallel_tool_calls=False), {"parallel_tool_calls"}, {}),
        (Quirks(seed="random_seed"), {"seed"}, {"random_seed": 7}),
        (Quirks(seed=None), {"seed"}, {}),
        (
            Quirks(strict_schemas=False),
            set(),
            {"response_format": {"type": "json_schema", "json_schema": SCHEMA}},
        ),
        (
            Quirks(system_role="developer"),
            set(),
            {"messages": _messages(role="developer", reasoning_content="Because.")},
        ),
        (
            Quirks(reasoning_field="reasoning"),
            set(),
            {"messages": _messages(reasoning="Because.")},
        ),
        (Quirks(reasoning_field=None), set(), {"messages": _messages()}),
    ],
)
def test_each_quirk_changes_what_it_is_about_and_nothing_else(
    quirks: Quirks, gone: set[str], instead: dict[str, Any]
) -> None:
    before = repr(COMMON)
    expected = {key: value for key, value in COMMON.items() if key not in gone} | instead
    assert chat_as_understood(COMMON, quirks) == expected
    assert repr(COMMON) == before


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: str(provider.name))
def test_what_the_configuration_puts_into_the_body_stays_for_every_provider(provider: Any) -> None:
    assert chat_as_understood(COMMON, provider.quirks, kept=COMMON) == COMMON
