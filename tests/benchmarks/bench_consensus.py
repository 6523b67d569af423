"""What coordination costs: a consensus over the same model calls made by hand.

Our side is the whole product: a configuration is checked, plugins are found, agents of kind
`openai` answer in parallel, see each other's answers and vote by tool; all of it goes to the
journal on disk. The bare side sends the very requests that our side sent, the answers in parallel,
then the votes in parallel, through one client of the bare SDK.
"""

from __future__ import annotations

import os
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
from benchmarks.bare_sdk import ask_all, new_client
from benchmarks.measuring import figure, in_turns, own_data_folder, ratios
from benchmarks.model_server import model_server

import massgen_bridge
from massgen_bridge.testing.agents import TEST_KEY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.measuring import Figure
    from benchmarks.model_server import ServerHandle

    from massgen_bridge.events import RunResult

__all__ = ["measure"]


@dataclass(frozen=True, kw_only=True)
class _Scenario:
    """A team by the latencies of its models, in seconds, and what is promised of its run."""

    name: str
    what: str
    latencies: Sequence[float]
    goal: float
    runs: list[RunResult] = field(default_factory=list)

    @property
    def agents(self) -> int:
        return len(self.latencies)

    @property
    def bound_s(self) -> float:
        """Nothing is faster: an answer and a vote, one after the other, of the slowest model."""
        return 2 * max(self.latencies)


def _scenarios() -> tuple[_Scenario, ...]:
    return (
        _Scenario(
            name="consensus_3_agents",
            what="consensus of 3 agents, 0.3 s a call",
            latencies=(0.3,) * 3,
            goal=1.03,
        ),
        _Scenario(
            name="consensus_uneven_agents",
            what="consensus of 3 agents, 0.3, 0.5 and 0.8 s a call",
            latencies=(0.3, 0.5, 0.8),
            goal=1.05,
        ),
        _Scenario(
            name="consensus_10_agents",
            what="consensus of 10 agents, 0.3 s a call",
            latencies=(0.3,) * 10,
            goal=1.05,
        ),
    )


def measure(pairs: int = 20) -> list[Figure]:
    """Measure the consensus of several teams.

    Args:
        pairs: How often both sides take their turn.
    """
    os.environ["BENCHMARK_KEY"] = TEST_KEY
    figures = []
    for scenario in _scenarios():
        with model_server() as server, own_data_folder():
            figures += anyio.run(_measure, scenario, server, pairs)
    return figures


async def _measure(scenario: _Scenario, server: ServerHandle, pairs: int) -> list[Figure]:
    async def ours() -> None:
        config = _config(scenario, server.url)
        scenario.runs.append(await massgen_bridge.arun(config, "How many words does it take?"))

    await ours()
    bodies = server.bodies()

    async def bare() -> None:
        async with new_client(server.url, connections=scenario.agents) as client:
            await ask_all([client], bodies[: scenario.agents])
            await ask_all([client], bodies[scenario.agents :])

    samples = await in_turns(pairs, ours, bare)
    walls, details = ratios(samples)
    bound = scenario.bound_s
    return [
        figure(
            scenario.name,
            f"{scenario.what} / bare SDK making the same calls",
            walls,
            goal=scenario.goal,
            over_latency_bound=round(statistics.median(s.wall / bound for s, _ in samples), 3),
            bare_over_latency_bound=round(statistics.median(s.wall / bound for _, s in samples), 3),
            **details,
        ),
        figure(
            f"{scenario.name}_calls",
            f"model calls of a {scenario.what}",
            [run.calls for run in scenario.runs],
            goal=2 * scenario.agents,
            sense="exactly",
        ),
        figure(
            f"{scenario.name}_alike",
            f"runs with the same winner and one counted vote an agent, {scenario.what}",
            [sum(_essence(run) == _essence(scenario.runs[0]) for run in scenario.runs)],
            goal=_whole(scenario),
            sense="exactly",
        ),
    ]


def _whole(scenario: _Scenario) -> int:
    """How many runs there were; none may lack a vote."""
    for run in scenario.runs:
        if run.status != "answered" or len(run.votes) != scenario.agents:
            raise AssertionError(f"expected {scenario.agents} votes and an answer: {run}")
    return len(scenario.runs)


def _essence(run: RunResult) -> object:
    """What may not differ from run to run; votes come in the order in which they arrived."""
    votes = sorted((vote.voter, vote.label, vote.version) for vote in run.votes)
    return run.winner, run.answer, run.calls, votes, run.usage


def _config(scenario: _Scenario, url: str) -> dict[str, Any]:
    numbered = list(enumerate(scenario.latencies, 1))
    return {
        "version": 1,
        "models": {
            f"model{number}": {
                "provider": "openai",
                "model": f"model{number}@{latency}",
                "base_url": url,
                "api_key": "${BENCHMARK_KEY}",
            }
            for number, latency in numbered
        },
        "agents": [
            {"id": f"ada{number}", "backend": {"type": "openai", "model": f"model{number}"}}
            for number, _ in numbered
        ],
    }
