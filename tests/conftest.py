"""Shared fixtures of the core's tests."""

from __future__ import annotations

import pytest

# These test installed wheels and run outside the source tree: `nox -s wheels`.
collect_ignore = ["wheels"]


@pytest.fixture
def anyio_backend() -> str:
    """The event loop that the product runs on."""
    return "asyncio"
