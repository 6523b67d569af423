"""A kind of agents that goes wrong as its option says."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable
from typing import Literal

import anyio
from pydantic import Field

from massgen_bridge import (
    AdapterSpec,
    Agent,
    AgentContext,
    AgentCrashed,
    Capabilities,
    Emit,
    NoOptions,
    Turn,
    TurnResult,
    assistant,
    hookimpl,
)


class FaultyOptions(NoOptions):
    fault: Literal[
        "", "blocks", "exits", "hangs", "interrupts", "loops", "forgets", "spawns", "tells"
    ] = Field(default="", description="What goes wrong; nothing by default.")
    text: str = Field(default="", description="What an error tells; where to write a number.")


class Faulty:
    def __init__(self, options: FaultyOptions) -> None:
        self._options = options

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        del emit
        Capabilities(streaming=False).check(turn)
        match self._options.fault:
            case "blocks":
                time.sleep(0.01)  # noqa: ASYNC251 - on purpose
            case "exits":
                os._exit(7)
            case "hangs":
                await anyio.sleep_forever()
            case "interrupts":
                raise KeyboardInterrupt("pressed by itself")
            case "loops":
                while True:
                    pass
            case "spawns":
                sys.stdout.write("this is no event\n")
                process = await anyio.open_process(["sleep", "600"])
                await anyio.Path(self._options.text).write_text(str(process.pid))
            case "tells":
                raise AgentCrashed(f"{__file__}: {self._options.text}")
            case _:
                pass
        message = assistant(f"You ask: {turn.question}")
        kept = () if self._options.fault == "forgets" else (message,)
        return TurnResult(message=message, new_messages=kept)

    async def aclose(self) -> None:
        pass


def _make(context: AgentContext) -> Agent:
    return Faulty(context.options)


@hookimpl
def bridge_adapters() -> Iterable[AdapterSpec]:
    yield AdapterSpec(
        kind="faulty",
        summary="Goes wrong.",
        factory=_make,
        options=FaultyOptions,
        capabilities=Capabilities(streaming=False),
    )
    yield AdapterSpec(
        kind="unmet",
        summary="Needs a framework that nobody has.",
        factory=_make,
        requires=("no-such-framework>=3",),
    )
