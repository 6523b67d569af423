"""`massgen-bridge adapters`: the kinds of agents, and what hinders those that are missing.

`massgen-bridge adapters test` has a file of its own, `_adapters_test.py`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from massgen_bridge.cli._deferred import Deferred
from massgen_bridge.cli._options import AsJson, Debug, new_app
from massgen_bridge.cli._output import BadUsage, say
from massgen_bridge.cli._plugins import plugin_host
from massgen_bridge.cli._tables import table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from massgen_bridge.plugins import AdapterInfo

__all__ = ["adapters", "app"]

_TEST = "Hold an adapter to what every adapter promises, and report."


class _Commands(TyperGroup):
    """What else there is to do with adapters."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.add_command(Deferred("test", _TEST, module="_adapters_test"))


app = new_app(cls=_Commands)


@app.callback(invoke_without_command=True)
def adapters(context: typer.Context, *, as_json: AsJson = False, _debug: Debug = False) -> None:
    """List the kinds of agents: the values of `backend.type` in a configuration."""
    if context.invoked_subcommand is not None:
        if as_json:
            raise BadUsage("--json belongs to the list of kinds; to 'test', give '--output json'")
        return
    found = plugin_host().adapters()
    if as_json:
        say(json.dumps({"adapters": [_plain(one) for one in found]}, indent=2))
        return
    rows = [(one.kind, one.state, one.version or "", one.summary) for one in found]
    say(table(("KIND", "STATE", "VERSION", ""), rows), nl=False)
    for line in _advice(found):
        say(line)


def _advice(found: tuple[AdapterInfo, ...]) -> Iterator[str]:
    """What to do about those that cannot be used."""
    for one in found:
        if one.problem is not None:
            yield f"\n{one.kind} is {one.state}: {one.problem}"
    missing = [one for one in found if one.install is not None and one.state == "installable"]
    if missing:
        yield "\nTo install:"
        width = max(len(one.kind) for one in missing)
        yield from (f"  {one.kind:<{width}}  {one.install}" for one in missing)


def _plain(info: AdapterInfo) -> dict[str, Any]:
    able = info.capabilities
    return {
        "kind": info.kind,
        "summary": info.summary,
        "state": info.state,
        "distribution": info.distribution,
        "version": info.version,
        "problem": info.problem,
        "install": info.install,
        "capabilities": None if able is None else able.model_dump(mode="json"),
    }
