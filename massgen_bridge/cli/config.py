"""`massgen-bridge config`: check configurations, and the JSON Schema for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from massgen_bridge.cli._app import COMMANDS
from massgen_bridge.cli._options import AsJson, Debug, new_app
from massgen_bridge.cli._output import BAD_USAGE, DONE, print_json, say
from massgen_bridge.cli._plugins import plugin_host
from massgen_bridge.config import InvalidConfig, Problem, load_attached, load_config
from massgen_bridge.config.schema import json_schema
from massgen_bridge.errors import ConfigError, PluginError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from massgen_bridge.cli._environments import Wanted
    from massgen_bridge.config import RunConfig
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
    found = [_checked(file, host) for file in files]
    if as_json:
        print_json([_plain(one) for one in found])
    else:
        for one in found:
            told = [str(problem) for problem in one.problems]
            say("\n".join(told or [f"{one.file}: valid", *map(one.note, one.lacking)]))
    return BAD_USAGE if any(one.problems for one in found) else DONE


@app.command()
def schema(*, _debug: Debug = False) -> None:
    """Print the JSON Schema of a configuration, for editors."""
    say(json.dumps(json_schema(plugin_host()), indent=2))


class _Checked(NamedTuple):
    """A file with what is wrong with it, and the environments that its agents lack."""

    file: Path
    problems: Sequence[Problem] = ()
    lacking: Sequence[Wanted] = ()
    warnings: Sequence[str] = ()

    def note(self, lacking: Wanted) -> str:
        """What has to be built before it can run."""
        return (
            f"{self.file}: to be built first: {lacking.request.wording}"
            f" ({', '.join(lacking.agents)}); `massgen-bridge env sync {self.file}` does it"
        )


def _checked(file: Path, host: PluginHost) -> _Checked:
    try:
        config = load_config(file, host)
        # What only the file's own plugins know cannot be placed without importing them.
        for one in config.tree():
            load_attached(one)
        lacking = () if any(one.unchecked for one in config.tree()) else _lacking(config, host)
    except InvalidConfig as error:
        return _Checked(file, error.problems)
    except ConfigError as error:
        place = error.file or str(file)
        problem = Problem(message=error.message, file=place, line=error.line, column=error.column)
        return _Checked(file, [problem])
    except PluginError as error:
        return _Checked(file, [Problem(message=str(error), file=str(file))])
    return _Checked(file, lacking=lacking, warnings=config.warnings)


def _lacking(config: RunConfig, host: PluginHost) -> Sequence[Wanted]:
    from massgen_bridge.cli._environments import wanted_by  # noqa: PLC0415 - takes long
    from massgen_bridge.isolation.environments import Environments  # noqa: PLC0415 - as above

    environments = Environments()
    return [one for one in wanted_by(config, host) if environments.find(one.request) is None]


def _plain(found: _Checked) -> dict[str, Any]:
    return {
        "file": str(found.file),
        "valid": not found.problems,
        "problems": [
            {
                "message": one.message,
                "file": one.file,
                "line": one.line,
                "column": one.column,
            }
            for one in found.problems
        ],
        "warnings": list(found.warnings),
        "to_build": [
            {"agents": list(one.agents), "kind": one.kind, "packages": one.request.wording}
            for one in found.lacking
        ],
    }
