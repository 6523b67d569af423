"""A command whose file is imported when it is used."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand
from typer.main import get_command

__all__ = ["Deferred"]


class Deferred(TyperCommand):
    """Stands for a command whose file is not imported yet.

    Args:
        name: The command's name.
        summary: Its line in the list of commands.
        module: The module beside this one that has its `app`; by default of the same name.
    """

    def __init__(self, name: str, summary: str, module: str | None = None) -> None:
        super().__init__(name, help=summary, rich_markup_mode=None)
        self._module = f"{__package__}.{module or name}"

    def make_context(self, info_name: Any, args: Any, parent: Any = None, **extra: Any) -> Any:
        """Make the context of the real command, which is run by it."""
        from massgen_bridge.cli._warnings import show_warnings  # noqa: PLC0415 - not for --help

        command = get_command(__import__(self._module, fromlist=["app"]).app)
        show_warnings()
        command.name = self.name
        return command.make_context(info_name, args, parent=parent, **extra)
