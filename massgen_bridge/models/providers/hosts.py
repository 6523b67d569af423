"""Which hosts belong to a provider: its keys go to these alone."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from massgen_bridge.models.addresses import host_within, is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterable

    from massgen_bridge.specs import ProviderSpec

__all__ = ["provider_for_url", "trusted_hosts"]


def trusted_hosts(provider: ProviderSpec) -> frozenset[str]:
    """The hosts that may get the keys of `provider` without the configuration naming one.

    Empty for a provider that people run themselves: its key belongs to whatever server the
    configuration points to.
    """
    own = (urlsplit(url).hostname for url in provider.base_urls.values() if "${" not in url)
    hosts = {host for host in own if host} | set(provider.other_hosts)
    away = {host for host in hosts if not is_loopback(f"//{host}")}
    return frozenset(hosts if away else ())


def provider_for_url(url: str, providers: Iterable[ProviderSpec]) -> ProviderSpec | None:
    """The provider that the host of `url` belongs to; None for loopback and unknown hosts."""
    host = urlsplit(url).hostname
    if host is None or is_loopback(url):
        return None
    for provider in providers:
        if host_within(host, trusted_hosts(provider)):
            return provider
    return None
