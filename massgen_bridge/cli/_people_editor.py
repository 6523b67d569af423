"""A longer answer, written in the person's own editor."""

from __future__ import annotations

import os
import shlex
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from massgen_bridge.display.text import clean

if TYPE_CHECKING:
    from massgen_bridge.cli._terminal import Terminal

__all__ = ["edited"]


async def edited(terminal: Terminal) -> str:
    """What a person writes in `$VISUAL`, `$EDITOR` or `vi`; empty where that is nothing.

    Where the question is taken back meanwhile, what was saved is kept in its file, and the person
    is told where.
    """
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    path = await to_thread.run_sync(_new_file)
    try:
        with terminal.lent() as tty:
            command = [*shlex.split(editor), str(path)]
            async with await anyio.open_process(
                command, stdin=tty, stdout=tty, stderr=tty
            ) as process:
                await process.wait()
    except (OSError, ValueError) as error:
        terminal.say(f"{clean(editor)!r} cannot be started: {error}\n")
    except anyio.get_cancelled_exc_class():
        if _kept(path):
            terminal.say(f"\nWhat you had saved is kept in {path}\n")
        raise
    return await to_thread.run_sync(_taken, path)


def _new_file() -> Path:
    handle, name = tempfile.mkstemp(prefix="answer-", suffix=".md")
    os.close(handle)
    return Path(name)


def _kept(path: Path) -> bool:
    """Whether something was saved; an empty file is removed."""
    if path.stat().st_size:
        return True
    path.unlink()
    return False


def _taken(path: Path) -> str:
    text = path.read_text(encoding="utf-8", errors="replace")
    path.unlink()
    return text.strip("\n")
