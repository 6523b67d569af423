"""`massgen-bridge doctor`: what keeps massgen-bridge from working here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from massgen_bridge.cli._checks import all_checks
from massgen_bridge.cli._options import AsJson, Debug, Trust, new_app
from massgen_bridge.cli._output import DONE, FAILED, BadUsage, print_json, say
from massgen_bridge.cli._plan import trusted_or_read
from massgen_bridge.cli._plugins import plugin_host
from massgen_bridge.cli._stdout import stdout

if TYPE_CHECKING:
    from massgen_bridge.cli._checks import Check
    from massgen_bridge.cli._connections import ConnectionReport

__all__ = ["app", "doctor"]

app = new_app()

_MARKS = {"ok": "ok", "info": "--", "broken": "!!"}


@app.command()
def doctor(
    config: Annotated[
        Path | None,
        typer.Argument(
            metavar="[CONFIG]", help="Look at the connections of this configuration instead."
        ),
    ] = None,
    *,
    offline: Annotated[
        bool, typer.Option("--offline", help="With CONFIG: ask no server anything.")
    ] = False,
    trust: Trust = False,
    as_json: AsJson = False,
    _debug: Debug = False,
) -> int:
    """Look for what keeps massgen-bridge from working here.

    Keys are never shown, only whether there are any. With a configuration, each of its connections
    is asked a few tokens' worth: whether it can be reached, takes the key, has the model, streams,
    and takes tools, schemas and pictures. Exit code 1 if something is broken.
    """
    if config is not None:
        return _look_at(config, offline=offline, trust=trust, as_json=as_json)
    if offline or trust:
        raise BadUsage("--offline and --trust belong to a configuration: name its file")
    checks = all_checks(os.environ)
    broken = [check for check in checks if check.state == "broken"]
    if as_json:
        print_json({"ok": not broken, "checks": [check._asdict() for check in checks]})
    else:
        _print(checks)
        found = "nothing is broken" if not broken else f"{len(broken)} broken, see !! above"
        say(f"\n{found}")
    return FAILED if broken else DONE


def _look_at(file: Path, *, offline: bool, trust: bool, as_json: bool) -> int:
    from massgen_bridge.cli._connections import connection_reports  # noqa: PLC0415 - imports HTTP

    host = plugin_host()
    read = trusted_or_read(file, host, trust=trust, with_plugins=True)
    reports = connection_reports(read, host, os.environ, offline=offline)
    broken = [one for one in reports if one.is_broken]
    if as_json:
        print_json(
            {
                "ok": not broken,
                "warnings": list(read.warnings),
                "connections": [_plain(one) for one in reports],
            }
        )
        return FAILED if broken else DONE
    width = max((len(one.name) for one in reports), default=0)
    for one in reports:
        words = ", ".join(said for _, _, said in one.checks)
        of = f"{one.provider} {one.model} at {one.where}: " if one.provider else ""
        say(f"{_marked('broken' if one.is_broken else 'ok')} {one.name:<{width}}  {of}{words}")
    if not reports:
        say("no agent of this configuration has a connection to a model")
    say(f"\n{'nothing is broken' if not broken else f'{len(broken)} broken, see !! above'}")
    return FAILED if broken else DONE


def _plain(report: ConnectionReport) -> dict[str, Any]:
    return {
        "name": report.name,
        "provider": report.provider,
        "model": report.model,
        "where": report.where,
        "ok": not report.is_broken,
        "checks": [
            {"name": name, "state": state, "detail": said} for name, state, said in report.checks
        ],
    }


def _print(checks: list[Check]) -> None:
    width = max(len(check.name) for check in checks)
    group = ""
    for check in checks:
        if check.group != group:
            group = check.group
            say(f"\n{group}" if check is not checks[0] else group)
        say(f"  {_marked(check.state)} {check.name:<{width}}  {check.detail}".rstrip())


def _marked(state: str) -> str:
    mark = _MARKS[state]
    if stdout().isatty() and state == "broken" and "NO_COLOR" not in os.environ:
        return typer.style(mark, fg="red", bold=True)
    return mark
