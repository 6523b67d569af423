"""Name errors: what your own code raises gets a kind, so that a consensus knows what to expect.

An agent whose failure may pass (`rate_limit`, `server`, `network`) is asked again in the next
round; one that crashed is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from massgen_bridge import hookimpl

if TYPE_CHECKING:
    from massgen_bridge import ErrorKind


@hookimpl
def bridge_classify_error(error: Exception) -> ErrorKind | None:
    """A connection that the other side closed is the network's fault, not the agent's."""
    return "network" if isinstance(error, ConnectionError) else None
