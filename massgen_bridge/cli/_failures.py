"""How a command ends that did not go well: one clear line for people, one object for programs."""

from __future__ import annotations

import os
import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import typer
from typer.main import get_command

from massgen_bridge.cli._output import (
    BAD_USAGE,
    FAILED,
    INTERRUPTED,
    READER_GONE,
    BadUsage,
    Failure,
    Stopped,
    failed_run,
    print_json,
)
from massgen_bridge.cli._process import is_given, silence
from massgen_bridge.cli._stdout import is_full, stdout, unwritten
from massgen_bridge.errors import (
    AgentError,
    BridgeError,
    CassetteError,
    ConfigError,
    EnvironmentFailed,
    JournalError,
    LocalModelError,
    MediaError,
    PluginError,
    ReplayDiverged,
    RunFailed,
    TrustRequired,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["guarded"]

# Bad usage, by the one name that it has in all versions of typer.
_UsageError = typer.BadParameter.__bases__[0].__bases__[0]

_KINDS: tuple[tuple[type[BridgeError], str, int], ...] = (
    (BadUsage, "usage", BAD_USAGE),
    (TrustRequired, "trust", BAD_USAGE),
    (CassetteError, "cassette", BAD_USAGE),
    (MediaError, "media", BAD_USAGE),
    (ConfigError, "config", BAD_USAGE),
    (PluginError, "plugin", BAD_USAGE),
    (LocalModelError, "local_model", FAILED),
    (EnvironmentFailed, "environment", FAILED),
    (JournalError, "journal", FAILED),
    (ReplayDiverged, "replay_diverged", FAILED),
    (RunFailed, "run_failed", FAILED),
    (BridgeError, "bridge", FAILED),
)


# Set by the script that --install-completion writes.
_COMPLETION_VARIABLE = "_MASSGEN_BRIDGE_COMPLETE"
_WHAT_TO_DO = (
    "The same command with --debug shows where. This is a fault of massgen-bridge or of a plugin: "
    "please report it to its maintainers, with that output."
)


def guarded(app: typer.Typer, arguments: Sequence[str]) -> int:
    """Run a command line; whatever goes wrong is told, and becomes an exit code."""
    debug = is_given("--debug", arguments)
    if debug:
        _log_everything()
    if os.environ.get(_COMPLETION_VARIABLE):
        _prepare_completion()
    try:
        code = _run(app, arguments)
        stdout().flush()
    except BrokenPipeError:
        silence()
        return READER_GONE
    except Stopped as stopped:
        if stopped.code == READER_GONE:
            silence()
        return stopped.code
    except (KeyboardInterrupt, typer.Abort):
        typer.echo("Aborted.", err=True)
        if _wants_json(arguments):
            failure = Failure("cancelled", "interrupted")
            print_json(_object(failure, arguments, status="cancelled"))
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last boundary: what nobody foresaw ends here
        if isinstance(error, OSError) and is_full(error):
            silence()
            typer.echo(f"Error: {unwritten(error)}", err=True)
            return FAILED
        return _report(error, arguments, debug=debug)
    return code if isinstance(code, int) else 0


def _run(app: typer.Typer, arguments: Sequence[str]) -> object:
    try:
        return get_command(app).main(
            args=list(arguments), prog_name="massgen-bridge", standalone_mode=False
        )
    except SystemExit as left:
        if isinstance(left.__context__, BrokenPipeError):  # which typer makes an exit of
            raise Stopped(READER_GONE) from left
        raise


def _report(error: Exception, arguments: Sequence[str], *, debug: bool) -> int:
    failure, code = _judge(error)
    if debug:
        import traceback  # noqa: PLC0415 - for debugging alone

        traceback.print_exception(error)
    if isinstance(error, _UsageError):
        cast("Any", error).show()
    else:
        for line in _lines(error, failure):
            typer.echo(line, err=True)
    if _wants_json(arguments):
        print_json(_object(failure, arguments))
    return code


def _object(
    failure: Failure, arguments: Sequence[str], *, status: str = "error"
) -> dict[str, object]:
    command = next((one for one in arguments if not one.startswith("-")), "")
    if command == "run":
        return failed_run(failure, status=status)
    return {"status": status, "error": failure._asdict()}


def _judge(error: Exception) -> tuple[Failure, int]:
    if isinstance(error, _UsageError):
        return Failure("usage", cast("Any", error).format_message()), BAD_USAGE
    if isinstance(error, AgentError):
        return Failure(error.kind, str(error)), FAILED
    if isinstance(error, ConfigError):
        kind, code = _kind(error)
        return Failure(kind, error.message, error.file, error.line, error.column), code
    if isinstance(error, BridgeError):
        kind, code = _kind(error)
        return Failure(kind, str(error)), code
    text = " ".join(str(error).split())
    name = type(error).__name__
    return Failure("crash", f"{name}: {text}" if text else name), FAILED


def _kind(error: BridgeError) -> tuple[str, int]:
    return next((kind, code) for one, kind, code in _KINDS if isinstance(error, one))


def _lines(error: Exception, failure: Failure) -> list[str]:
    if isinstance(error, BridgeError):
        # Of a bad configuration all problems are told, each with its place.
        return [f"Error: {one}" for one in getattr(error, "problems", ())] or [f"Error: {error}"]
    return [f"Error: something unforeseen happened: {failure.message}", _WHAT_TO_DO]


def _wants_json(arguments: Sequence[str]) -> bool:
    return (
        is_given("--json", arguments)
        or is_given("--output=json", arguments)
        or ("--output", "json") in pairwise(arguments)
    )


def _prepare_completion() -> None:
    from typer.completion import (  # noqa: PLC0415 - where a shell asks for it
        get_completion_inspect_parameters,
    )

    # Makes typer's shells known, as its own option for completion would.
    get_completion_inspect_parameters()


def _log_everything() -> None:
    import logging  # noqa: PLC0415 - for debugging alone

    # Other libraries' debug logs may hold what was sent, keys included.
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    logging.getLogger("massgen_bridge").setLevel(logging.DEBUG)
