"""The commands by name, with their help in one table; a command's own file is imported on use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

import massgen_bridge
from massgen_bridge.cli._deferred import Deferred

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["COMMANDS", "app"]

COMMANDS: Mapping[str, str] = {
    "run": "Let a team of agents answer a question.",
    "chat": "Talk with a team of agents, question by question.",
    "eval": "Compare a team with each of its agents, on a set of questions.",
    "adapters": "List the kinds of agents; put an adapter to the test.",
    "new": "Start a plugin of your own from a template.",
    "doctor": "Look for what keeps massgen-bridge from working here.",
    "models": "List the models that servers offer.",
    "config": "Check configurations; print their JSON Schema.",
    "runs": "List, show, resume, export and delete the runs of the past.",
    "sessions": "List, show and delete the conversations that are kept.",
    "simulate": "Show what a vote in stages finds and costs, with made-up teams.",
    "env": "The environments that agents run in: build, lock, delete them.",
    "local": "The small built-in model: fetch it, see what is there.",
}
"""Every command with one line of help. The file of a command has the same name and an `app`."""


class _Commands(TyperGroup):
    """The group of all commands."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, summary in COMMANDS.items():
            self.add_command(Deferred(name, summary))


app = typer.Typer(
    cls=_Commands,
    name="massgen-bridge",
    help="One YAML, agents of any framework, one consensus.",
    no_args_is_help=True,
    add_completion=False,  # given below, in a form that costs nothing where it is not used
    # Rich takes longer to import than everything else, and plain help reads well everywhere.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={
        "help_option_names": ["-h", "--help"],
        # Where flags have a value, typer does without pydantic, which takes as long as itself.
        "default_map": {"help": False, **{name: {"help": False} for name in COMMANDS}},
    },
)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it with the flag's value
    if wanted:
        typer.echo(f"massgen-bridge {massgen_bridge.__version__}")
        raise typer.Exit


def _install_completion(context: typer.Context, parameter: Any, wanted: bool) -> None:  # noqa: FBT001 - as above
    if wanted:
        from typer.completion import install_callback  # noqa: PLC0415 - seldom needed

        install_callback(context, parameter, wanted)


def _show_completion(context: typer.Context, parameter: Any, wanted: bool) -> None:  # noqa: FBT001 - as above
    if wanted:
        from typer.completion import show_callback  # noqa: PLC0415 - seldom needed

        show_callback(context, parameter, wanted)


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
    install_completion: Annotated[
        bool,
        typer.Option(
            "--install-completion",
            callback=_install_completion,
            is_eager=True,
            expose_value=False,
            help="Complete commands and options in this shell from now on, and exit.",
        ),
    ] = False,
    show_completion: Annotated[
        bool,
        typer.Option(
            "--show-completion",
            callback=_show_completion,
            is_eager=True,
            help="Show what --install-completion would write, and exit.",
        ),
    ] = False,
) -> None:
    """Options that come before a command."""
