"""What a process of its own costs an agent: its start, its first token, and a fast stream.

- Start: CPU time of a worker from its start to its end, with an agent of a kind that needs no
  framework made in it, over that of a process that imports OpenAI's SDK.
- First token: from the call of `run` to the first `TextDelta` of a scripted agent, in a worker that
  is there, less the same in the host's own process.
- Stream: small deltas a second from one worker, as the host's `emit` takes them.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import openai
from benchmarks.measuring import figure

from massgen_bridge.events import TextDelta
from massgen_bridge.isolation.agent import WorkerAgent, WorkerSetup
from massgen_bridge.isolation.launching import launch_of
from massgen_bridge.isolation.placement import Placement
from massgen_bridge.isolation.wire import AgentParams
from massgen_bridge.kinds import scripted
from massgen_bridge.testing.agents import make_agent, turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.measuring import Figure

    from massgen_bridge import Agent, TurnEvent

__all__ = ["SMALL", "deltas", "measure"]

SMALL = {"count": 500}

_FUNCTION = "python"
_SCRIPT = {"answers": ["A word."]}


async def deltas(question: str) -> Any:
    """Say so many small pieces as the question names."""
    for _ in range(int(question)):
        yield "word "


def measure(pairs: int = 20, count: int = 50_000) -> list[Figure]:
    """Measure all three.

    Args:
        pairs: How often each is measured.
        count: Deltas of the stream.
    """
    with tempfile.TemporaryDirectory() as folder:
        return [
            anyio.run(_starts, folder, min(pairs, 10)),
            anyio.run(_first_tokens, folder, pairs),
            anyio.run(_streams, folder, min(pairs, 10), count),
        ]


def _apart(folder: str, kind: str, options: dict[str, Any]) -> WorkerAgent:
    place = Placement(mode="process", module=f"massgen_bridge.kinds.{kind}")
    params = AgentParams(
        module=place.module,
        kind=kind,
        agent_id="agent",
        options=options,
        base_dir=folder,
        workspace=folder,
    )
    return WorkerAgent(WorkerSetup(params=params, launch=partial(launch_of, place, kind)))


async def _starts(folder: str, pairs: int) -> Figure:
    ratios, starts, imports = [], [], []
    for _ in range(pairs + 1):
        agent = _apart(folder, "scripted", _SCRIPT)
        starts.append(await _cpu_of_children(partial(_live, agent)))
        imports.append(await _cpu_of_children(_import_openai))
        ratios.append(starts[-1] / imports[-1])
    return figure(
        "worker_start",
        "start of a worker / `import openai`, CPU time",
        ratios[1:],
        goal=0.5,
        ours_cpu_ms=round(1000 * sorted(starts)[len(starts) // 2]),
        bare_cpu_ms=round(1000 * sorted(imports)[len(imports) // 2]),
        openai=openai.__version__,
    )


async def _live(agent: WorkerAgent) -> None:
    await _first(agent)
    await agent.aclose()


async def _import_openai() -> None:
    await anyio.run_process([sys.executable, "-c", "import openai"], stdin=subprocess.DEVNULL)


async def _cpu_of_children(work: Callable[[], Any]) -> float:
    """CPU seconds of the processes that the work started, and that have ended."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    await work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


async def _first(agent: Agent) -> float:
    """Seconds to the first delta of a turn."""
    began, first = time.perf_counter(), 0.0

    async def emit(event: TurnEvent, /) -> None:
        nonlocal first
        if not first and isinstance(event, TextDelta):
            first = time.perf_counter() - began

    await agent.run(turn("Which?"), emit)
    return first


async def _first_tokens(folder: str, pairs: int) -> Figure:
    (spec,) = scripted.bridge_adapters()
    here, apart = make_agent(spec, _SCRIPT, None), _apart(folder, "scripted", _SCRIPT)
    await _first(here)
    await _first(apart)
    more = []
    for _ in range(pairs):
        theirs = await _first(apart)
        more.append(1000 * (theirs - await _first(here)))
    await apart.aclose()
    return figure(
        "worker_first_token", "first token from a worker less in process, ms", more, goal=5.0
    )


async def _streams(folder: str, pairs: int, count: int) -> Figure:
    agent = _apart(folder, _FUNCTION, {"function": f"{__name__}:deltas"})
    taken = 0

    async def emit(event: TurnEvent, /) -> None:
        nonlocal taken
        taken += isinstance(event, TextDelta)

    rates = []
    for _ in range(pairs + 1):
        taken, began = 0, time.perf_counter()
        await agent.run(turn(str(count)), emit)
        rates.append(taken / (time.perf_counter() - began))
        if taken < count:
            raise AssertionError(f"{taken} deltas came of {count}")
    await agent.aclose()
    return figure(
        "worker_deltas",
        "small deltas a second from one worker",
        rates[1:],
        goal=20_000,
        sense="at least",
    )
