"""Running the code that a model writes: in the agent's workspace, and never longer than its turn.

AG2's own executor hands all environment variables to that code and cannot be stopped; this one
has its rules and its words, but neither of the two.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT
from typing import Final
from uuid import uuid4

import anyio
from anyio.abc import ByteReceiveStream, Process
from autogen.coding import CodeBlock, LocalCommandLineCodeExecutor, MarkdownCodeExtractor

from massgen_bridge import ToolCall, ToolResult
from massgen_bridge_ag2_classic._options import CodeExecutor

__all__ = ["CODE_TOOL", "CodeRunner"]

CODE_TOOL: Final = "run_code"
"""The name under which running code is told of."""

_SUFFIXES: Final = {"python": ".py", "sh": ".sh"}
_LANGUAGES: Final = {
    "py": "python",
    "python": "python",
    "python3": "python",
    "bash": "sh",
    "sh": "sh",
    "shell": "sh",
}
_LONGEST_OUTPUT: Final = 20_000
_TIMED_OUT: Final = 124


class CodeRunner:
    """Runs blocks of code, one after the other, each in a process of its own.

    Args:
        executor: The settings.
        folder: Where the code is written to and run.
    """

    def __init__(self, executor: CodeExecutor, folder: Path) -> None:
        self._timeout_s = executor.timeout
        self._folder = folder / executor.work_dir
        self._extractor = MarkdownCodeExtractor()

    def blocks(self, text: str) -> list[CodeBlock]:
        """The blocks of code in a text whose language can be run."""
        found = self._extractor.extract_code_blocks(text)
        return [block for block in found if block.language.lower() in _LANGUAGES]

    def call(self, blocks: Sequence[CodeBlock]) -> ToolCall:
        """How running them is told of."""
        told = [{"language": block.language, "code": block.code} for block in blocks]
        return ToolCall(call_id=f"code_{uuid4().hex}", name=CODE_TOOL, arguments={"blocks": told})

    async def run(self, call: ToolCall, blocks: Sequence[CodeBlock]) -> ToolResult:
        """Run blocks of code until one fails; the result has AG2's words for it."""
        code, output = 0, ""
        for block in blocks:
            code, told = await self._run(block)
            output += told
            if code != 0:
                break
        outcome = "execution succeeded" if code == 0 else "execution failed"
        return ToolResult(
            call_id=call.call_id,
            name=CODE_TOOL,
            content=f"exitcode: {code} ({outcome})\nCode output: {output}",
            is_error=code != 0,
        )

    async def _run(self, block: CodeBlock) -> tuple[int, str]:
        language = _LANGUAGES[block.language.lower()]
        try:
            LocalCommandLineCodeExecutor.sanitize_command(language, block.code)
        except ValueError as error:
            return 1, str(error)
        folder = anyio.Path(self._folder)
        await folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"code_{uuid4().hex}{_SUFFIXES[language]}"
        await file.write_text(block.code, encoding="utf-8")
        program = sys.executable if language == "python" else "/bin/sh"
        process = await anyio.open_process(
            [program, str(file)],
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            cwd=self._folder,
            env=self._environment(),
            start_new_session=True,  # what the code starts ends with it
        )
        return await self._ended(process)

    async def _ended(self, process: Process) -> tuple[int, str]:
        output = bytearray()
        try:
            with anyio.move_on_after(self._timeout_s) as time:
                if process.stdout is not None:
                    await _read(process.stdout, output)
                await process.wait()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            with anyio.CancelScope(shield=True):
                await process.aclose()
        text = output.decode(errors="replace")
        if len(text) > _LONGEST_OUTPUT:
            text = f"{text[:_LONGEST_OUTPUT]}\n(cut: {len(text)} characters in all)"
        if time.cancelled_caught:
            return _TIMED_OUT, f"{text}\nTimeout after {self._timeout_s:g} s"
        return process.returncode or 0, text

    def _environment(self) -> dict[str, str]:
        """What the code may know of this process: no key is in it."""
        passed = ("LANG", "LC_ALL", "PATH", "SYSTEMROOT", "TZ")
        known = {name: os.environ[name] for name in passed if name in os.environ}
        home = str(self._folder)
        return {**known, "HOME": home, "TMPDIR": home, "PYTHONUNBUFFERED": "1"}


async def _read(stream: ByteReceiveStream, output: bytearray) -> None:
    async for piece in stream:
        if len(output) < _LONGEST_OUTPUT * 4:
            output += piece
