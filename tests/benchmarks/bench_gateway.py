"""What the gateway costs: the same calls through it and straight to a server without latency.

A call is made by OpenAI's SDK over a kept connection, with the gateway's server in the same event
loop, as in a run. Many streams are read by a process of its own, which takes the time of every
piece: a stall is the longest time beyond the server's pace that any stream had to wait for one.
"""

from __future__ import annotations

import asyncio
import gc
import json
import statistics
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio
import openai
from anyio import to_process
from benchmarks.measuring import figure
from benchmarks.one_call import QUESTION

from massgen_bridge.agent import Limits
from massgen_bridge.models.connections import ConnectionPool
from massgen_bridge.models.retry import ModelCalls
from massgen_bridge.testing.agents import TEST_KEY, collect, connection_to
from massgen_bridge.testing.servers import ModelServerProcess

if TYPE_CHECKING:
    from benchmarks.measuring import Figure

    from massgen_bridge import Connection

__all__ = ["SMALL", "measure", "read_streams"]

SMALL = {"streams": 3, "rounds": 1, "tokens": 5}
"""Arguments that make `measure` quick."""

_TOKENS = 100
_CALLS = 10
_PACE = 10.0
_START_S = 1.0  # in which all streams are opened, one after the other
_LIMITS = Limits(max_model_calls=1_000_000)


def measure(
    pairs: int = 20, *, streams: int = 200, rounds: int = 3, tokens: int = 40
) -> list[Figure]:
    """Measure the gateway.

    Args:
        pairs: How often both sides take their turn.
        streams: How many run at the same time.
        rounds: How often they do.
        tokens: Of each of them.
    """
    with ModelServerProcess() as server:
        figures = anyio.run(_calls, server, pairs)
    with ModelServerProcess(tokens_per_second=_PACE) as server:
        return [*figures, anyio.run(_streams, server, streams, rounds, tokens)]


async def _calls(server: ModelServerProcess, pairs: int) -> list[Figure]:
    real = connection_to(server, model=f"tokens-{_TOKENS}")
    async with ConnectionPool({}, {}, {}) as pool:
        gateway = await pool.gateway()
        async with (
            gateway.admit(
                agent_id="agent",
                turn_id="turn",
                connection=real,
                call_model=ModelCalls(real),
                emit=collect(),
                limits=_LIMITS,
            ) as inner,
            _client(real) as direct,
            _client(inner) as through,
        ):
            first, whole, details = await _differences(pairs, through, direct, real.model)
    versions: dict[str, Any] = {"openai": openai.__version__, **details}
    return [
        figure(
            "gateway_first_token",
            "first token through the gateway over direct, milliseconds",
            first,
            goal=3,
            **versions,
        ),
        figure(
            "gateway_100_tokens",
            "call of 100 tokens through the gateway over direct, milliseconds",
            whole,
            goal=5,
            **versions,
        ),
    ]


async def _differences(
    pairs: int, through: openai.AsyncOpenAI, direct: openai.AsyncOpenAI, model: str
) -> tuple[list[float], list[float], dict[str, float]]:
    first: list[float] = []
    whole: list[float] = []
    bare: list[float] = []
    for number in range(-1, pairs):
        sides = [through, direct] if number % 2 else [direct, through]
        taken = {id(side): await _taken(side, model) for side in sides}
        if number < 0:
            continue  # warms both up
        ours, theirs = taken[id(through)], taken[id(direct)]
        first.append(1000 * (ours[0] - theirs[0]))
        whole.append(1000 * (ours[1] - theirs[1]))
        bare.append(1000 * theirs[1])
    return first, whole, {"direct_wall_ms": round(statistics.median(bare), 3)}


async def _taken(client: openai.AsyncOpenAI, model: str) -> tuple[float, float]:
    """Seconds to the first token and to the end, a call."""
    gc.collect()  # nobody pays for what the other left behind
    first = whole = 0.0
    for _ in range(_CALLS):
        start = time.perf_counter()
        stream = await client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": QUESTION}],
            stream=True,
            stream_options={"include_usage": True},
        )
        seen = 0.0
        async for chunk in stream:
            if not seen and chunk.choices and chunk.choices[0].delta.content:
                seen = time.perf_counter()
        first += seen - start
        whole += time.perf_counter() - start
    return first / _CALLS, whole / _CALLS


async def _streams(server: ModelServerProcess, streams: int, rounds: int, tokens: int) -> Figure:
    real = connection_to(server, model=f"tokens-{tokens}")
    stalls: dict[str, list[float]] = {"through": [], "direct": []}
    lags: list[float] = []
    async with ConnectionPool({}, {}, {}) as pool:
        gateway = await pool.gateway()
        async with gateway.admit(
            agent_id="agent",
            turn_id="turn",
            connection=real,
            call_model=ModelCalls(real),
            emit=collect(),
            limits=_LIMITS,
        ) as inner:
            for _ in range(rounds):
                for name, connection in (("through", inner), ("direct", real)):
                    gc.collect()
                    async with anyio.create_task_group() as tasks:
                        if name == "through":
                            tasks.start_soon(_watch_lag, lags)
                        key = connection.api_key
                        longest = await to_process.run_sync(
                            read_streams,
                            f"{connection.base_url}/chat/completions",
                            key.get_secret_value() if key else "",
                            real.model,
                            streams,
                        )
                        tasks.cancel_scope.cancel()
                    stalls[name].append(1000 * longest)
    return figure(
        "gateway_stall",
        f"longest stall of {streams} streams at once of {_PACE:g} tokens a second each through the "
        "gateway, milliseconds",
        stalls["through"],
        goal=50,
        direct_ms=round(statistics.median(stalls["direct"]), 3),
        longest_lag_of_the_loop_ms=round(1000 * max(lags), 3),
    )


async def _watch_lag(lags: list[float]) -> None:
    while True:
        before = time.perf_counter()
        await anyio.sleep(0.002)
        lags.append(time.perf_counter() - before - 0.002)


def read_streams(url: str, key: str, model: str, streams: int) -> float:
    """Read many streams at once; in a process of its own.

    Returns:
        Seconds beyond the server's pace that a stream had to wait for a piece, at most.
    """
    return asyncio.run(_read_streams(url, key, model, streams))


async def _read_streams(url: str, key: str, model: str, streams: int) -> float:
    gaps: list[float] = []
    async with anyio.create_task_group() as tasks:
        for _ in range(streams):
            tasks.start_soon(_read_stream, url, key, model, gaps)
            await anyio.sleep(_START_S / streams)
    return max(gaps) - 1 / _PACE


async def _read_stream(url: str, key: str, model: str, gaps: list[float]) -> None:
    parts = urlsplit(url)
    body = json.dumps(
        {
            "model": model,
            "messages": [{"role": "user", "content": QUESTION}],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    )
    head = (
        f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write((head + body).encode())
    last = 0.0
    data = b""
    while not data.endswith(b"0\r\n\r\n"):
        data = await reader.read(65536)
        if not data:
            raise AssertionError("a stream broke off")
        now = time.perf_counter()
        if last:
            gaps.append(now - last)
        last = now
    writer.close()


def _client(connection: Connection) -> openai.AsyncOpenAI:
    key = connection.api_key.get_secret_value() if connection.api_key else TEST_KEY
    return openai.AsyncOpenAI(base_url=connection.base_url, api_key=key, max_retries=0)
