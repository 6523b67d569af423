"""The built-in model's weights, fetched where they are missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from anyio import to_thread

from massgen_bridge.models.local import NOTICE, install_weights, own_weights, status
from massgen_bridge.models.providers import LOCAL

if TYPE_CHECKING:
    from massgen_bridge.display import Display
    from massgen_bridge.runtime.planning import Prepared

__all__ = ["FETCHING", "fetch_weights", "note_local_model", "uses_local_model"]

FETCHING = "fetching the local model's weights"


def uses_local_model(prepared: Prepared) -> bool:
    """Whether any agent's model is the built-in one."""
    if prepared.pool.is_offline:
        return False
    connections = (one for part in prepared.tree() for one in part.connections.values())
    return any(one.provider == LOCAL for one in connections)


def note_local_model(prepared: Prepared) -> None:
    """Say once what to expect of the built-in model."""
    if uses_local_model(prepared) and own_weights() is None:
        typer.echo(NOTICE, err=True)


async def fetch_weights(prepared: Prepared, display: Display) -> None:
    """Fetch the built-in model's weights, if the run needs them and they are not there.

    Raises:
        LocalModelError: They cannot be fetched.
    """
    if not uses_local_model(prepared) or own_weights() is not None:
        return
    found = await to_thread.run_sync(status)
    # Without its runtime the run fails anyway, so nothing is fetched for it.
    if found.runtime is not None and found.problem is not None:
        await install_weights(display.progress(FETCHING))
