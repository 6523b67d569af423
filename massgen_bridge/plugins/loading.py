"""The plugins of a host: built in, installed, named by a configuration or given by code."""

from __future__ import annotations

import inspect
import os
import re
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import Distribution, EntryPoint
from types import ModuleType
from typing import Any, NamedTuple

import pluggy

import massgen_bridge
from massgen_bridge import hookspecs
from massgen_bridge.errors import PluginError
from massgen_bridge.plugins.bundled import bundled_source, offer_bundled
from massgen_bridge.plugins.catalogue import CORE, catalogue
from massgen_bridge.plugins.checks import hook_problems
from massgen_bridge.plugins.importing import FROM_FILE
from massgen_bridge.plugins.metadata import entry_points_of, written
from massgen_bridge.plugins.records import PluginInfo, PluginSource, nearest, one_line

__all__ = ["ALLOW_LIST_VARIABLE", "HOOKS", "Implementation", "LoadedPlugin", "PluginSet"]

ALLOW_LIST_VARIABLE = "MASSGEN_BRIDGE_PLUGINS"

_OF_CORE = re.compile(r"massgen[-_.]bridge *[<>=!~]", re.IGNORECASE)

BUILT_IN_KINDS = {
    "human": "massgen_bridge.kinds.human",
    "python": "massgen_bridge.kinds.python",
    "scripted": "massgen_bridge.kinds.scripted",
    "team": "massgen_bridge.kinds.team",
}
"""The core's own entry points; kept here too, so that they work without installed metadata."""

_OF_THE_CORE = frozenset({"built-in", "bundled"})

_BUILT_IN_LATER = {
    "bridge_providers": ("providers", "massgen_bridge.models.providers"),
    "bridge_strategies": ("strategies", "massgen_bridge.strategies"),
}

HOOKS: Mapping[str, tuple[str, ...]] = {
    name: tuple(inspect.signature(getattr(hookspecs, name)).parameters)
    for name in hookspecs.__all__
    if name.startswith("bridge_")
}
"""Every hook with its arguments."""


@dataclass(kw_only=True)
class LoadedPlugin:
    """A plugin and what became of it.

    `key` is its name, made unique within its host; `module` what another process can import to get
    it too.
    """

    key: str
    name: str
    source: PluginSource
    target: str
    distribution: Distribution | None = None
    distribution_name: str | None = None
    module: str | None = None
    usable: bool = True
    missing: bool = False
    hooks: tuple[str, ...] = ()
    problems: list[str] = field(default_factory=list)
    specs: dict[str, tuple[object, ...]] = field(default_factory=dict)

    @property
    def version(self) -> str | None:
        """The distribution's version, where it can be read."""
        if self.source in _OF_THE_CORE:
            return massgen_bridge.__version__
        return written(self.distribution, "Version") if self.distribution else None

    @property
    def origin(self) -> str:
        """Where it comes from, in words for an error."""
        if self.distribution_name:
            version = f" {self.version}" if self.version else ""
            return f"distribution {self.distribution_name!r}{version}"
        return f"{self.source} {self.target!r}"

    @property
    def reasons(self) -> tuple[str, ...]:
        """Its problems; if it has any, also which massgen-bridge its distribution was made for."""
        if not self.problems or self.distribution is None:
            return tuple(self.problems)
        asked = [one for one in self.distribution.requires or () if _OF_CORE.match(one)]
        made_for = [
            f"it was made for {one}, and this is {massgen_bridge.__version__}" for one in asked
        ]
        return (*self.problems, *made_for[:1])

    def info(self) -> PluginInfo:
        """A frozen copy for reports."""
        return PluginInfo(
            name=self.name,
            source=self.source,
            target=self.target,
            distribution=self.distribution_name,
            version=self.version,
            hooks=self.hooks,
            problems=self.reasons,
        )


class Implementation(NamedTuple):
    """One plugin's implementation of one hook."""

    plugin: LoadedPlugin
    hook: str
    call: pluggy.HookImpl

    def __call__(self, arguments: Mapping[str, object]) -> object:
        """Call it with those of the hook's arguments that it takes.

        Raises:
            BaseException: Whatever the plugin raises.
            TypeError: It returned an awaitable.
        """
        result = self.call.function(*(arguments[name] for name in self.call.argnames))
        if inspect.isawaitable(result):
            if inspect.iscoroutine(result):
                result.close()
            raise TypeError("it returned an awaitable; hooks are synchronous")
        return result


class PluginSet:
    """Finds and holds plugins; a broken one is kept with its reason and costs only itself."""

    def __init__(self, *, use_entry_points: bool) -> None:
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._use_entry_points = use_entry_points
        self._plugins: dict[str, LoadedPlugin] = {}
        self._later = dict(_BUILT_IN_LATER)
        self._implementations: dict[str, tuple[Implementation, ...]] = {}
        self._found = False
        self._lock = threading.RLock()
        self._bundled: set[str] = set()
        self.left_out: dict[str, str] = {}
        """Entry points that the allow-list leaves out: name to distribution."""

    def __iter__(self) -> Iterator[LoadedPlugin]:
        """Every plugin found so far, usable or not, in the order of registration."""
        self._find()
        return iter(tuple(self._plugins.values()))

    def implementations(self, hook: str) -> tuple[Implementation, ...]:
        """Who implements a hook: `tryfirst` ones, then by registration, then `trylast` ones."""
        known = self._implementations.get(hook)
        if known is not None:
            return known
        with self._lock:
            self._find()
            if hook in self._later:
                name, module = self._later.pop(hook)
                self._load_built_in(name, module)
            order = {key: index for index, key in enumerate(self._plugins)}
            found = sorted(
                getattr(self._manager.hook, hook).get_hookimpls(),
                key=lambda one: (not one.tryfirst, one.trylast, order[one.plugin_name]),
            )
            result = self._implementations[hook] = tuple(
                Implementation(plugin=self._plugins[one.plugin_name], hook=hook, call=one)
                for one in found
            )
        return result

    def add(
        self,
        plugin: object,
        *,
        name: str,
        source: PluginSource,
        target: str,
        distribution: Distribution | None = None,
    ) -> LoadedPlugin:
        """Register a plugin; one with problems is held as unusable.

        Raises:
            PluginError: The same object is registered already.
        """
        with self._lock:
            if source in {"configuration", "code"}:
                self._find()  # what is installed comes first in the order
            if self._manager.is_registered(plugin):
                earlier = self._plugins[str(self._manager.get_name(plugin))]
                raise PluginError(f"plugin {name!r} is registered already, by {earlier.origin}")
            loaded = self._new(name, source, target, distribution)
            self._register(plugin, loaded)
            self._implementations.clear()
        return loaded

    def has_object(self, plugin: object) -> bool:
        """Whether the object is registered already."""
        self._find()
        return self._manager.is_registered(plugin)

    def _new(
        self, name: str, source: PluginSource, target: str, distribution: Distribution | None
    ) -> LoadedPlugin:
        distribution_name = _name_of(distribution)
        if source in _OF_THE_CORE:
            distribution_name = CORE
        key, count = name, 1
        while key in self._plugins:
            count += 1
            key = f"{name} ({count})"
        plugin = self._plugins[key] = LoadedPlugin(
            key=key,
            name=name,
            source=source,
            target=target,
            distribution=distribution,
            distribution_name=distribution_name,
        )
        return plugin

    def _register(self, plugin: object, loaded: LoadedPlugin) -> None:
        try:
            loaded.problems += hook_problems(plugin, HOOKS, self._options_of)
            if not loaded.problems:
                self._manager.register(plugin, name=loaded.key)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - attributes may run any code
            loaded.problems.append(one_line(error))
            if self._manager.has_plugin(loaded.key):
                self._manager.unregister(name=loaded.key)
        if loaded.problems:
            loaded.usable = False
            return
        loaded.module = _importable(plugin, loaded.source)
        callers = self._manager.get_hookcallers(plugin) or ()
        loaded.hooks = tuple(sorted(caller.name for caller in callers))

    def _options_of(self, plugin: object, attribute: str) -> Mapping[str, Any] | None:
        return self._manager.parse_hookimpl_opts(plugin, attribute)

    def _find(self) -> None:
        """Load what is built in and what is installed, once."""
        with self._lock:
            if self._found:
                return
            self._found = True
            for name, module in BUILT_IN_KINDS.items():
                self._load_built_in(name, module)
            if self._use_entry_points:
                for entry_point in self._allowed(entry_points_of(hookspecs.PROJECT)):
                    self._load_entry_point(entry_point, "entry point")

    def is_bundled(self, kind: str) -> bool:
        """Whether the core came with the adapter of a kind, and it may be used."""
        allowed = _allow_list()
        return self._came_with_core(kind) and (allowed is None or kind in allowed)

    def is_left_out(self, kind: str) -> bool:
        """Whether the adapter of a kind is there, but the allow-list leaves it out."""
        self._find()
        if kind in self.left_out:
            return True
        return self._came_with_core(kind) and not self.is_bundled(kind)

    def _came_with_core(self, kind: str) -> bool:
        entry = catalogue().get(kind)
        if not self._use_entry_points or entry is None or entry.status == "planned":
            return False
        return entry.package is not None and bundled_source(entry.package) is not None

    def load_bundled(self, kind: str) -> None:
        """Load the adapter of a kind that the core came with, usable or not; only once."""
        with self._lock:
            self._find()
            package = catalogue()[kind].package
            if kind not in self._bundled and package is not None:
                self._bundled.add(kind)
                offer_bundled(package)
                self._load_first_party(kind, package, "bundled")

    def _load_built_in(self, name: str, module: str) -> None:
        self._load_first_party(name, module, "built-in")

    def _load_first_party(self, name: str, module: str, source: PluginSource) -> None:
        entry_point = EntryPoint(name=name, value=module, group=hookspecs.PROJECT)
        self._load_entry_point(entry_point, source)

    def _allowed(self, found: Iterable[EntryPoint]) -> Iterator[EntryPoint]:
        external = sorted(
            (one for one in found if BUILT_IN_KINDS.get(one.name) != one.value),
            key=lambda one: (one.name, _name_of(one.dist) or ""),
        )
        allowed = _allow_list()
        if allowed is None:
            yield from external
            return
        for one in external:
            if one.name in allowed:
                yield one
            else:
                self.left_out[one.name] = _name_of(one.dist) or one.value
        installed = {one.name for one in external} | BUILT_IN_KINDS.keys()
        for name in sorted(one for one in allowed - installed if not self.is_bundled(one)):
            missing = self._new(name, "entry point", name, None)
            missing.usable, missing.missing = False, True
            missing.problems.append(
                f"{ALLOW_LIST_VARIABLE} names it, but it is not installed{nearest(name, installed)}"
            )

    def _load_entry_point(self, entry_point: EntryPoint, source: PluginSource) -> None:
        try:
            plugin = entry_point.load()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin costs only itself
            self._quarantine(entry_point, source, one_line(error))
            return
        try:
            self.add(
                plugin,
                name=entry_point.name,
                source=source,
                target=entry_point.value,
                distribution=entry_point.dist,
            )
        except PluginError as error:
            self._quarantine(entry_point, source, str(error))

    def _quarantine(self, entry_point: EntryPoint, source: PluginSource, problem: str) -> None:
        loaded = self._new(entry_point.name, source, entry_point.value, entry_point.dist)
        loaded.usable = False
        loaded.problems.append(problem)


def _allow_list() -> frozenset[str] | None:
    """The names that the allow-list lets in; None where there is none."""
    setting = os.environ.get(ALLOW_LIST_VARIABLE)
    if setting is None:
        return None
    return frozenset(name.strip() for name in setting.split(",")) - {""}


def _importable(plugin: object, source: PluginSource) -> str | None:
    """The name by which another process can import a plugin, where it can."""
    if not isinstance(plugin, ModuleType) or source == "configuration":
        return None
    name = plugin.__name__
    is_elsewhere = name != "__main__" and not name.startswith(FROM_FILE)
    return name if is_elsewhere and sys.modules.get(name) is plugin else None


def _name_of(distribution: Distribution | None) -> str | None:
    return None if distribution is None else written(distribution, "Name")
