"""Which connection or provider a name means; a name that means none gets the nearest one told."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from massgen_bridge.errors import ConfigError
from massgen_bridge.models.settings import ModelConfig

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from massgen_bridge.specs import ProviderSpec

__all__ = ["find_provider", "nearest_name", "reference"]


def reference(
    text: str,
    models: Mapping[str, ModelConfig],
    providers: Mapping[str, ProviderSpec],
    default_provider: str | None = None,
    *,
    only: bool = False,
) -> ModelConfig:
    """The connection that `backend.model` means.

    In this order: a name from `models`; the name of a provider with a model of its own
    (`local`); `provider/model`; a model of `default_provider`.

    Args:
        text: The value of `backend.model`.
        models: The top-level `models:`, by name.
        providers: The registered providers, by name.
        default_provider: Provider of the agent's kind for plain model names.
        only: Whether every name but those from `models` is a model of that provider.

    Raises:
        ConfigError: None of these; the text suggests the nearest name.
    """
    if text in models:
        return models[text]
    if only and text and default_provider is not None:
        return ModelConfig(provider=default_provider, model=text)
    if text in providers:
        return _own_model(providers[text])
    prefix, slash, rest = text.partition("/")
    if slash and rest and prefix in providers:
        return ModelConfig(provider=prefix, model=rest)
    if text and default_provider is not None and not _slip(prefix if slash else "", providers):
        return ModelConfig(provider=default_provider, model=text)
    raise ConfigError(_no_such_model(text, models, providers))


def find_provider(
    name: str, config: ModelConfig, providers: Mapping[str, ProviderSpec]
) -> ProviderSpec:
    """The registered provider of the connection `name`.

    Raises:
        ConfigError: There is none of that name; the text suggests the nearest one.
    """
    if config.provider in providers:
        return providers[config.provider]
    near = nearest_name(config.provider, providers)
    hint = f" (did you mean {near!r}?)" if near else ""
    raise ConfigError(
        f"model connection {name!r}: there is no provider {config.provider!r}{hint}: expected one "
        f"of {', '.join(sorted(providers))}"
    )


def nearest_name(name: str, known: Collection[str]) -> str | None:
    """The known name that is most like another one; None where none is like it."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)), None)


def _own_model(provider: ProviderSpec) -> ModelConfig:
    if provider.default_model is None:
        raise ConfigError(
            f"{provider.name!r} is a provider, not a model: expected '{provider.name}/<model>' "
            "with one of its models"
        )
    return ModelConfig(provider=provider.name)


def _slip(prefix: str, providers: Iterable[str]) -> bool:
    """Whether `prefix` is a misspelt provider rather than part of a model's name.

    Model hubs have owners such as `mistralai` and `x-ai`, so that what only adds to a provider's
    name, or only sets hyphens, is none.
    """
    near = difflib.get_close_matches(prefix, list(providers), n=1, cutoff=0.7)
    return bool(near) and not prefix.replace("-", "").startswith(near[0])


def _no_such_model(
    text: str, models: Mapping[str, ModelConfig], providers: Mapping[str, ProviderSpec]
) -> str:
    prefix, slash, rest = text.partition("/")
    near = nearest_name(prefix, providers) if slash and rest else None
    guess = f"{near}/{rest}" if near else nearest_name(text, [*models, *providers])
    hint = f" (did you mean {guess!r}?)" if guess else ""
    named = ", ".join(map(repr, sorted(models))) or "none is defined"
    return (
        f"there is no model {text!r}{hint}: expected a name from 'models:' ({named}), or "
        f"'provider/model' with one of the providers {', '.join(sorted(providers))}"
    )
