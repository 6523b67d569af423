"""One of two plugins that both register the kind `twin`; its tool is its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from massgen_bridge import AdapterSpec, Agent, AgentContext, ToolDefinition, ToolSpec, hookimpl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_bridge import JsonValue


def _create(context: AgentContext) -> Agent:
    raise NotImplementedError(context.agent_id)


async def _call(arguments: Mapping[str, JsonValue]) -> str:
    return f"second {arguments}"


@hookimpl
def bridge_adapters() -> list[AdapterSpec]:
    return [AdapterSpec(kind="twin", summary="Second.", factory=_create)]


@hookimpl
def bridge_tools() -> list[ToolSpec]:
    definition = ToolDefinition(
        name="second", description="Second.", input_schema={"type": "object"}
    )
    return [ToolSpec(definition=definition, call=_call)]
