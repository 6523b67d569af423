"""A registration that fails when it is called."""

from massgen_bridge import AdapterSpec, hookimpl


@hookimpl
def bridge_adapters() -> list[AdapterSpec]:
    raise RuntimeError("out of order")
