"""A hook under a name that does not exist."""

from massgen_bridge import AdapterSpec, hookimpl


@hookimpl
def bridge_adapter() -> list[AdapterSpec]:
    return []
