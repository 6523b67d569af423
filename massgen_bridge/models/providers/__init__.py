"""The providers that massgen-bridge knows; a plugin like any other.

The traits are careful ones: `structured` stands only where a JSON Schema holds for all chat models
of the provider, and `inputs` only where its models are known to take them. A configuration
overrides them for the model that it names.
"""

from massgen_bridge.models.providers.hosts import provider_for_url, trusted_hosts
from massgen_bridge.models.providers.self_hosted import ASSIGNED_AT_RUN_TIME, LOCAL
from massgen_bridge.models.providers.table import PROVIDERS, bridge_providers

__all__ = [
    "ASSIGNED_AT_RUN_TIME",
    "LOCAL",
    "PROVIDERS",
    "bridge_providers",
    "provider_for_url",
    "trusted_hosts",
]
