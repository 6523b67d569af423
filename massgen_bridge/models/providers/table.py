"""All the providers that come with massgen-bridge, as a plugin registers them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from massgen_bridge.hookspecs import hookimpl
from massgen_bridge.models.providers.hosted import HOSTED
from massgen_bridge.models.providers.self_hosted import SELF_HOSTED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from massgen_bridge.specs import ProviderSpec

__all__ = ["PROVIDERS", "bridge_providers"]

PROVIDERS: Final[tuple[ProviderSpec, ...]] = HOSTED + SELF_HOSTED


@hookimpl
def bridge_providers() -> Iterable[ProviderSpec]:
    """Register the built-in providers."""
    return PROVIDERS
