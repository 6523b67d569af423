"""Name errors: what your own code raises gets a kind, so that a consensus knows what to expect.

An agent whose failure may pass (`rate_limit`, `server`, `network`) is asked again in the next
round; one that crashed is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from massgen_bridge import hookimpl

if TYPE_CHECKING:
    from massgen_bridge import ErrorKind

# HTTP clients such as httpx and requests keep the status in `error.response`, SDKs in the error.
STATUSES: dict[int, ErrorKind] = {
    401: "auth",
    403: "permission",
    404: "not_found",
    429: "rate_limit",
}


@hookimpl
def bridge_classify_error(error: Exception) -> ErrorKind | None:
    """Go by the HTTP status, then by Python's own classes; no opinion on anything else."""
    status = getattr(getattr(error, "response", error), "status_code", None)
    if isinstance(status, int):
        return "server" if status >= 500 else STATUSES.get(status)  # noqa: PLR2004 - HTTP's 5xx
    if isinstance(error, TimeoutError):
        return "timeout"
    return "network" if isinstance(error, ConnectionError) else None
