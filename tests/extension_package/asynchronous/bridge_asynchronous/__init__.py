"""An asynchronous hook, which nobody would ever await."""

from massgen_bridge import AdapterSpec, hookimpl


@hookimpl
async def bridge_adapters() -> list[AdapterSpec]:
    return []
