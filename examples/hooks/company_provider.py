"""A provider: models behind a gateway of your own, known by name in every configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from massgen_bridge import ModelTraits, ProviderSpec, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable


@hookimpl
def bridge_providers() -> Iterable[ProviderSpec]:
    """Register the provider `company`."""
    return [
        ProviderSpec(
            name="company",
            summary="The company's own gateway",
            base_urls={"chat": "${COMPANY_GATEWAY}/v1"},
            key_variables=("COMPANY_KEY",),
            traits=ModelTraits(structured=False, inputs=frozenset()),
        )
    ]
