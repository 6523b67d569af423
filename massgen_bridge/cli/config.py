"""`massgen-bridge config`: check configurations, and the JSON Schema for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from massgen_bridge.cli._app import COMMANDS
from massgen_bridge.cli._options import AsJson, Debug, new_app
from massgen_bridge.cli._output import BAD_USAGE, DONE, print_json, say
from massgen_bridge.cli._plugins import plugin_host
from massgen_bridge.config import InvalidConfig, Problem, load_config
from massgen_bridge.config.schema import json_schema
from massgen_bridge.errors import ConfigError, PluginError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from massgen_bridge.plugins import PluginHost

__all__ = ["app", "schema", "validate"]

app = new_app(COMMANDS["config"])


@app.command()
def validate(
    files: Annotated[list[Path], typer.Argument(help="YAML or JSON files.", metavar="FILE...")],
    *,
    as_json: AsJson = False,
    _debug: Debug = False,
) -> int:
    """Tell all problems of configurations, with file, line and column.

    Nothing that they name is imported. Exit code 2 if there is any problem.
    """
    host = plugin_host()
    found = {file: _problems(file, host) for file in files}
    if as_json:
        print_json([_plain(file, problems) for file, problems in found.items()])
    else:
        for file, problems in found.items():
            told = [str(problem) for problem in problems]
            say("\n".join(told or [f"{file}: valid"]))
    return BAD_USAGE if any(found.values()) else DONE


@app.command()
def schema(*, _debug: Debug = False) -> None:
    """Print the JSON Schema of a configuration, for editors."""
    say(json.dumps(json_schema(plugin_host()), indent=2))


def _problems(file: Path, host: PluginHost) -> Sequence[Problem]:
    try:
        load_config(file, host)
    except InvalidConfig as error:
        return error.problems
    except ConfigError as error:
        place = error.file or str(file)
        return [Problem(message=error.message, file=place, line=error.line, column=error.column)]
    except PluginError as error:
        return [Problem(message=str(error), file=str(file))]
    return ()


def _plain(file: Path, problems: Sequence[Problem]) -> dict[str, Any]:
    return {
        "file": str(file),
        "valid": not problems,
        "problems": [
            {
                "message": one.message,
                "file": one.file,
                "line": one.line,
                "column": one.column,
            }
            for one in problems
        ],
    }
