"""A process with a worker in which children run; it says who they are and waits to be killed."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio

sys.path.insert(0, str(Path(__file__).parents[1]))

from isolation.workers import unruly

from massgen_bridge import TextDelta, TurnEvent
from massgen_bridge.testing.agents import turn


async def main() -> None:
    async def say(event: TurnEvent, /) -> None:
        if isinstance(event, TextDelta):
            sys.stdout.write(f"{event.text}\n")
            sys.stdout.flush()

    async with unruly(Path(sys.argv[1])) as agent:
        await agent.run(turn("children"), say)


anyio.run(main)
