"""What a vote in stages costs: prompt tokens over all-to-all, wall time over the bare SDK.

Agents of kind `openai` answer with 400 tokens each, rank seven answers at most by tool, stage by
stage, until the run-off; all of it goes to the journal on disk. The bare side sends the very
requests that our side sent, those of one stage at the same time, through as many clients. Prompt
tokens are those that the server counted. All-to-all is what the same agents would be sent if each
were shown all answers: one such prompt is sent, and counts for every agent.
"""

from __future__ import annotations

import os
import statistics
from typing import TYPE_CHECKING, Any

import anyio
from benchmarks.bare_sdk import ask_all, new_client
from benchmarks.measuring import figure, in_turns, own_data_folder, ratios
from benchmarks.model_server import model_server

import massgen_bridge
from massgen_bridge import ballots
from massgen_bridge.agent import ShownAnswer
from massgen_bridge.messages import user
from massgen_bridge.strategies.designs import schedule
from massgen_bridge.strategy import StartTurn
from massgen_bridge.testing.agents import TEST_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.measuring import Figure
    from benchmarks.model_server import ServerHandle

    from massgen_bridge.events import RunResult

__all__ = ["SMALL", "measure"]

SMALL: Mapping[str, Any] = {"sizes": (8, 9)}
"""Arguments that make `measure` quick; the figures then say nothing."""

_QUESTION = "How many words does it take?"
_BALLOT = 7
_TOKENS = 400
_LATENCY_S = 0.3
_AGENTS_PER_CLIENT = 50
_GOALS = (0.25, 0.1)


def measure(pairs: int = 20, *, sizes: tuple[int, int] = (100, 300)) -> list[Figure]:
    """Measure votes in stages.

    Args:
        pairs: How often both sides take their turn.
        sizes: How many agents; the wall time is measured of the first.
    """
    os.environ["BENCHMARK_KEY"] = TEST_KEY
    figures = []
    for place, agents in enumerate(sizes):
        with model_server(_LATENCY_S) as server, own_data_folder():
            figures += anyio.run(_measure, server, agents, 0 if place else pairs, _GOALS[place])
    return figures


async def _measure(server: ServerHandle, agents: int, pairs: int, goal: float) -> list[Figure]:
    runs: list[RunResult] = []

    async def ours() -> None:
        runs.append(await massgen_bridge.arun(_config(server.url, agents), _QUESTION))

    await ours()
    waves = [agents] * (1 + len(schedule(agents, agents, _BALLOT)))
    bodies = server.bodies()
    figures = []
    if pairs:

        async def bare() -> None:
            clients = -(-agents // _AGENTS_PER_CLIENT)
            made = [new_client(server.url, connections=agents // clients) for _ in range(clients)]
            start = 0
            for wave in waves:
                await ask_all(made, bodies[start : start + wave])
                start += wave
            for client in made:
                await client.close()

        samples = await in_turns(pairs, ours, bare)
        walls, details = ratios(samples)
        bound = len(waves) * _LATENCY_S
        figures.append(
            figure(
                f"staged_{agents}_agents",
                f"{agents} agents, ballots of {_BALLOT}, in stages, 0.3 s a call"
                " / bare SDK making the same calls",
                walls,
                goal=1.10,
                over_latency_bound=round(statistics.median(s.wall / bound for s, _ in samples), 3),
                **details,
            )
        )
    whole = agents * await _tokens_of(server, agents)
    first = agents * await _tokens_of(server, 0)
    for run in runs:
        if run.calls != sum(waves) or run.status != "answered" or len(run.votes) != agents:
            raise AssertionError(f"expected {sum(waves)} calls and {agents} votes: {run.calls}")
    figures.append(
        figure(
            f"staged_{agents}_agents_tokens",
            f"prompt tokens of {agents} agents, ballots of {_BALLOT}, in stages / all-to-all",
            [run.usage.input_tokens / (first + whole) for run in runs],
            goal=goal,
            staged_tokens=runs[0].usage.input_tokens,
            all_to_all_tokens=first + whole,
            calls=runs[0].calls,
        )
    )
    return figures


async def _tokens_of(server: ServerHandle, answers: int) -> int:
    """What the server counts of a prompt in which so many answers are shown to be voted on."""
    words = "".join(f" word{index}" for index in range(_TOKENS - 1))
    shown = tuple(
        ShownAnswer(label=f"agent{number}", version=1, text=f"model{number}#{_TOKENS}:{words}")
        for number in range(1, answers + 1)
    )
    purpose: Any = "evaluate" if shown else "answer"
    command = StartTurn(turn_id="a.2", agent_id="a", purpose=purpose, shown=shown)
    draft = ballots.compose(command, user(_QUESTION), system="", way="text", mark="0" * 8)
    async with new_client(server.url, connections=1) as client:
        done = await client.chat.completions.create(
            model="model1", messages=[{"role": "user", "content": draft.messages[-1].text}]
        )
    if done.usage is None:
        raise AssertionError("the model server counted nothing")
    return done.usage.prompt_tokens


def _config(url: str, agents: int) -> dict[str, Any]:
    return {
        "version": 1,
        "models": {
            f"model{number}": {
                "provider": "openai",
                "model": f"model{number}#{_TOKENS}",
                "base_url": url,
                "api_key": "${BENCHMARK_KEY}",
            }
            for number in range(1, agents + 1)
        },
        "agents": [
            {"id": f"ada{number}", "backend": {"type": "openai", "model": f"model{number}"}}
            for number in range(1, agents + 1)
        ],
        "strategy": {"type": "consensus", "ballot_size": _BALLOT},
    }
