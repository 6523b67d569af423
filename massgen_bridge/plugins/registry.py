"""What plugins register by name, and the errors of asking for something that is not there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar, cast

import massgen_bridge
from massgen_bridge.agent import Capabilities
from massgen_bridge.errors import AdapterMissing, ConfigError, DuplicateName, PluginError
from massgen_bridge.plugins.catalogue import CORE, catalogue
from massgen_bridge.plugins.loading import (
    ALLOW_LIST_VARIABLE,
    Implementation,
    LoadedPlugin,
    PluginSet,
)
from massgen_bridge.plugins.records import (
    AdapterInfo,
    AdapterOrigin,
    ExtensionInfo,
    nearest,
    one_line,
)
from massgen_bridge.specs import (
    AdapterSpec,
    KindAlias,
    ProviderSpec,
    SinkSpec,
    StrategySpec,
    ToolSpec,
)

__all__ = ["Registry"]

Spec = AdapterSpec | ToolSpec | StrategySpec | SinkSpec | ProviderSpec
SpecT = TypeVar("SpecT", AdapterSpec, ToolSpec, StrategySpec, SinkSpec, ProviderSpec)

_HOOKS: Mapping[type[Spec], tuple[str, str]] = MappingProxyType(
    {
        AdapterSpec: ("bridge_adapters", "agent kind"),
        ToolSpec: ("bridge_tools", "tool"),
        StrategySpec: ("bridge_strategies", "strategy"),
        SinkSpec: ("bridge_sinks", "sink"),
        ProviderSpec: ("bridge_providers", "provider"),
    }
)
"""The hook that registers each type of spec, and what people call it."""


class Registry:
    """The specs of all plugins, by the hook that registers them and by their name."""

    def __init__(self, plugins: PluginSet) -> None:
        self._plugins = plugins
        self._known: dict[type[Spec], tuple[object, Mapping[str, list[Any]]]] = {}
        self._adapters: dict[str, tuple[object, AdapterSpec]] = {}

    def gather(self, plugin: LoadedPlugin) -> None:
        """Call the registration hooks of a plugin now; its problems tell what went wrong."""
        for expected, (hook, _) in _HOOKS.items():
            if hook in plugin.hooks:
                self._gather(expected)

    def find(self, expected: type[SpecT], name: str) -> SpecT:
        """The one spec of a type and a name.

        Raises:
            ConfigError: Nobody registers it.
            DuplicateName: Several do.
        """
        claims = self._claims(expected)
        noun = _HOOKS[expected][1]
        if name not in claims:
            known = ", ".join(sorted(claims)) or "none"
            raise ConfigError(
                f"unknown {noun} {name!r}{nearest(name, claims)} (known: {known}){self._suspects()}"
            )
        return _only(noun, name, claims[name])

    def infos(self, expected: type[SpecT]) -> tuple[ExtensionInfo, ...]:
        """What is registered of a type, sorted by name."""
        noun = _HOOKS[expected][1]
        claims = self._claims(expected)
        return tuple(_info(noun, name, claims[name]) for name in sorted(claims))

    # --- adapters: also those that are known without being there ---------------------------------

    def adapter(self, kind: str) -> AdapterSpec:
        """The adapter of a kind; see `PluginHost.adapter`."""
        owner, alias = self._alias(kind)
        if alias is not None:
            return self.adapter(owner).called(alias)
        known, spec = self._adapters.get(kind, (None, None))
        if spec is not None and known is self._claims(AdapterSpec):
            return spec
        claims = self._with_bundled(kind)
        claimants = [plugin for plugin, _ in claims.get(kind, ())]
        claimants += [plugin for plugin in self._broken(kind) if plugin not in claimants]
        if len(claimants) > 1:
            raise DuplicateName(_duplicate("agent kind", kind, claimants))
        if kind in claims:
            spec = _only("agent kind", kind, claims[kind])
            self._adapters[kind] = claims, spec
            return spec
        raise self._no_adapter(kind, claimants)

    def origin(self, kind: str) -> AdapterOrigin:
        """Where the adapter of a kind comes from; see `PluginHost.origin`."""
        self.adapter(kind)
        kind, _ = self._alias(kind)
        plugin, _ = self._claims(AdapterSpec)[kind][0]
        return AdapterOrigin(source=plugin.source, target=plugin.target, module=plugin.module)

    def _alias(self, name: str) -> tuple[str, KindAlias | None]:
        """The kind that a name stands for, and how it is special; a kind stands for itself."""
        claims = self._claims(AdapterSpec)
        if name in claims or self._broken(name):
            return name, None
        owners = [kind for kind, entry in catalogue().items() if name in entry.aliases]
        for kind in {*claims, *owners}:
            for _, spec in self._with_bundled(kind).get(kind, ()):
                alias = next((one for one in spec.aliases if one.name == name), None)
                if alias is not None:
                    return kind, alias
        return name, None

    def _with_bundled(self, kind: str) -> Mapping[str, list[tuple[LoadedPlugin, AdapterSpec]]]:
        """What all plugins register, with the core's own adapter of a kind where nobody has one."""
        claims = self._claims(AdapterSpec)
        if kind not in claims and not self._broken(kind) and self._plugins.is_bundled(kind):
            self._plugins.load_bundled(kind)
            claims = self._claims(AdapterSpec)
        return claims

    def _no_adapter(self, kind: str, broken: list[LoadedPlugin]) -> PluginError | ConfigError:
        if broken:
            reasons = "; ".join(broken[0].reasons)
            return AdapterMissing(f"agent kind {kind!r} is broken in {broken[0].origin}: {reasons}")
        if self._plugins.is_left_out(kind):
            return AdapterMissing(
                f"agent kind {kind!r} is installed, but {ALLOW_LIST_VARIABLE} leaves it out"
            )
        entry = catalogue().get(kind)
        if entry and entry.install:
            # Only a host without installed plugins, or a core without its sources, comes here.
            return AdapterMissing(
                f"agent kind {kind!r} is not installed; install it with: {entry.install}"
            )
        ready = [name for name, one in catalogue().items() if one.status == "available"]
        aliases = {name for entry in catalogue().values() for name in entry.aliases}
        known = {*self._claims(AdapterSpec), *ready, *aliases}
        names = ", ".join(sorted(known))
        if entry:
            return AdapterMissing(
                f"agent kind {kind!r} is planned, but not available yet (available: {names})"
            )
        return ConfigError(
            f"unknown agent kind {kind!r}{nearest(kind, known)} (known: {names}){self._suspects()}"
        )

    def adapters(self) -> tuple[AdapterInfo, ...]:
        """Every kind that is installed, broken or in the catalogue, sorted by name."""
        claims = self._claims(AdapterSpec)
        broken = {one.name for one in self._plugins if _is_broken_adapter(one)}
        names = sorted({*claims, *broken, *catalogue()})
        return tuple(self._adapter_info(name, claims.get(name, [])) for name in names)

    def _adapter_info(
        self, kind: str, claims: list[tuple[LoadedPlugin, AdapterSpec]]
    ) -> AdapterInfo:
        broken = self._broken(kind)
        if len(claims) + len(broken) > 1:
            problem = _duplicate("agent kind", kind, [*(plugin for plugin, _ in claims), *broken])
            return AdapterInfo(name=kind, summary="", state="duplicate", problem=problem)
        if claims:
            plugin, spec = claims[0]
            return AdapterInfo(
                name=kind,
                summary=_summary(spec),
                state="bundled" if plugin.source == "bundled" else "installed",
                distribution=plugin.distribution_name,
                version=plugin.version,
                source=plugin.source,
                capabilities=spec.capabilities,
                requires=tuple(spec.requires),
                framework=spec.framework,
                python=spec.python,
                own_process=spec.own_process,
                aliases={one.name: one.summary for one in spec.aliases},
            )
        if broken:
            return AdapterInfo(
                name=kind,
                summary="",
                state="broken",
                distribution=broken[0].distribution_name,
                version=broken[0].version,
                problem="; ".join(broken[0].reasons),
            )
        entry = catalogue()[kind]
        if self._plugins.is_bundled(kind):
            return AdapterInfo(
                name=kind,
                summary=entry.summary,
                state="bundled",
                distribution=CORE,
                version=massgen_bridge.__version__,
                install=entry.install,
                source="bundled",
                capabilities=Capabilities.model_validate(entry.capabilities),
                requires=tuple(entry.requires),
                framework=entry.framework,
                python=entry.python,
                own_process=entry.own_process,
                aliases=entry.aliases,
            )
        return AdapterInfo(
            name=kind,
            summary=entry.summary,
            state="installable" if entry.install else "planned",
            distribution=entry.distribution,
            install=entry.install,
        )

    def _broken(self, kind: str) -> list[LoadedPlugin]:
        """Plugins that should offer a kind, as their entry point says, but cannot."""
        claimed = {plugin.key for plugin, _ in self._claims(AdapterSpec).get(kind, ())}
        return [
            plugin
            for plugin in self._plugins
            if plugin.name == kind and plugin.key not in claimed and _is_broken_adapter(plugin)
        ]

    def _suspects(self) -> str:
        """A hint at broken plugins: one of them may have offered what is asked for."""
        broken = [one for one in self._plugins if one.problems]
        told = ", ".join(f"{one.name!r}: {'; '.join(one.reasons)}" for one in broken)
        return f"; broken plugins: {told}" if told else ""

    # --- gathering -------------------------------------------------------------------------------

    def _claims(self, expected: type[SpecT]) -> Mapping[str, list[tuple[LoadedPlugin, SpecT]]]:
        """What all plugins register of a type, by name."""
        # The same tuple until another plugin is registered.
        implementations = self._plugins.implementations(_HOOKS[expected][0])
        known, claims = self._known.get(expected, (None, {}))
        if known is not implementations:
            claims = {}
            for plugin, found in self._gather(expected):
                for spec in found:
                    if isinstance(spec, expected):
                        claims.setdefault(_name(spec), []).append((plugin, spec))
            claims = {name: _first_choice(claimed) for name, claimed in claims.items()}
            self._known[expected] = implementations, claims
        return claims

    def _gather(self, expected: type[Spec]) -> list[tuple[LoadedPlugin, tuple[object, ...]]]:
        """What each plugin registers of a type; every plugin is asked once."""
        hook = _HOOKS[expected][0]
        gathered = []
        for implementation in self._plugins.implementations(hook):
            plugin = implementation.plugin
            if hook not in plugin.specs:
                plugin.specs[hook] = _call(implementation, expected)
            gathered.append((plugin, plugin.specs[hook]))
        return gathered


def _call(implementation: Implementation, expected: type[Spec]) -> tuple[object, ...]:
    """What an implementation registers; nothing if it fails, which is noted with its plugin."""
    hook, problems = implementation.hook, implementation.plugin.problems
    try:
        found = tuple(cast("Iterable[object]", implementation({})))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin costs only itself
        problems.append(f"{hook} failed: {one_line(error)}")
        return ()
    wrong = [one for one in found if not isinstance(one, expected)]
    if wrong:
        problems.append(
            f"{hook} returned a {type(wrong[0]).__name__} where a {expected.__name__} is expected"
        )
        return ()
    return found


def _first_choice(claims: list[tuple[LoadedPlugin, SpecT]]) -> list[tuple[LoadedPlugin, SpecT]]:
    """Without what the core came with, where somebody else offers the same."""
    return [one for one in claims if one[0].source != "bundled"] or claims


def _is_broken_adapter(plugin: LoadedPlugin) -> bool:
    """Whether a plugin should offer the kind that its entry point is named after, but cannot."""
    if plugin.source not in {"built-in", "bundled", "entry point"} or plugin.missing:
        return False
    return bool(plugin.problems) and (not plugin.usable or "bridge_adapters" in plugin.hooks)


def _name(spec: Spec) -> str:
    if isinstance(spec, AdapterSpec):
        return spec.kind
    return spec.definition.name if isinstance(spec, ToolSpec) else spec.name


def _summary(spec: Spec) -> str:
    return spec.definition.description if isinstance(spec, ToolSpec) else spec.summary


def _only(noun: str, name: str, claims: list[tuple[LoadedPlugin, SpecT]]) -> SpecT:
    if len(claims) > 1:
        raise DuplicateName(_duplicate(noun, name, [plugin for plugin, _ in claims]))
    return claims[0][1]


def _duplicate(noun: str, name: str, plugins: list[LoadedPlugin]) -> str:
    origins = " and by ".join(plugin.origin for plugin in plugins)
    return f"{noun} {name!r} is registered more than once: by {origins}; remove all but one"


def _info(noun: str, name: str, claims: list[tuple[LoadedPlugin, SpecT]]) -> ExtensionInfo:
    plugin, spec = claims[0]
    if len(claims) > 1:
        problem = _duplicate(noun, name, [plugin for plugin, _ in claims])
        return ExtensionInfo(name=name, summary="", state="duplicate", problem=problem)
    return ExtensionInfo(
        name=name,
        summary=_summary(spec),
        state="installed",
        distribution=plugin.distribution_name,
        version=plugin.version,
    )
