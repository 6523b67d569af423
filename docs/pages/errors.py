"""The page of errors: the tree, the kinds, and how a command ends."""

from __future__ import annotations

from massgen_bridge import errors
from massgen_bridge.cli import _failures, _output, run_command
from massgen_bridge.errors import AgentError, error_of_kind
from pages.markdown import docstring, table

__all__ = ["page"]

_PAGE = """\
# Errors

Everything that massgen-bridge raises on purpose is a `BridgeError`. Its text is one line: what is
wrong, where, and what to do.

```text
{tree}
```

{below}

## Kinds

The class says how a turn failed; records and JSON carry its `kind`. A model call that failed in a
retryable way is made again within the [connection's](yaml.md#modelsnameretry) `retry`; a turn is
never made again as a whole, since its tools may have acted.

{kinds}

An exception that an adapter did not foresee becomes the kind that a
[`bridge_classify_error`](hooks.md) hook names, else `crash`. It costs the agent its turn, not the
run.

## How a command ends

{codes}

With `--output json` (of `run`) and `--json` (of other commands) a failure is also told on stdout,
as the value of `error`: an object with `kind`, `message` and, for configurations, `file`, `line`
and `column`. Beside the kinds above, `kind` is one of:

{failures}
"""


def page() -> str:
    """The page."""
    _, _, rest = (errors.__doc__ or "").partition(".. code-block:: text\n")
    lines = rest.strip("\n").split("\n")
    end = next(number for number, line in enumerate(lines) if line and not line.startswith("    "))
    tree = "\n".join(line.removeprefix("    ") for line in lines[:end]).strip("\n")
    return _PAGE.format(
        tree=tree,
        below=" ".join("\n".join(lines[end:]).split()),
        kinds=table(
            ("kind", "class", "made again", "meaning"),
            [_kind(error_of_kind(kind)) for kind in errors.ERROR_KINDS],
        ),
        codes=_codes(),
        failures=table(
            ("kind", "exit code", "meaning"),
            [
                (f"`{kind}`", f"`{code}`", docstring(error).text)
                for error, kind, code in _failures._KINDS  # noqa: SLF001 - its only list
            ],
        ),
    )


def _kind(error: type[AgentError]) -> tuple[str, ...]:
    again = "yes" if error.retryable else "no"
    return f"`{error.kind}`", f"`{error.__name__}`", again, docstring(error).text


def _codes() -> str:
    """The exit codes, in the words of the command line's own docstring."""
    assert _output.DONE == 0  # noqa: S101 - what the sentence begins with
    return f"Exit codes: {docstring(run_command).returns.removeprefix('The exit code: ')}"
