"""A kind that prints wherever it can."""

# ruff: noqa: T201 - on purpose

import atexit
import ctypes
import os
import subprocess
import sys
from collections.abc import Iterable

from massgen_bridge import (
    AdapterSpec,
    AgentContext,
    Capabilities,
    Emit,
    NoOptions,
    Turn,
    TurnResult,
    assistant,
    hookimpl,
)

print("NOISE at import")


class Printing:
    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        del emit
        Capabilities(streaming=False).check(turn)
        print("NOISE in a turn")
        atexit.register(print, "NOISE at exit")
        assert sys.__stdout__ is not None
        sys.__stdout__.write("NOISE of another kind\n")
        os.write(1, b"NOISE through the descriptor\n")
        ctypes.CDLL(None).puts(b"NOISE in C")
        ctypes.CDLL(None).fflush(None)
        subprocess.run(["echo", "NOISE of a child"], check=True)  # noqa: ASYNC221 - on purpose
        message = assistant("Quiet.")
        return TurnResult(message=message, new_messages=(message,))

    async def aclose(self) -> None:
        pass


def _make(context: AgentContext) -> Printing:
    del context
    return Printing()


@hookimpl
def bridge_adapters() -> Iterable[AdapterSpec]:
    print("NOISE in a hook")
    yield AdapterSpec(
        kind="printing",
        summary="Prints.",
        factory=_make,
        options=NoOptions,
        capabilities=Capabilities(streaming=False),
    )
