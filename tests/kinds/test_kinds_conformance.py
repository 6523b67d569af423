"""The kinds that are built in keep what every agent promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from massgen_bridge.kinds import python, scripted, team
from massgen_bridge.testing.conformance import AgentConformance

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from massgen_bridge import AdapterSpec


class TestScriptedConformance(AgentConformance):
    """An agent that says what its script says."""

    def adapter(self) -> AdapterSpec:
        (spec,) = scripted.bridge_adapters()
        return spec

    def options(self) -> dict[str, Any]:
        return {"answers": ["Four words it says."], "tokens_per_second": 100}


class TestScriptedJsonConformance(TestScriptedConformance):
    """One whose script has answers for an output schema."""

    def options(self) -> dict[str, Any]:
        return {"answers": ['{"choice": "agent1"}']}


def _at_once(question: str) -> str:
    return f"{question}\n\tSo be it.\n"


async def _in_pieces(question: str) -> AsyncIterator[str]:
    for piece in (question, "\n\t", "So ", "be it.\n"):
        await anyio.sleep(0.002)
        yield piece


class TestPlainFunctionConformance(AgentConformance):
    """A function that is called in a thread."""

    function: Callable[..., Any] = staticmethod(_at_once)

    def adapter(self) -> AdapterSpec:
        (spec,) = python.bridge_adapters()
        return spec

    def options(self) -> dict[str, Any]:
        return {"function": "own.py:answer"}

    def load(self, path: str) -> Any:
        return {"own.py:answer": self.function}[path]


class TestAsyncGeneratorConformance(TestPlainFunctionConformance):
    """A function that yields its answer piece by piece."""

    function = staticmethod(_in_pieces)


class TestTeamConformance(AgentConformance):
    """A team of agents that vote."""

    def adapter(self) -> AdapterSpec:
        (spec,) = team.bridge_adapters()
        return spec

    def options(self) -> dict[str, Any]:
        paces = {"ann": 100, "ben": 200}
        return {
            "agents": [
                {
                    "id": name,
                    "backend": {
                        "type": "scripted",
                        "answers": [f"Four words says {name}."],
                        "tokens_per_second": pace,
                    },
                }
                for name, pace in paces.items()
            ]
        }


class TestTeamOfTeamsConformance(TestTeamConformance):
    """A team of which one member is a team."""

    def options(self) -> dict[str, Any]:
        inner = {"id": "inner", "backend": {"type": "team", **super().options()}}
        own = {"id": "own", "backend": {"type": "scripted", "answers": ["Five."]}}
        return {"agents": [inner, own], "strategy": "sequential"}
