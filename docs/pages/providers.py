"""The page of providers: who serves models, where, and with whose key."""

from __future__ import annotations

from massgen_bridge.models.providers import LOCAL, PROVIDERS
from massgen_bridge.specs import ProviderSpec
from pages.markdown import table

__all__ = ["page"]

_PAGE = """\
# Providers

Values of `provider` in a connection under `models:`, and of the part before the slash in
`backend.model: provider/model`. A plugin adds more through the hook
[`bridge_providers`](hooks.md).

{providers}

- A key is read from the first of these variables that is set, unless the connection names another
  one with `api_key: ${{NAME}}`. It goes to the provider's own hosts alone: a `base_url` elsewhere
  needs an `api_key` of its own.
- *Tools*, *schema* and *media* are what all chat models of the provider can do, as far as that is
  known; a connection says it for its own model with `tools`, `structured` and `inputs`.
- What a run on a provider that charges will cost, `massgen-bridge run --dry-run` estimates from
  the public price list in the package `genai-prices`.

## Addresses

The first protocol that the agent's kind speaks is taken, unless the connection sets `protocol`.

{addresses}
"""


def page() -> str:
    """The page."""
    return _PAGE.format(
        providers=table(
            ("provider", "who", "key", "tools", "schema", "media", "charges"),
            [_provider(one) for one in PROVIDERS],
        ),
        addresses=table(
            ("provider", "protocol", "address"),
            [
                (f"`{one.name}`", f"`{protocol}`", _address(one.name, url))
                for one in PROVIDERS
                for protocol, url in one.base_urls.items()
            ],
        ),
    )


def _provider(one: ProviderSpec) -> tuple[str, ...]:
    variables = " or ".join(f"`{name}`" for name in one.key_variables)
    if not one.needs_key:
        variables = f"none needed ({variables})" if variables else "none"
    return (
        f"`{one.name}`",
        one.summary,
        variables,
        _yes(one.traits.tools),
        _yes(one.traits.structured),
        ", ".join(sorted(one.traits.inputs)) or "no",
        _yes(one.prices_id is not None),
    )


def _yes(value: bool) -> str:  # noqa: FBT001 - a value to be shown
    return "yes" if value else "no"


def _address(provider: str, url: str) -> str:
    return "on this machine, started by the run" if provider == LOCAL else f"`{url}`"
