"""Runs at a provider of which every fifth answer is a fault, and what came of them."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

import massgen_bridge
from massgen_bridge.events import ModelRetried, Record, TextDelta
from massgen_bridge.testing.servers import Disconnect, Hang, HttpError, ModelServer, Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from massgen_bridge.connection import Protocols
    from massgen_bridge.events import RunResult
    from massgen_bridge.testing.servers import Reply, Script

__all__ = ["PROTOCOLS", "Tally", "play"]

PROTOCOLS: dict[str, Protocols] = {"anthropic": "messages", "gemini": "gemini", "openai": "chat"}
"""The kinds of agents that can play, and what they speak."""

_ANSWER = Text("The answer comes once and whole.")
_FAULTS: tuple[Reply, ...] = (
    HttpError(status=429, headers=(("retry-after-ms", "20"),)),
    HttpError(status=503),
    Disconnect(),
    Disconnect(after=3, answer=_ANSWER),
    Hang(after=2, answer=_ANSWER),
)
_SHARE = 0.2
_AT_ONCE = 8
_PATIENCE_S = 10.0


@dataclass(kw_only=True)
class Tally:
    """What came of the runs.

    Attributes:
        answered: Runs with the right answer, whose text came once.
        failed: Runs that failed, and said so by one error.
        doubled: Runs in which text came that does not belong to the answer, or twice.
        unclear: Descriptions of all others.
        leaked: Sockets that were open after the runs, and were not before.
        retries: How often a call was made again, by the kind of its failure.
    """

    answered: int = 0
    failed: int = 0
    doubled: int = 0
    unclear: list[str] = field(default_factory=list)
    leaked: int = 0
    retries: Counter[str] = field(default_factory=Counter)

    def add(self, result: RunResult, records: Sequence[Record]) -> None:
        """Take in a run."""
        retried = [at for at, one in enumerate(records) if isinstance(one.event, ModelRetried)]
        self.retries.update(
            one.event.kind for one in records if isinstance(one.event, ModelRetried)
        )
        counted = [one.event for one in records[max(retried, default=0) :]]
        text = "".join(one.text for one in counted if isinstance(one, TextDelta))
        if result.status == "answered" and result.answer == text == _ANSWER.text:
            self.answered += 1
        elif not _ANSWER.text.startswith(text) or result.answer not in {None, _ANSWER.text}:
            self.doubled += 1
        elif result.status == "failed" and len(result.errors) == 1 and result.errors[0].message:
            self.failed += 1
        else:
            self.unclear.append(f"{result.status}: {result.errors!r}")


async def play(kind: str, runs: int, *, seed: int) -> Tally:
    """Play the runs, eight at a time.

    Args:
        kind: That of the only agent.
        runs: How many.
        seed: Decides which calls fail, and how.
    """
    tally = Tally()
    with ModelServer(_faulty(seed)) as server:
        config = _config(kind, server.base_url(PROTOCOLS[kind]))

        async def run() -> None:
            records: list[Record] = []
            given = await massgen_bridge.arun(config, "?", keep=False, on_record=records.append)
            tally.add(given, records)

        async def some(count: int) -> None:
            for _ in range(count):
                await run()

        await run()  # what is imported and opened once
        before = _sockets()
        left = runs - 1
        async with anyio.create_task_group() as tasks:
            for number in range(_AT_ONCE):
                tasks.start_soon(some, (left + number) // _AT_ONCE)
        # The server is in this process: its ends close a moment after ours.
        with anyio.move_on_after(_PATIENCE_S):
            while _sockets() > before:  # noqa: ASYNC110 - nothing tells when a socket closes
                await anyio.sleep(0.02)
        tally.leaked = max(0, _sockets() - before)
    return tally


def _faulty(seed: int) -> Script:
    chance = random.Random(seed)  # noqa: S311 - which call fails is no secret
    return lambda _request: chance.choice(_FAULTS) if chance.random() < _SHARE else _ANSWER


def _config(kind: str, base_url: str) -> dict[str, Any]:
    return {
        "version": 1,
        "models": {
            "m": {
                "provider": "gemini" if kind == "gemini" else "vllm",
                "model": "m",
                "base_url": base_url,
                "timeout_s": 0.5,
                "retry": {"attempts": 6, "base_s": 0.01},
            }
        },
        "agents": [{"id": "ada", "backend": {"type": kind, "model": "m"}}],
        "strategy": "single",
    }


def _sockets() -> int:
    """How many this process has open; none where the system does not tell."""
    folder = Path("/proc/self/fd")

    def is_socket(one: Path) -> bool:
        try:
            return str(one.readlink()).startswith("socket:")
        except OSError:  # closed meanwhile
            return False

    return sum(is_socket(one) for one in folder.iterdir()) if folder.is_dir() else 0
