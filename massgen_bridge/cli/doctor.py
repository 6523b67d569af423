"""`massgen-bridge doctor`: what keeps massgen-bridge from working here."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import typer

from massgen_bridge.cli._checks import all_checks
from massgen_bridge.cli._options import AsJson, Debug, new_app
from massgen_bridge.cli._output import DONE, FAILED, print_json, say
from massgen_bridge.cli._stdout import stdout

if TYPE_CHECKING:
    from massgen_bridge.cli._checks import Check

__all__ = ["app", "doctor"]

app = new_app()

_MARKS = {"ok": "ok", "info": "--", "broken": "!!"}


@app.command()
def doctor(*, as_json: AsJson = False, _debug: Debug = False) -> int:
    """Look for what keeps massgen-bridge from working here.

    Keys are never shown, only whether there are any. Exit code 1 if something is broken.
    """
    checks = all_checks(os.environ)
    broken = [check for check in checks if check.state == "broken"]
    if as_json:
        print_json({"ok": not broken, "checks": [check._asdict() for check in checks]})
    else:
        _print(checks)
        found = "nothing is broken" if not broken else f"{len(broken)} broken, see !! above"
        say(f"\n{found}")
    return FAILED if broken else DONE


def _print(checks: list[Check]) -> None:
    width = max(len(check.name) for check in checks)
    group = ""
    for check in checks:
        if check.group != group:
            group = check.group
            say(f"\n{group}" if check is not checks[0] else group)
        mark = _MARKS[check.state]
        if stdout().isatty() and check.state == "broken" and "NO_COLOR" not in os.environ:
            mark = typer.style(mark, fg="red", bold=True)
        say(f"  {mark} {check.name:<{width}}  {check.detail}".rstrip())
