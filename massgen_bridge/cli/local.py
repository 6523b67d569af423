"""`massgen-bridge local`: the small built-in model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from massgen_bridge.cli._app import COMMANDS
from massgen_bridge.cli._options import AsJson, Debug, new_app
from massgen_bridge.cli._output import FAILED, print_json, say
from massgen_bridge.cli._shown import new_display
from massgen_bridge.cli._weights import FETCHING
from massgen_bridge.cli._work import work
from massgen_bridge.models.local import LocalStatus, install_weights, own_weights
from massgen_bridge.models.local import status as local_status

if TYPE_CHECKING:
    from pathlib import Path

    from massgen_bridge.cli._work import Stop

__all__ = ["app", "install", "status"]

app = new_app(COMMANDS["local"])


@app.command()
def install(*, _debug: Debug = False) -> int | None:
    """Fetch the model's weights into the cache; afterwards it needs no network."""
    display = new_display("auto", answer=False)

    async def job(_stop: Stop) -> Path:
        return await install_weights(display.progress(FETCHING))

    before = local_status()
    if before.problem is None:
        path = before.weights
    else:
        with display:
            path = work(job)
    whose = "your own weights" if own_weights() is not None else "the weights"
    say(f"{whose} are at {path}")
    if before.runtime is None:
        typer.echo("the runtime is missing: run `pip install 'massgen-bridge[local]'`", err=True)
        return FAILED
    return None


@app.command()
def status(*, as_json: AsJson = False, _debug: Debug = False) -> int | None:
    """Show what is there; exit code 1 if the model cannot be used."""
    found = local_status()
    if as_json:
        print_json(_plain(found))
    else:
        say(f"runtime: {_runtime(found)}")
        size = "" if found.size is None else f" ({found.size / 1e6:.0f} MB)"
        say(f"weights: {found.weights}{size}{', your own' if found.own else ''}")
        say(f"problem: {found.problem or 'none'}" if found.problem else "ready")
    return None if found.ready else FAILED


def _runtime(found: LocalStatus) -> str:
    if found.runtime is None:
        return "not installed: run `pip install 'massgen-bridge[local]'`"
    return f"xllamacpp {found.runtime}"


def _plain(found: LocalStatus) -> dict[str, Any]:
    return {
        "ready": found.ready,
        "runtime": found.runtime,
        "weights": str(found.weights),
        "own": found.own,
        "size": found.size,
        "problem": found.problem,
    }
