"""How far the memory of a process grows while it works."""

from __future__ import annotations

import multiprocessing
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from multiprocessing.connection import Connection

__all__ = ["grown"]

_FEW = 2


def grown(work: Callable[..., Awaitable[None]], count: int, *arguments: Any) -> int:
    """Do some work in a process of its own.

    Args:
        work: A function of a module, which takes `count` and `arguments`.
        count: How much it has to do.
        arguments: Everything else that it needs.

    Returns:
        Bytes by which the process's peak rises above what it held after the work of two.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_grow, args=(there, work, count, arguments))
    process.start()
    there.close()
    try:
        measured: int = here.recv()
    finally:
        process.join()
    return measured


def _grow(
    pipe: Connection,
    work: Callable[..., Awaitable[None]],
    count: int,
    arguments: tuple[Any, ...],
) -> None:
    pipe.send(anyio.run(_growth, work, count, arguments))


async def _growth(
    work: Callable[..., Awaitable[None]], count: int, arguments: tuple[Any, ...]
) -> int:
    await work(_FEW, *arguments)
    before = _bytes("VmRSS")
    await work(count, *arguments)
    return _bytes("VmHWM") - before


def _bytes(name: str) -> int:
    """A figure of this process, as Linux tells it: memory held now, or the most there was."""
    status = Path("/proc/self/status").read_text()
    found = re.search(rf"^{name}:\s+([0-9]+) kB$", status, re.MULTILINE)
    assert found is not None  # Linux always tells it
    return int(found[1]) * 1024
