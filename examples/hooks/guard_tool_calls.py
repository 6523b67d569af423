"""Guard tool calls: `read_file` stays below the working directory and away from hidden files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from massgen_bridge import ToolVerdict, hookimpl

if TYPE_CHECKING:
    from massgen_bridge import ToolCall


@hookimpl
def bridge_tool_call(call: ToolCall) -> ToolVerdict | None:
    """Deny what must not be read; no opinion on other tools."""
    if call.name != "read_file":
        return None
    root = Path.cwd().resolve()
    path = (root / call.arguments["path"]).resolve()
    if not path.is_relative_to(root):
        return ToolVerdict(action="deny", reason="this file is outside the working directory")
    if any(part.startswith(".") for part in path.relative_to(root).parts):
        return ToolVerdict(action="deny", reason="hidden files may hold secrets")
    return ToolVerdict(action="allow")
