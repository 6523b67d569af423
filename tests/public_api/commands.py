"""Lists the command line, and what is public of the distribution beside its names."""

from __future__ import annotations

import enum
import inspect
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from public_api.entry import Entry, of_literal
from typer.main import get_command

import massgen_bridge
from massgen_bridge import hookspecs
from massgen_bridge.cli import run_command
from massgen_bridge.cli._app import COMMANDS, app

if TYPE_CHECKING:
    from public_api.names import Lines

__all__ = ["command_lines", "distribution_lines"]

_VARIABLE = re.compile(r'"(MASSGEN_BRIDGE_[A-Z_]+)"')
_CODE = re.compile(r"\b\d+ [a-z][^,.]+")


def command_lines() -> Lines:
    """Every command, argument and option, and the exit codes."""
    yield from _options("command", get_command(app))
    for name in COMMANDS:
        module = __import__(f"massgen_bridge.cli.{name}", fromlist=["app"])
        yield from _command(f"command {name}", get_command(module.app))
    told = " ".join((run_command.__doc__ or "").partition("The exit code:")[2].split())
    for meaning in _CODE.findall(told):
        yield f"exit code {meaning}", Entry("exit code")


def _command(path: str, command: Any) -> Lines:
    yield path, Entry("command")
    yield from _options(path, command)
    for name, below in sorted(getattr(command, "commands", {}).items()):
        yield from _command(f"{path} {name}", below)


def _options(path: str, command: Any) -> Lines:
    hints = get_type_hints(inspect.unwrap(command.callback)) if command.callback else {}
    place = 0
    for one in command.params:
        kind = _type(hints.get(one.name, bool)) + ("..." if one.multiple or one.nargs != 1 else "")
        default = None if one.required else repr(one.default)
        if one.param_type_name == "argument":
            place += 1
            yield f"{path} {one.metavar or one.name}", Entry(f"argument {place}", kind, default)
            continue
        for flag in (*one.opts, *one.secondary_opts):
            yield f"{path} {flag}", Entry("option", kind, default)


def _type(hint: Any) -> str:
    """What may be given, in words."""
    if inspect.isclass(hint) and issubclass(hint, enum.Enum):
        return of_literal(tuple(one.value for one in hint))
    if inspect.isclass(hint):
        return hint.__name__
    return " | ".join(_type(one) for one in get_args(hint))


def distribution_lines() -> Lines:
    """Variables of the environment, and what pip and Python know of the distribution."""
    package = Path(massgen_bridge.__file__).parent
    for file in package.rglob("*.py"):
        for name in _VARIABLE.findall(file.read_text()):
            yield f"variable {name}", Entry("variable")
    project = tomllib.loads((package.parent / "pyproject.toml").read_text())["project"]
    yield f"entry points {hookspecs.PROJECT}", Entry("entry points")
    yield f"python {project['requires-python']}", Entry("requirement")
    for name in project["scripts"]:
        yield f"script {name}", Entry("script")
    for name in project["optional-dependencies"]:
        yield f"extra {name}", Entry("extra")
