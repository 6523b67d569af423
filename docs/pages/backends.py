"""A page for each kind that speaks to a model's own API, from what the kind registers."""

from __future__ import annotations

from massgen_bridge.config.schema import options_schema
from massgen_bridge.models.providers import PROVIDERS
from massgen_bridge.plugins import PluginHost, catalogue
from massgen_bridge.specs import AdapterSpec
from pages.configuration import options_tables
from pages.kinds import ABILITIES, abilities
from pages.markdown import table

__all__ = ["KINDS", "page"]

KINDS = ("openai", "anthropic", "gemini")

_PAGE = """\
# The kind {kind}

{summary}. {install}

<!-- config -->
```yaml
version: 1

agents:
  - id: ada
    backend: {{type: {kind}, model: {model}}}
strategy: single
```

`model` is {plain}, `provider/model`, or the name of [a connection](yaml.md#modelsname). `seed`,
`temperature`, limits, retries and what the model can do are set there, too, and whatever else the
provider knows goes into its `extra_body`. An option that is not listed here is refused, with the
nearest name.

## What its agents can do

Where the model can, too; [kinds compared](kinds.md) says what the words mean:

{abilities}

## Options

{options}

{aliases}

## Providers

It speaks to these by one of its protocols, {protocols}; see [providers](providers.md) for their
keys and limits.

{providers}
"""

_MODELS = {
    "openai": "gpt-5-mini",
    "anthropic": "claude-sonnet-5-5",
    "gemini": "gemini-2.5-flash",
}


def page(kind: str) -> str:
    """The page of a kind."""
    spec, entry = PluginHost().adapter(kind), catalogue()[kind]
    return _PAGE.format(
        kind=kind,
        summary=spec.summary.rstrip("."),
        install=f"Install it with `{entry.install}`." if entry.install else "Built in.",
        model=_MODELS[kind],
        plain=f"a model of the provider `{spec.default_provider}`",
        abilities=table(
            ("ability", "agents of this kind"),
            zip(ABILITIES, abilities(spec.capabilities), strict=True),
        ),
        options="\n\n".join(options_tables(options_schema(spec.options))),
        aliases=_aliases(spec),
        protocols=" or ".join(f"`{one}`" for one in spec.protocols),
        providers=table(
            ("provider", "protocol", "who"),
            [
                (f"`{one.name}`", f"`{protocol}`", one.summary)
                for one in PROVIDERS
                for protocol in [next((p for p in one.base_urls if p in spec.protocols), None)]
                if protocol is not None
            ],
        ),
    )


def _aliases(spec: AdapterSpec) -> str:
    if not spec.aliases:
        return ""
    rows = [
        (
            f"`{one.name}`",
            one.summary,
            f"`{one.provider}`" if one.provider else "as usual",
            ", ".join(f"`{name}`" for name in one.protocols) or "all",
        )
        for one in spec.aliases
    ]
    head = ("`backend.type`", "what it is", "plain model names are of", "protocols")
    return f"## Other names\n\nThe same kind, with the same options.\n\n{table(head, rows)}"
