"""The kinds that are built in keep what every agent promises."""

from __future__ import annotations

from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, Any

import anyio
from kinds.functions import at_once

from massgen_bridge.kinds import human, python, scripted, team
from massgen_bridge.people import Desk, Question, Reply, Written
from massgen_bridge.testing.conformance import AgentConformance

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from massgen_bridge import AdapterSpec, Agent, AgentContext


class TestScriptedConformance(AgentConformance):
    """An agent that says what its script says."""

    def adapter(self) -> AdapterSpec:
        (spec,) = scripted.bridge_adapters()
        return spec

    def options(self) -> dict[str, Any]:
        return {"answers": ["Four words it says."], "tokens_per_second": 100}


class TestScriptedApartConformance(TestScriptedConformance):
    """The same in a process of its own."""

    isolation = "process"


class TestScriptedJsonConformance(TestScriptedConformance):
    """One whose script has answers for an output schema."""

    def options(self) -> dict[str, Any]:
        return {"answers": ['{"choice": "agent1"}']}


async def _in_pieces(question: str) -> AsyncIterator[str]:
    for piece in (question, "\n\t", "So ", "be it.\n"):
        await anyio.sleep(0.002)
        yield piece


class TestPlainFunctionConformance(AgentConformance):
    """A function that is called in a thread."""

    function: Callable[..., Any] = staticmethod(at_once)

    def adapter(self) -> AdapterSpec:
        (spec,) = python.bridge_adapters()
        return spec

    def options(self) -> dict[str, Any]:
        return {"function": "own.py:answer"}

    def load(self, path: str) -> Any:
        return {"own.py:answer": self.function}[path]


class TestFunctionApartConformance(TestPlainFunctionConformance):
    """A function in a process of its own."""

    isolation = "process"

    def options(self) -> dict[str, Any]:
        return {"function": "kinds.functions:at_once"}


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


class _Person:
    """Somebody who takes a moment to reply, always in the same words."""

    async def __call__(self, question: Question, /) -> Reply:
        await anyio.sleep(0.01)
        return Written(text=f"To {question.wish!r}:\n\tso be it.\n")


class TestHumanConformance(AgentConformance):
    """A person, with a scripted one behind the channel."""

    def adapter(self) -> AdapterSpec:
        (spec,) = human.bridge_adapters()

        @wraps(spec.factory)  # it stands for the factory, its module included
        def make(context: AgentContext) -> Agent:
            return spec.factory(replace(context, ask=Desk(_Person(), at_once=100)))

        return replace(spec, factory=make)

    def options(self) -> dict[str, Any]:
        return {"time_limit_s": 60}
