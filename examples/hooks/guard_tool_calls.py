"""Guard tool calls: agents may only read, and only files of the working directory.

What is not on the list is denied, so a tool that a plugin adds tomorrow is denied as well.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from massgen_bridge import ToolVerdict, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from massgen_bridge import JsonValue, ToolCall

ALLOWED = ("read_*", "list_*", "search_*")
PATH_ARGUMENTS = frozenset({"path", "paths", "file", "files", "folder"})


@hookimpl
def bridge_tool_call(call: ToolCall) -> ToolVerdict | None:
    """Deny what may not be called; the reason is told to the model, which may try otherwise."""
    if not any(fnmatchcase(call.name, pattern) for pattern in ALLOWED):
        allowed = ", ".join(ALLOWED)
        return ToolVerdict(action="deny", reason=f"only these tools are allowed: {allowed}")
    for name in sorted(PATH_ARGUMENTS & call.arguments.keys()):
        for path in _texts(call.arguments[name]):
            problem = _problem(path)
            if problem:
                return ToolVerdict(action="deny", reason=f"{path!r} {problem}")
    return None


def _texts(value: JsonValue) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)


def _problem(path: str) -> str | None:
    # Resolved, for a link or a `..` may lead anywhere.
    root = Path.cwd().resolve()
    target = (root / path).resolve()
    if not target.is_relative_to(root):
        return "is outside the working directory"
    if any(part.startswith(".") for part in target.relative_to(root).parts):
        return "is hidden, and hidden files may hold secrets"
    return None
