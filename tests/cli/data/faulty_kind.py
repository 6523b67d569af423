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
        "",
        "blocks",
        "exits",
        "forgets",
        "halves",
        "hangs",
        "interrupts",
        "loops",
        "shouts",
        "spawns",
        "tells",
        "wordless",
    ] = Field(default="", description="What goes wrong; nothing by default.")
    text: str = Field(default="", description="What an error tells; where to write a number.")


class WordlessError(Exception):
    def __str__(self) -> str:
        raise ValueError("there is nothing to say")


class Faulty:
    def __init__(self, options: FaultyOptions) -> None:
        self._options = options

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        del emit
        Capabilities(streaming=False).check(turn)
        error = _error(self._options)
        if error is not None:
            raise error
        match self._options.fault:
            case "blocks":
                time.sleep(0.01)  # noqa: ASYNC251 - on purpose
            case "exits":
                os._exit(7)
            case "hangs":
                await anyio.sleep_forever()
            case "loops":
                if self._options.text:
                    await anyio.Path(self._options.text).write_text(str(os.getpid()))
                while True:
                    pass
            case "spawns":
                sys.stdout.write("this is no event\n")
                process = await anyio.open_process(["sleep", "600"])
                await anyio.Path(self._options.text).write_text(str(process.pid))
            case _:
                pass
        message = assistant(f"You ask: {turn.question}")
        kept = () if self._options.fault == "forgets" else (message,)
        return TurnResult(message=message, new_messages=kept)

    async def aclose(self) -> None:
        pass


def _error(options: FaultyOptions) -> BaseException | None:
    match options.fault:
        case "halves":
            return AgentCrashed("half of \ud83d a character")
        case "interrupts":
            return KeyboardInterrupt("pressed by itself")
        case "shouts":
            return AgentCrashed("a" * 20_000_000)
        case "tells":
            return AgentCrashed(f"{__file__}: {options.text}")
        case "wordless":
            return WordlessError()
        case _:
            return None


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
