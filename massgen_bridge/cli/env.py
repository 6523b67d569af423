"""`massgen-bridge env`: the environments of packages that agents run in."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from massgen_bridge.cli._app import COMMANDS
from massgen_bridge.cli._asking import asker, confirm
from massgen_bridge.cli._durations import duration
from massgen_bridge.cli._environments import megabytes, provide, wanted_by, watched
from massgen_bridge.cli._options import AsJson, Debug, Trust, new_app
from massgen_bridge.cli._output import BadUsage, print_json, say
from massgen_bridge.cli._plugins import plugin_host
from massgen_bridge.cli._tables import table
from massgen_bridge.config import open_config
from massgen_bridge.display.words import count, moment
from massgen_bridge.errors import EnvironmentFailed
from massgen_bridge.isolation.code import prune_code
from massgen_bridge.isolation.environments import Environments
from massgen_bridge.isolation.locking import request_of
from massgen_bridge.isolation.resolving import write_lock
from massgen_bridge.plugins.records import nearest

if TYPE_CHECKING:
    from massgen_bridge.cli._environments import Wanted
    from massgen_bridge.isolation.environments import Environment
    from massgen_bridge.isolation.locking import Lock

__all__ = ["app", "list_environments", "lock", "path", "prune", "sync"]

app = new_app(COMMANDS["env"])

_UNUSED_FOR = "30d"
_Config = Annotated[
    Path, typer.Argument(metavar="CONFIG", help="The configuration, a YAML or JSON file.")
]
_Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.command("list")
def list_environments(*, as_json: AsJson = False, _debug: Debug = False) -> None:
    """List the environments that are there, the one that was used last first."""
    found = Environments().list()
    if as_json:
        print_json([_plain(one) for one in found])
    elif found:
        say(_listing(found), nl=False)
    else:
        typer.echo("There are no environments.", err=True)


@app.command()
def sync(
    config: _Config,
    *,
    yes: _Yes = False,
    trust: Trust = False,
    as_json: AsJson = False,
    _debug: Debug = False,
) -> None:
    """Build the environments that the agents of a configuration need.

    Those that are there are looked at closely, and built again if they are broken. Where
    `massgen-bridge env lock` has written a lock, its versions are installed.
    """
    wanted = _wanted(config, trust=trust)
    found = provide([one.request for one in wanted], yes=yes)
    pairs = list(zip(wanted, found, strict=True))
    if as_json:
        print_json([{**_about(one), **_plain(environment)} for one, environment in pairs])
        return
    for one, environment in pairs:
        locked = f", locked by {Path(one.place.lock).name}" if one.place.lock else ""
        say(
            f"{', '.join(one.agents)}: ready, {megabytes(environment.size)}, Python"
            f" {environment.python_version}{locked}"
        )
    if not pairs:
        _say_none(config)


@app.command()
def path(
    config: _Config,
    agent: Annotated[
        str, typer.Argument(metavar="AGENT", help="An agent's id, or a kind of agents.")
    ],
    *,
    trust: Trust = False,
    as_json: AsJson = False,
    _debug: Debug = False,
) -> None:
    """Print the folder of the environment that an agent runs in.

    Exit code 1 if it is not built yet.
    """
    wanted = _wanted(config, trust=trust)
    by_name = {one.kind: one for one in reversed(wanted)}
    by_name |= {name: one for one in wanted for name in one.agents}
    if agent not in by_name:
        raise BadUsage(
            f"{agent!r}: no agent of {str(config)!r} that has an environment of its own has this"
            f" id or kind{nearest(agent, by_name)}"
        )
    one = by_name[agent]
    found = Environments().find(one.request)
    if found is None:
        raise EnvironmentFailed(
            f"the environment for {one.request.wording} is not there, or is broken: run"
            f" `massgen-bridge env sync {config}`"
        )
    if as_json:
        print_json({**_about(one), **_plain(found)})
    else:
        say(str(found.path))


@app.command()
def lock(
    config: _Config, *, trust: Trust = False, as_json: AsJson = False, _debug: Debug = False
) -> None:
    """Write the exact versions of all packages, with hashes, beside a configuration.

    There is one file for each kind of agents with an environment of its own, in the standard
    format of Python lock files. From then on `env sync` and `run` install just these versions.
    Run it again for newer ones.
    """
    locks = []
    for one in _wanted(config, trust=trust):
        if one.lock_file is None:
            raise BadUsage(f"{str(config)!r} is no file that a lock could lie beside")
        made = _locked(one, one.lock_file)
        locks.append({"file": str(made.path), "packages": len(made.pins), **_about(one)})
        if not as_json:
            say(f"{made.path}: {count(len(made.pins), 'package')} for {', '.join(one.agents)}")
    if as_json:
        print_json(locks)
    elif not locks:
        _say_none(config)


@app.command()
def prune(
    *,
    unused_for: Annotated[
        str, typer.Option("--unused-for", metavar="TIME", help="Unused for so long, such as 30d.")
    ] = _UNUSED_FOR,
    everything: Annotated[
        bool, typer.Option("--all", help="All of them, however lately they were used.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be deleted, and delete nothing.")
    ] = False,
    yes: _Yes = False,
    _debug: Debug = False,
) -> None:
    """Delete environments, and what builds that were broken off have left.

    Those in use stay. What is deleted is built again when it is needed.
    """
    age = 0.0 if everything else duration(unused_for, "--unused-for").total_seconds()
    environments = Environments()
    found = environments.prune(unused_for_s=age, dry_run=True)
    if found and (dry_run or not yes):
        say(_listing(found), nl=False)
    size = megabytes(sum(one.size for one in found))
    what = count(len(found), "environment")
    if dry_run:
        typer.echo(f"{what} would be deleted ({size}).", err=True)
        return
    if found and not yes and not confirm(f"Delete {what} ({size})?"):
        typer.echo("Nothing was deleted.", err=True)
        return
    deleted = environments.prune(unused_for_s=age)
    prune_code(unused_for_s=age, now=time.time())
    typer.echo(f"{count(len(deleted), 'environment')} deleted.", err=True)


def _wanted(config: Path, *, trust: bool) -> tuple[Wanted, ...]:
    host = plugin_host()
    return wanted_by(open_config(config, host, trust=trust, ask=asker(config)), host)


def _locked(one: Wanted, file: Path) -> Lock:
    request = request_of(one.place.model_copy(update={"lock": None}))
    return watched(
        lambda tell: write_lock(request, file, progress=tell), f"locking {request.wording}"
    )


def _say_none(config: Path) -> None:
    typer.echo(f"No agent of {str(config)!r} needs an environment of its own.", err=True)


def _listing(found: tuple[Environment, ...]) -> str:
    lines = [
        (
            one.key,
            one.python_version,
            megabytes(one.size),
            moment(one.used_at),
            one.request.wording,
        )
        for one in found
    ]
    return table(("KEY", "PYTHON", "SIZE", "LAST USED", "PACKAGES"), lines)


def _about(one: Wanted) -> dict[str, Any]:
    return {"agents": list(one.agents), "kind": one.kind}


def _plain(environment: Environment) -> dict[str, Any]:
    request = environment.request
    return {
        "key": environment.key,
        "path": str(environment.path),
        "python": str(environment.python),
        "python_version": environment.python_version,
        "requirements": list(request.requirements),
        "lock": request.lock,
        "installed": environment.installed,
        "size": environment.size,
        "built_at": environment.built_at,
        "used_at": environment.used_at,
        "installer": environment.installer,
    }
