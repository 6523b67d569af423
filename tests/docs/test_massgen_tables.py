"""The tables of MassGen's types and keys say what the reader of its files does."""

from __future__ import annotations

import re
from pathlib import Path

from massgen_bridge.config.massgen_types import (
    AG2_TYPES,
    CONNECTION_KEYS,
    GROUPS,
    HOSTED_KEYS,
    LOCAL_KEYS,
    SAME_KEYS,
    TYPES,
)
from massgen_bridge.plugins import PluginHost

PAGE = (Path(__file__).parents[2] / "docs/how-to/use-massgen-files.md").read_text()
SPOKEN = {
    "chat": "Chat Completions",
    "gemini": "Gemini",
    "messages": "Messages",
    "responses": "Responses",
}
AG2 = ("ag2_classic", "`llm_config.api_type`", "Chat Completions", "-")


def rows(heading: str) -> list[list[str]]:
    """The cells of a table, without its head."""
    after = PAGE.partition(f"\n{heading} |")[2]
    table = re.findall(r"^\| (`.*) \|$", after.partition("\n\n")[0], re.MULTILINE)
    return [row.split(" | ") for row in table]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_each_type_is_told_with_its_kind_provider_protocol_and_tools() -> None:
    host = PluginHost()
    expected = dict.fromkeys(AG2_TYPES, AG2)
    for name, known in TYPES.items():
        spec = host.adapter(name)
        spoken = known.protocol or spec.protocols[0]
        tools = ", ".join(f"`{one}`" for one in sorted(known.hosted)) or "-"
        expected[name] = (spec.kind, f"`{known.provider}`", SPOKEN[spoken], tools)
    told = {
        name: (names(kind)[0], provider, spoken, tools)
        for types, kind, provider, spoken, tools in rows("| `type`")
        for name in names(types)
    }
    assert told == expected


def test_each_key_is_told_with_what_it_becomes() -> None:
    told = {
        key: set(names(here)) for keys, here in rows("| Key of the backend") for key in names(keys)
    }
    for key, target in {**CONNECTION_KEYS, **HOSTED_KEYS}.items():
        assert target == key or target in told[key], key
    for key, parts in GROUPS.items():
        assert told[key] == set(parts.values())
    assert told.keys() >= SAME_KEYS | LOCAL_KEYS
