"""The command line: one file a command, each imported only when its command is used."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main", "run_command"]


def main() -> None:
    """Run the command line of this process and end it; the console script."""
    from massgen_bridge.cli._process import end, prepare  # noqa: PLC0415 - importing this is free

    arguments = sys.argv[1:]
    prepare(arguments)
    end(_run(arguments))


def run_command(arguments: Sequence[str]) -> int:
    """Run a command.

    Args:
        arguments: What stands behind the command's name.

    Returns:
        The exit code: 0 done, 1 failed, 2 bad usage or configuration, 130 interrupted,
        141 the reader of the output is gone, 143 terminated.
    """
    from massgen_bridge.cli._stdout import restore  # noqa: PLC0415 - importing this is free

    try:
        return _run(arguments)
    finally:
        restore()


def _run(arguments: Sequence[str]) -> int:
    # While modules are imported there is no garbage to be found, only time to be lost.
    gc.disable()
    try:
        from massgen_bridge.cli._app import app  # noqa: PLC0415 - typer takes time to import
        from massgen_bridge.cli._failures import guarded  # noqa: PLC0415 - as above

        return guarded(app, arguments)
    finally:
        gc.enable()
