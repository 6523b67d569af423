"""Shared fixtures of the core's tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from massgen_bridge.models.local import weights_path

# These test installed wheels and run outside the source tree: `nox -s wheels`.
collect_ignore = ["wheels"]

# A busy machine is slow, which says nothing of the code: time is measured in benchmarks alone.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


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
