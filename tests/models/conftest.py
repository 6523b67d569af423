"""What the tests of connections share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from massgen_bridge.models.providers import PROVIDERS

if TYPE_CHECKING:
    from massgen_bridge.specs import ProviderSpec


@pytest.fixture
def providers() -> dict[str, ProviderSpec]:
    """The built-in providers, by name."""
    return {provider.name: provider for provider in PROVIDERS}
