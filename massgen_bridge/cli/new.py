"""`massgen-bridge new`: a plugin project to start from, with tests that pass."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Annotated

import typer

from massgen_bridge.cli._options import Debug, new_app
from massgen_bridge.cli._output import BadUsage, say
from massgen_bridge.cli._plugins import plugin_host
from massgen_bridge.cli._projects import Kind, Project, check_free, check_name, write

__all__ = ["app", "new"]

app = new_app()


@app.command()
def new(
    kind: Annotated[Kind, typer.Argument(metavar="KIND", help="What the plugin adds.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name in configurations.")],
    *,
    model: Annotated[
        bool, typer.Option("--model", help="Of an adapter: its agents use a model, by an SDK.")
    ] = False,
    into: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where to write it. Default: massgen-bridge-NAME."),
    ] = None,
    author: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Its author. Default: git's user.name.")
    ] = None,
    _debug: Debug = False,
) -> None:
    """Write a plugin project: a distribution with tests, an example and a CI file.

    It works as it stands, without a key or a network: install it, run its tests, run its example,
    then replace what it does. Exit code 2 if the name or the folder cannot be used.
    """
    if model and kind is not Kind.ADAPTER:
        raise BadUsage(f"--model goes with `adapter`, not with `{kind}`")
    check_name(name)
    check_free(kind, name, plugin_host())
    template = "model_adapter" if model else kind.value
    project = Project(template, name, author or _git_user() or f"The authors of {name}")
    folder = into or Path(project.distribution)
    files = write(project, folder)
    say(f"{folder} has the {kind} {name!r} in {len(files)} files. Next:\n")
    steps = [
        f"cd {shlex.quote(str(folder))}",
        "pip install -e '.[test]'",
        "pytest",
        *project.example,
    ]
    for step in steps:
        say(f"  {step}")


def _git_user() -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    asked = [git, "config", "user.name"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603 - git's own
    return done.stdout.strip() or None
