"""A tool: agents may read text files of the working directory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from massgen_bridge import ToolDefinition, ToolSpec, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MOST_CHARACTERS = 50_000

READ_FILE = ToolDefinition(
    name="read_file",
    description="Read a text file.",
    input_schema={
        "type": "object",
        "properties": {"path": {"type": "string", "description": "Relative path of the file."}},
        "required": ["path"],
        "additionalProperties": False,
    },
)


async def read_file(arguments: Mapping[str, Any]) -> str:
    """The file's text; what is raised here is told to the model as an error."""
    text = await anyio.Path(arguments["path"]).read_text(encoding="utf-8")
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"the file has {len(text)} characters; at most {MOST_CHARACTERS} fit")
    return text


@hookimpl
def bridge_tools() -> Iterable[ToolSpec]:
    """Register the tool; a configuration gives it to agents with `tools: [read_file]`."""
    return [ToolSpec(definition=READ_FILE, call=read_file)]
