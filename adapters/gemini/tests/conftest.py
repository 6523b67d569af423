"""Shared fixtures of the adapter's tests."""

from __future__ import annotations

import pytest

from massgen_bridge.testing.fixtures import model_server

__all__ = ["anyio_backend", "model_server"]


@pytest.fixture
def anyio_backend() -> str:
    """The event loop that the product runs on."""
    return "asyncio"
