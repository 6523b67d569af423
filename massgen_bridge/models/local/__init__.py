"""A small language model that needs no account: its weights, and the server that runs it."""

from massgen_bridge.models.local.server import (
    LOCAL_MODEL,
    NOTICE,
    TRAITS,
    LocalServer,
    LocalServers,
    LocalSettings,
    LocalStatus,
    status,
)
from massgen_bridge.models.local.weights import (
    WEIGHTS_PACKAGE,
    WEIGHTS_SHA256,
    WEIGHTS_SIZE,
    check_weights,
    find_weights,
    install_weights,
    own_weights,
    weights_path,
)

__all__ = [
    "LOCAL_MODEL",
    "NOTICE",
    "TRAITS",
    "WEIGHTS_PACKAGE",
    "WEIGHTS_SHA256",
    "WEIGHTS_SIZE",
    "LocalServer",
    "LocalServers",
    "LocalSettings",
    "LocalStatus",
    "check_weights",
    "find_weights",
    "install_weights",
    "own_weights",
    "status",
    "weights_path",
]
