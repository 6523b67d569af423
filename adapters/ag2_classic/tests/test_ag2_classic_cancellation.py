"""What a cancelled turn leaves behind where the conformance suite does not look: nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from massgen_bridge_ag2_classic import bridge_adapters

from massgen_bridge.testing.conformance import CancellationConformance

if TYPE_CHECKING:
    from massgen_bridge import AdapterSpec

CHATS = Path(__file__).with_name("ag2_classic_chats.py")


class TestGroup(CancellationConformance):
    """The second member of a group chat is cut off."""

    answers_before = 1

    def adapter(self) -> AdapterSpec:
        (spec,) = bridge_adapters()
        return spec

    def options(self) -> dict[str, Any]:
        return {"group": {"members": [{"name": "ann"}, {"name": "bob"}], "max_turns": 4}}


class TestGroupApart(TestGroup):
    """The same in a process of its own."""

    isolation = "process"


class TestOwnApart(CancellationConformance):
    """A user's own agent, which only the end of its process stops."""

    isolation = "process"

    def adapter(self) -> AdapterSpec:
        (spec,) = bridge_adapters()
        return spec

    def options(self) -> dict[str, Any]:
        return {"chat": f"{CHATS}:streaming_from_model"}
