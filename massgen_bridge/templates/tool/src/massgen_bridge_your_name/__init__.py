"""The tool `your_name`: agents whose configuration lists it may call it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from massgen_bridge import ToolDefinition, ToolSpec, hookimpl

__all__ = ["DEFINITION", "bridge_tools", "call"]

DEFINITION = ToolDefinition(
    name="your_name",
    # The model decides by these words whether to call the tool, and with what.
    description="Count the words of a text.",
    input_schema={
        "type": "object",
        "properties": {"text": {"type": "string", "description": "The text."}},
        "required": ["text"],
        "additionalProperties": False,
    },
)


async def call(arguments: Mapping[str, Any]) -> str:
    """Run the tool once.

    Never block here: use `anyio.to_thread.run_sync` for what has no `await` of its own.

    Args:
        arguments: What the model gave, checked against the schema.

    Returns:
        What the model is told.

    Raises:
        ValueError: Whatever is raised here is told to the model as an error, and its turn goes on.
    """
    words = arguments["text"].split()
    if not words:
        raise ValueError("the text has no words")
    return f"{len(words)} words"


@hookimpl
def bridge_tools() -> list[ToolSpec]:
    """Register the tool."""
    return [ToolSpec(definition=DEFINITION, call=call)]
