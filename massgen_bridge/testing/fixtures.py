"""pytest fixtures for the tests of adapters: import those that a test file uses.

    from massgen_bridge.testing.fixtures import model_server

A `conftest.py` that imports them makes them known to all tests beside and below it.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from massgen_bridge.testing.servers import ModelServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from massgen_bridge.testing.servers import Script

__all__ = ["StartModelServer", "model_server", "model_servers"]


class StartModelServer(Protocol):
    """Starts a loopback model server that ends with the test."""

    def __call__(self, script: Script | None = None, **options: Any) -> ModelServer:
        """Start a server.

        Args:
            script: what it answers; None: it echoes.
            options: as `ModelServer` takes them.
        """


@contextmanager
def model_servers() -> Iterator[StartModelServer]:
    """Starts loopback model servers that end with the block, which then raises what a script did.

    Raises:
        ScriptFailed: A script's function raised.
    """
    with ExitStack() as servers:

        def start(script: Script | None = None, **options: Any) -> ModelServer:
            return servers.enter_context(ModelServer(script, **options))

        yield start


@pytest.fixture
def model_server() -> Iterator[StartModelServer]:
    """Starts loopback model servers; the test fails if a script's function did."""
    with model_servers() as start:
        yield start
