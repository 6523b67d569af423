"""What commands print for programs, and the exit codes that they end with."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import typer

from massgen_bridge.cli._stdout import stdout
from massgen_bridge.errors import BridgeError

__all__ = [
    "BAD_USAGE",
    "DONE",
    "FAILED",
    "INTERRUPTED",
    "READER_GONE",
    "BadUsage",
    "Failure",
    "Stopped",
    "failed_run",
    "print_json",
    "say",
]

DONE = 0
FAILED = 1
BAD_USAGE = 2
INTERRUPTED = 130
READER_GONE = 141


class BadUsage(BridgeError):
    """The command was given something that it cannot use."""


class Stopped(Exception):
    """A command was stopped from outside; `code` is the exit code that says so."""

    def __init__(self, code: int) -> None:
        super().__init__(f"stopped with exit code {code}")
        self.code = code


class Failure(NamedTuple):
    """Why a command failed: the value of `error` in JSON."""

    kind: str
    message: str
    file: str | None = None
    line: int | None = None
    column: int | None = None


def failed_run(failure: Failure, **known: Any) -> dict[str, Any]:
    """The object that `run --output json` prints where no run came about."""
    return {
        "run_id": None,
        "status": "error",
        "answer": None,
        "winner": None,
        "votes": [],
        "answers": [],
        "errors": [],
        "tie_broken_by": None,
        "usage": {
            "input_tokens": 0,
            "cached_tokens": 0,
            "cache_write_tokens": 0,
            "output_tokens": 0,
            "reasoning_tokens": 0,
            "calls": 0,
        },
        "calls": 0,
        "cost": {"usd": None, "unpriced_calls": 0, "unpriced": []},
        "agents": [],
        "duration_s": 0.0,
        "message": None,
        "dissent": [],
        "error": failure._asdict(),
        **known,
    }


def print_json(value: Any) -> None:
    """Print JSON (or text that is JSON already) in a line; in UTF-8, whatever the terminal has."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    out = stdout()
    out.flush()
    out.buffer.write(text.encode(errors="replace") + b"\n")
    out.buffer.flush()


def say(text: str, *, nl: bool = True) -> None:
    """Print what a command was asked for."""
    typer.echo(text, file=stdout(), nl=nl)
