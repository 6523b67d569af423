"""Shared fixtures of the core's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from massgen_bridge.models.local import weights_path

# These test installed wheels and run outside the source tree: `nox -s wheels`.
collect_ignore = ["wheels"]


@pytest.fixture
def anyio_backend() -> str:
    """The event loop that the product runs on."""
    return "asyncio"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home folder, but for the local model, so that commands find it without a network."""
    weights = weights_path()
    home = tmp_path / "home"
    models = home / ".cache" / "massgen-bridge" / "models"
    models.mkdir(parents=True)
    (models / weights.name).symlink_to(weights)
    return home
