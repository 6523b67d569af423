"""The page of the command line: the help of each command, as it is printed."""

from __future__ import annotations

import contextlib
import io
import os

from typer.main import get_command

from massgen_bridge.cli import run_command
from massgen_bridge.cli._app import COMMANDS

__all__ = ["page"]

_COLUMNS = 100

_TOP = """\
# Command line

What each command says of itself with `--help`. How commands end, and what they print when they
fail, stands in [errors](errors.md#how-a-command-ends).
"""


def page() -> str:
    """The page."""
    parts = [_TOP, _help("massgen-bridge")]
    for name, summary in COMMANDS.items():
        module = __import__(f"massgen_bridge.cli.{name}", fromlist=["app"])
        below = sorted(getattr(get_command(module.app), "commands", ()))
        parts += [f"## {name}\n\n{summary}", _help("massgen-bridge", name)]
        parts += [_help("massgen-bridge", name, one) for one in below]
    return "\n\n".join(part.strip() for part in parts)


def _help(*command: str) -> str:
    printed = io.StringIO()
    os.environ["COLUMNS"] = str(_COLUMNS)
    with contextlib.redirect_stdout(printed):
        run_command([*command[1:], "--help"])
    return f"```text\n$ {' '.join(command)} --help\n{printed.getvalue().strip()}\n```"
