"""An adapter whose agents do what the question says: for the tests of workers, which import it."""

# ruff: noqa: ASYNC220, ASYNC221, ASYNC240, ASYNC251 - it misbehaves on purpose

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio

from massgen_bridge import (
    AdapterSpec,
    AgentContext,
    Capabilities,
    Emit,
    RateLimited,
    TextDelta,
    ToolCall,
    Turn,
    TurnResult,
    assistant,
    hookimpl,
)

__all__ = ["bridge_adapters"]


class Unruly:
    """Its question is a word and, behind it, what the word needs."""

    def __init__(self, context: AgentContext) -> None:
        self._context = context

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        word, _, rest = turn.question.partition(" ")
        deed: Callable[[str, Turn, Emit], Awaitable[str]] = getattr(self, f"do_{word}")
        message = assistant(await deed(rest, turn, emit))
        return TurnResult(message=message, new_messages=(message,))

    async def aclose(self) -> None:
        if self._context.agent_id == "stubborn":
            time.sleep(600)

    async def do_say(self, rest: str, turn: Turn, emit: Emit) -> str:
        del turn
        await emit(TextDelta(text=rest))
        return rest

    async def do_deltas(self, rest: str, turn: Turn, emit: Emit) -> str:
        del turn
        for number in range(int(rest)):
            await emit(TextDelta(text=f"{number} "))
        return rest

    async def do_large_deltas(self, rest: str, turn: Turn, emit: Emit) -> str:
        del turn
        for number in range(int(rest)):
            await emit(TextDelta(text="x" * 10_000))
            Path(self._context.workspace(), "sent").write_text(str(number + 1))
        return rest

    async def do_media(self, rest: str, turn: Turn, emit: Emit) -> str:
        del rest, emit
        sizes = [len(p.data or b"") for m in turn.messages for p in m.parts if p.type == "image"]
        return json.dumps(sizes)

    async def do_environment(self, rest: str, turn: Turn, emit: Emit) -> str:
        del rest, turn, emit
        return json.dumps(dict(os.environ))

    async def do_descriptors(self, rest: str, turn: Turn, emit: Emit) -> str:
        del rest, turn, emit
        found = {}
        for link in Path("/proc/self/fd").iterdir():
            try:
                found[int(link.name)] = str(link.readlink())
            except OSError:
                continue
        return json.dumps(found)

    async def do_pid(self, rest: str, turn: Turn, emit: Emit) -> str:
        del rest, turn, emit
        return str(os.getpid())

    async def do_exit(self, rest: str, turn: Turn, emit: Emit) -> str:
        del turn, emit
        sys.stderr.write("the last words\n")
        os._exit(int(rest))

    async def do_die(self, rest: str, turn: Turn, emit: Emit) -> str:
        del rest, turn, emit
        os.kill(os.getpid(), signal.SIGKILL)
        return ""

    async def do_raise(self, rest: str, turn: Turn, emit: Emit) -> str:
        del turn, emit
        raise LookupError(rest)

    async def do_rate_limit(self, rest: str, turn: Turn, emit: Emit) -> str:
        del turn, emit
        raise RateLimited("slow down", agent_id="somebody", retry_after_s=float(rest))

    async def do_block(self, rest: str, turn: Turn, emit: Emit) -> str:
        del turn
        await emit(TextDelta(text="blocked"))
        await anyio.sleep(0.01)
        time.sleep(float(rest))
        return "over"

    async def do_wait(self, rest: str, turn: Turn, emit: Emit) -> str:
        del turn
        await emit(TextDelta(text="waiting"))
        await anyio.sleep(float(rest))
        return str(os.getpid())

    async def do_children(self, rest: str, turn: Turn, emit: Emit) -> str:
        """Start children, grandchildren, and one that cuts itself off; say who they are."""
        del rest, turn
        code = (
            "import os, subprocess, sys, time\n"
            "sleep = [sys.executable, '-c', 'import time; time.sleep(600)']\n"
            "grandchild = subprocess.Popen(sleep)\n"
            "print(os.getpid(), grandchild.pid, flush=True)\n"
            "time.sleep(600)\n"
        )
        pids = []
        for cut_off in (False, True):
            child = subprocess.Popen(
                [sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=cut_off
            )
            assert child.stdout is not None
            pids += [int(pid) for pid in child.stdout.readline().split()]
        await emit(TextDelta(text=json.dumps([os.getpid(), os.getppid(), *pids])))
        await anyio.sleep_forever()
        return ""

    async def do_print(self, rest: str, turn: Turn, emit: Emit) -> str:
        del turn, emit
        sys.stdout.write(f"out {rest}\n")
        sys.stderr.write(f"err {rest}\n")
        os.write(1, f"raw {rest}\n".encode())
        libc = ctypes.CDLL(None)
        libc.puts(f"c {rest}".encode())
        libc.fflush(None)
        subprocess.run([sys.executable, "-c", f"print('child {rest}')"], check=True)
        return "printed"

    async def do_storm(self, rest: str, turn: Turn, emit: Emit) -> str:
        del turn, emit
        for number in range(int(rest)):
            sys.stdout.write(f"line {number} {'=' * 80}\n")
        return "calm"

    async def do_tool(self, rest: str, turn: Turn, emit: Emit) -> str:
        del emit
        call = ToolCall(call_id="1", name="look", arguments={"at": rest})
        return (await turn.call_tool(call)).content

    async def do_tool_within(self, rest: str, turn: Turn, emit: Emit) -> str:
        del emit
        call = ToolCall(call_id="1", name="look", arguments={"at": "a clock"})
        with anyio.move_on_after(float(rest)):
            return (await turn.call_tool(call)).content
        return "given up"

    async def do_nonsense(self, rest: str, turn: Turn, emit: Emit) -> str:
        """Write to what leads to the host."""
        del turn, emit
        for number in range(3, 64):
            try:
                if str(Path(f"/proc/self/fd/{number}").readlink()).startswith("socket:"):
                    os.write(number, rest.encode() * 100)
            except OSError:
                continue
        await anyio.sleep(60)
        return ""

    async def do_emit_nonsense(self, rest: str, turn: Turn, emit: Emit) -> str:
        del rest, turn
        await emit("no event")  # type: ignore[arg-type]  # that is the point
        return ""

    async def do_write(self, rest: str, turn: Turn, emit: Emit) -> str:
        del turn, emit
        path = self._context.workspace() / "file.txt"
        path.write_text(rest)
        return str(path)


@hookimpl
def bridge_adapters() -> list[AdapterSpec]:
    able = Capabilities(tools=True, inputs=frozenset({"image"}))
    return [
        AdapterSpec(kind="unruly", summary="Does as it is told.", factory=Unruly, capabilities=able)
    ]
