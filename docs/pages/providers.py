"""The page of providers: who serves models, where, and with whose key."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from massgen_bridge import AdapterSpec, ModelTraits, ProviderSpec, Quirks
from massgen_bridge.connection import Protocols
from massgen_bridge.models.providers import LOCAL, PROVIDERS
from massgen_bridge.models.resolution import Choice, resolve
from massgen_bridge.models.settings import ModelConfig
from massgen_bridge.plugins import PluginHost, catalogue
from pages.markdown import table

__all__ = ["page"]

_PAGE = """\
# Providers

Values of `provider` in a connection under `models:`, and of the part before the slash in
`backend.model: provider/model`. A configuration adds more under
[`providers:`](../how-to/add-a-provider-in-yaml.md), a plugin through the hook
[`bridge_providers`](hooks.md).

{providers}

- A key is read from the first of these variables that is set, unless the connection names another
  one with `api_key: ${{NAME}}`. It goes to the provider's own hosts alone: a `base_url` elsewhere
  needs an `api_key` of its own.
- *Tools*, *schema* and *media* are what all chat models of the provider can do by the first of its
  [protocols](#addresses), as far as that is known; a connection says it for its own model with
  `tools`, `structured` and `inputs`.
- What a run on a provider that charges will cost, `massgen-bridge run --dry-run` estimates from
  the public price list in the package `genai-prices`.

## Which kinds can use them

What a model of the provider can do through each kind of agent: `T` tools, `S` schema, `I` pictures,
`D` documents, `A` audio, `V` films. Empty where the kind speaks none of its protocols. It is what
the kind and all chat models of the provider can do by the protocol that is taken; a connection says
more of its own model.

{matrix}

## Pictures

What they take of pictures, as far as anybody states it; the limits depend on the model, and change.
Pictures beyond them are made to fit before a call. A connection says otherwise with `image_limits`.

{images}

## What they understand of Chat Completions

Where they differ from the common form. A connection says otherwise with `quirks`.

{quirks}

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
        matrix=_matrix(),
        images=table(
            ("provider", "formats", "one picture", "of a request", "addresses"),
            [_images(one) for one in PROVIDERS],
        ),
        quirks=table(
            ("provider", "what is different"),
            [(f"`{one.name}`", told) for one in PROVIDERS if (told := _quirks(one))],
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


def _traits(provider: ProviderSpec, protocols: Sequence[Protocols]) -> ModelTraits:
    """What its models can do by the protocol that is chosen."""
    variables = {*provider.key_variables, "AZURE_OPENAI_ENDPOINT"}
    environ = dict.fromkeys(variables, "https://any.openai.azure.com")
    model = ModelConfig(provider=provider.name, model=None if provider.name == LOCAL else "any")
    choice = Choice(name="any", config=model, provider=provider)
    return resolve(choice, protocols, environ).traits


def _provider(one: ProviderSpec) -> tuple[str, ...]:
    traits = _traits(one, [next(iter(one.base_urls))])
    variables = " or ".join(f"`{name}`" for name in one.key_variables)
    if not one.needs_key:
        variables = f"none needed ({variables})" if variables else "none"
    return (
        f"`{one.name}`",
        one.summary,
        variables,
        _yes(traits.tools),
        _yes(traits.structured),
        ", ".join(sorted(traits.inputs)) or "no",
        _yes(one.prices_id is not None),
    )


def _matrix() -> str:
    host = PluginHost()
    ready = [kind for kind, one in catalogue().items() if one.status == "available"]
    specs = [spec for spec in map(host.adapter, ready) if spec.protocols and spec.framework]
    return table(
        ("provider", *(f"`{spec.kind}`" for spec in specs)),
        [(f"`{one.name}`", *(_through(spec, one) for spec in specs)) for one in PROVIDERS],
    )


def _through(spec: AdapterSpec, provider: ProviderSpec) -> str:
    """What models of a provider can do through a kind."""
    if not set(spec.protocols) & set(provider.base_urls):
        return ""
    able, traits = spec.capabilities, _traits(provider, spec.protocols)
    inputs = able.inputs & traits.inputs
    letters = (
        ("T", able.tools and traits.tools),
        ("S", able.structured and traits.structured),
        ("I", "image" in inputs),
        ("D", "document" in inputs),
        ("A", "audio" in inputs),
        ("V", "video" in inputs),
    )
    return " ".join(letter for letter, can in letters if can) or "text"


def _images(one: ProviderSpec) -> tuple[str, ...]:
    limits = one.traits.images
    single = (
        (limits.max_bytes, "bytes"),
        (limits.max_pixels, "pixels"),
        (limits.max_side, "pixels a side"),
    )
    whole = ((limits.max_count, "pictures"), (limits.max_request_bytes, "bytes in base64"))
    return (
        f"`{one.name}`",
        ", ".join(sorted(name.partition("/")[2] for name in limits.formats)),
        _bounds(single),
        _bounds(whole),
        _yes(limits.urls),
    )


def _bounds(bounds: Iterable[tuple[int | None, str]]) -> str:
    return ", ".join(f"{most:,} {what}" for most, what in bounds if most is not None)


def _quirks(one: ProviderSpec) -> str:
    usual, own = Quirks(), one.quirks
    names = [name for name in Quirks.model_fields if getattr(own, name) != getattr(usual, name)]
    return ", ".join(f"`{name}: {_as_yaml(getattr(own, name))}`" for name in names)


def _as_yaml(value: object) -> str:
    return json.dumps(value).strip('"')


def _yes(value: bool) -> str:  # noqa: FBT001 - a value to be shown
    return "yes" if value else "no"


def _address(provider: str, url: str) -> str:
    return "on this machine, started by the run" if provider == LOCAL else f"`{url}`"
