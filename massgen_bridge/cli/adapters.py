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
from massgen_bridge.errors import ConfigError
from massgen_bridge.isolation.standing import Standings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from massgen_bridge.isolation.placement import Mode
    from massgen_bridge.isolation.standing import Standing
    from massgen_bridge.plugins import AdapterInfo

__all__ = ["adapters", "app"]

_PLACES: Mapping[Mode, str] = {
    "none": "in process",
    "process": "in its own process",
    "environment": "in its own environment",
}
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
    found, standings = plugin_host().adapters(), Standings()
    if as_json:
        say(json.dumps({"adapters": [_plain(one, standings) for one in found]}, indent=2))
        return
    rows = [(one.kind, _state(one), *_runs(one, standings), one.summary) for one in found]
    say(table(("KIND", "STATE", "RUNS", "FRAMEWORK", ""), rows), nl=False)
    for line in _advice(found):
        say(line)


def _state(info: AdapterInfo) -> str:
    return "built in" if info.source == "built-in" else info.state


def _standing(info: AdapterInfo, standings: Standings) -> Standing | None:
    """How a kind stands here; None where it cannot be used, or nobody can know."""
    if not info.is_ready:
        return None
    try:
        return standings.of(info)
    except ConfigError:  # the doctor tells it
        return None


def _runs(info: AdapterInfo, standings: Standings) -> tuple[str, str]:
    """Where agents of a kind run, and on which framework."""
    standing = _standing(info, standings)
    if standing is None:
        return "", ""
    where = _PLACES[standing.mode]
    if standing.environment == "missing":
        where += ", to be built"
    version = standing.framework_version
    return where, f"{info.framework} {version}" if version else info.framework or ""


def _advice(found: tuple[AdapterInfo, ...]) -> Iterator[str]:
    """Other names of kinds, and what to do about those that cannot be used."""
    named = [(name, one.kind, said) for one in found for name, said in one.aliases.items()]
    if named:
        yield "\nOther names:"
        width = max(len(name) for name, _, _ in named)
        yield from (f"  {name:<{width}}  {kind}: {said}" for name, kind, said in named)
    for one in found:
        if one.problem is not None:
            yield f"\n{one.kind} is {one.state}: {one.problem}"
    missing = [one for one in found if one.install is not None and one.state == "installable"]
    if missing:
        yield "\nTo install:"
        width = max(len(one.kind) for one in missing)
        yield from (f"  {one.kind:<{width}}  {one.install}" for one in missing)


def _plain(info: AdapterInfo, standings: Standings) -> dict[str, Any]:
    able, standing = info.capabilities, _standing(info, standings)
    return {
        "kind": info.kind,
        "summary": info.summary,
        "state": info.state,
        "source": info.source,
        "distribution": info.distribution,
        "version": info.version,
        "problem": info.problem,
        "install": info.install,
        "isolation": standing.mode if standing else None,
        "environment": standing.environment if standing else None,
        "requires": list(info.requires),
        "framework": info.framework,
        "framework_version": standing.framework_version if standing else None,
        "aliases": dict(info.aliases),
        "capabilities": None if able is None else able.model_dump(mode="json"),
    }
