"""Many runs at a provider of which every fifth answer is a fault."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import massgen_bridge
from massgen_bridge.events import ModelRetried, Record, TextDelta
from massgen_bridge.testing.servers import Disconnect, Hang, HttpError, ModelServer, Text

if TYPE_CHECKING:
    from massgen_bridge.connection import Protocols
    from massgen_bridge.events import RunResult
    from massgen_bridge.testing.servers import Reply, Script

pytestmark = pytest.mark.anyio

_RUNS = 24
_ANSWER = Text("The answer comes once and whole.")
_FAULTS: tuple[Reply, ...] = (
    HttpError(status=429, headers=(("retry-after-ms", "20"),)),
    HttpError(status=503),
    Disconnect(),
    Disconnect(after=3, answer=_ANSWER),
    Hang(after=2, answer=_ANSWER),
)


def _faulty(seed: int) -> Script:
    chance = random.Random(seed)  # noqa: S311 - which call fails is no secret
    return lambda _request: chance.choice(_FAULTS) if chance.random() < 0.2 else _ANSWER


def _sockets() -> int:
    """How many this process has open; none where the system does not tell."""
    folder = Path("/proc/self/fd")

    def is_socket(one: Path) -> bool:
        try:
            return str(one.readlink()).startswith("socket:")
        except OSError:  # closed meanwhile
            return False

    return sum(is_socket(one) for one in folder.iterdir()) if folder.is_dir() else 0


@pytest.mark.parametrize("kind", ["anthropic", "openai"])
async def test_faults_cost_neither_answers_nor_sockets_and_no_text_comes_twice(kind: str) -> None:
    protocol: Protocols = "messages" if kind == "anthropic" else "chat"
    results: list[RunResult] = []
    texts: list[str] = []
    retries: list[str] = []
    with ModelServer(_faulty(6)) as server:
        config: dict[str, Any] = {
            "version": 1,
            "models": {
                "m": {
                    "provider": "vllm",
                    "model": "m",
                    "base_url": server.base_url(protocol),
                    "timeout_s": 0.5,
                    "retry": {"attempts": 6, "base_s": 0.01},
                }
            },
            "agents": [{"id": "ada", "backend": {"type": kind, "model": "m"}}],
            "strategy": "single",
        }

        async def play() -> None:
            records: list[Record] = []
            results.append(
                await massgen_bridge.arun(config, "?", keep=False, on_record=records.append)
            )
            retried = [at for at, one in enumerate(records) if isinstance(one.event, ModelRetried)]
            counted = [one.event for one in records[max(retried, default=0) :]]
            texts.append("".join(one.text for one in counted if isinstance(one, TextDelta)))
            retries.extend(one.event.kind for one in records if isinstance(one.event, ModelRetried))

        await play()  # what is imported and opened once
        before = _sockets()
        for _ in range(_RUNS // 8):
            async with anyio.create_task_group() as group:
                for _ in range(8):
                    group.start_soon(play)
        # The server of the test is in this process: its ends close a moment after ours.
        with anyio.move_on_after(10):
            while _sockets() > before:  # noqa: ASYNC110 - nothing tells when a socket closes
                await anyio.sleep(0.02)
        after = _sockets()
    assert [one.answer for one in results] == [_ANSWER.text] * (_RUNS + 1)
    assert texts == [_ANSWER.text] * (_RUNS + 1)
    assert len(retries) >= 3
    assert after <= before
