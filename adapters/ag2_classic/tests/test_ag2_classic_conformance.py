"""The adapter's forms keep what every adapter promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from massgen_bridge_ag2_classic import bridge_adapters

from massgen_bridge.testing.conformance import ModelAgentConformance

if TYPE_CHECKING:
    from massgen_bridge import AdapterSpec


class TestSingleConformance(ModelAgentConformance):
    """A single agent made from YAML."""

    def adapter(self) -> AdapterSpec:
        (spec,) = bridge_adapters()
        return spec

    def options(self) -> dict[str, Any]:
        return {}


class TestSingleApartConformance(TestSingleConformance):
    """The same in a process of its own."""

    isolation = "process"


class TestGroupConformance(TestSingleConformance):
    """A group chat made from YAML, in which one member speaks: what it promises is exact then."""

    def options(self) -> dict[str, Any]:
        members = [{"name": "writer"}, {"name": "critic"}]
        return {"group": {"members": members, "max_turns": 1}}


class TestGroupApartConformance(TestGroupConformance):
    """The same in a process of its own."""

    isolation = "process"
