"""All checks of a configuration; nothing that it names is imported."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from pydantic import BaseModel

from massgen_bridge.config.misplaced import places_of_keys
from massgen_bridge.config.models import BackendConfig, Document, RunConfig, StrategyConfig
from massgen_bridge.config.problems import Problems, described, parse
from massgen_bridge.config.source import KeyPath, Source
from massgen_bridge.config.teams import Around, path_of, team_source
from massgen_bridge.errors import BridgeError, ConfigError, DuplicateName
from massgen_bridge.isolation.choice import place, stays_here
from massgen_bridge.isolation.packages import Packages
from massgen_bridge.isolation.placement import Isolation
from massgen_bridge.models.provider_rows import ProviderConfig
from massgen_bridge.models.references import find_provider, reference
from massgen_bridge.models.settings import ModelConfig

if TYPE_CHECKING:
    from massgen_bridge.plugins import PluginHost
    from massgen_bridge.specs import AdapterSpec, ProviderSpec

__all__ = ["Check"]

T = TypeVar("T")

_LATER_TOP = frozenset({"mcp_servers", "orchestrator"})
_LATER_BELOW = frozenset({"mcp_servers"})
_TEAM_LIMITS = frozenset({"idle_s", "wall_s"})
_OWN_BACKEND_KEYS = tuple(name for name in BackendConfig.model_fields if name != "options")
_DEFAULT_STRATEGY = StrategyConfig.model_fields["type"].default
_VARIABLE = re.compile(r"\$\{[^{}]*\}")


class Check:
    """One pass over a configuration, which finds everything that is wrong with it.

    Args:
        source: The configuration.
        host: Knows the kinds, tools, strategies, sinks and providers.
        plugins_loaded: Whether the host has the configuration's own plugins; where it has not,
            unknown names may still turn out to be known.
        around: What a team has around it.
    """

    def __init__(
        self,
        source: Source,
        host: PluginHost,
        *,
        plugins_loaded: bool,
        around: Around | None = None,
    ) -> None:
        self._source = source = _current_form(source)
        self._host = host
        self._problems = Problems(source)
        self._around = around or Around()
        self._models = dict(self._around.models)
        self._teams: dict[str, RunConfig] = {}
        self._own_providers = dict(self._around.providers)
        self._known_providers: dict[str, ProviderSpec] | None = None
        self._unchecked: list[KeyPath] = []
        self._plugins_loaded = plugins_loaded
        self._may_wait = self._around.may_wait
        self._packages = Packages()

    def run(self) -> RunConfig:
        """The checked configuration.

        Raises:
            InvalidConfig: There is at least one problem.
        """
        self._check_form()
        data = self._normalised(self._source.data)
        if not self._plugins_loaded and _items(data.get("plugins")):
            self._may_wait = True
        document = parse(Document, data, (), self._problems)
        self._check_variables(data, ())
        self._check_providers(data.get("providers"))
        self._check_models(data.get("models"))
        options = self._check_agents(_items(data.get("agents")))
        strategy = self._options_of(self._host.strategy, data.get("strategy", {}), ("strategy",))
        if strategy is not None:
            self._check_strategy(strategy, data)
            self._check_roles(data)
        sinks = tuple(
            self._options_of(self._host.sink, one, ("sinks", index))
            for index, one in enumerate(_items(data.get("sinks")))
        )
        self._problems.raise_any()
        assert document is not None  # noqa: S101 - without a document there was a problem
        return RunConfig(
            document=document,
            source=self._source,
            agent_options=MappingProxyType(options),
            strategy_options=strategy,
            sink_options=sinks,
            unchecked=tuple(self._unchecked),
            teams=MappingProxyType(self._teams),
            inherited=MappingProxyType(dict(self._around.models)),
            inherited_providers=MappingProxyType(dict(self._around.providers)),
        )

    # --- the form --------------------------------------------------------------------------------

    def _check_form(self) -> None:
        data = self._source.data
        if data is None:
            self._problems.add((), "the configuration is empty")
        elif not isinstance(data, dict):
            self._problems.add((), f"expected a mapping, found {described(data)}")
        elif type(data["version"]) is not int or data["version"] != 1:
            found = described(data["version"])
            self._problems.add(("version",), f"expected the number 1, found {found}")
        self._problems.raise_any()

    def _normalised(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """The same values in the shape of the models: own keys of kinds go into `options`."""
        result = self._without_later(data, (), _LATER_TOP)
        if "strategy" in result:
            result["strategy"] = _named(result["strategy"])
        if isinstance(result.get("sinks"), list):
            result["sinks"] = [_named(one) for one in result["sinks"]]
        if isinstance(result.get("agents"), list):
            agents = enumerate(result["agents"])
            result["agents"] = [self._agent(one, ("agents", index)) for index, one in agents]
        return result

    def _agent(self, agent: Any, path: KeyPath) -> Any:
        if not isinstance(agent, dict):
            return agent
        agent = self._without_later(agent, path, _LATER_BELOW)
        if isinstance(agent.get("backend"), dict):
            backend = self._without_later(agent["backend"], (*path, "backend"), _LATER_BELOW)
            agent["backend"] = _split(backend, _OWN_BACKEND_KEYS)
        return agent

    def _without_later(
        self, data: Mapping[str, Any], path: KeyPath, later: frozenset[str]
    ) -> dict[str, Any]:
        for key in data.keys() & later:
            self._problems.add((*path, key), "is not supported yet; take it out", at_key=True)
        return {key: value for key, value in data.items() if key not in later}

    def _check_variables(self, value: Any, path: KeyPath) -> None:
        """Refuse a variable where it would be taken as it stands."""
        if path[:1] in {("models",), ("providers",)} or path[-1:] == ("system_message",):
            return
        for key, one in _children(value):
            inner = path if key == "options" else (*path, key)
            if isinstance(one, str) and _VARIABLE.fullmatch(one):
                places = "'models:' and 'providers:'"
                message = f"environment variables such as {one!r} stand in {places} alone"
                self._problems.add(inner, message)
            if key != "options" or not self._is_team(value):
                self._check_variables(one, inner)

    def _is_team(self, backend: Any) -> bool:
        """Whether an agent is a team, whose configuration is checked by itself."""
        kind = backend.get("type") if isinstance(backend, dict) else None
        try:
            return isinstance(kind, str) and self._host.adapter(kind).is_team
        except BridgeError:
            return False

    # --- models ----------------------------------------------------------------------------------

    @property
    def _providers(self) -> dict[str, ProviderSpec]:
        if self._known_providers is None:
            ready = (one.name for one in self._host.providers() if one.state == "installed")
            known = {name: self._host.provider(name) for name in ready}
            self._known_providers = {**known, **self._own_providers}
        return self._known_providers

    def _check_providers(self, providers: Any) -> None:
        for name, value in providers.items() if isinstance(providers, dict) else ():
            # What is wrong with the form itself is known already.
            row = parse(ProviderConfig, value, (), Problems(self._source))
            if row is None or not isinstance(name, str):
                continue
            if name in self._providers:
                message = (
                    f"there is a provider {name!r} already: choose another name, or say under "
                    "'models:' what is different for a connection"
                )
                self._problems.add(("providers", name), message, at_key=True)
            self._own_providers[name] = self._providers[name] = row.spec(name)

    def _check_models(self, models: Any) -> None:
        for name, value in models.items() if isinstance(models, dict) else ():
            # What is wrong with the form itself is known already.
            model = parse(ModelConfig, value, (), Problems(self._source))
            if model is not None:
                self._models[name] = model
            provider = value.get("provider") if isinstance(value, dict) else None
            if isinstance(provider, str) and not self._is_spoilt(provider):
                any_model = ModelConfig.model_construct(provider=provider)
                find = partial(find_provider, name, any_model, self._providers)
                self._known(("models", name, "provider"), find)

    def _check_model(self, spec: AdapterSpec, backend: Mapping[str, Any], path: KeyPath) -> None:
        model = backend.get("model")
        if model is None:
            if spec.needs_model:
                message = f"the key 'model' is missing; agents of kind {spec.kind!r} need one"
                self._problems.add(path, message, at_key=True)
            return
        if not isinstance(model, str) or not model:
            return
        path = (*path, "model")
        if not spec.protocols:
            self._problems.add(path, f"agents of kind {spec.kind!r} use no model", at_key=True)
        elif model not in self._declared_models and not self._is_spoilt(model.partition("/")[0]):
            self._known(path, partial(self._meant, model, spec))

    def _meant(self, model: str, spec: AdapterSpec) -> ProviderSpec:
        usual, only = spec.default_provider, spec.one_provider
        # One that is declared with a mistake has a name all the same.
        declared = dict.fromkeys(self._declared_models, ModelConfig.model_construct(provider=""))
        known = {**declared, **self._models}
        meant = reference(model, known, self._providers, usual, only=only)
        return find_provider(model, meant, self._providers)

    def _is_spoilt(self, provider: str) -> bool:
        """Whether a provider is declared here with a mistake, which is told already."""
        declared = self._source.data.get("providers")
        return (
            isinstance(declared, dict) and provider in declared and provider not in self._providers
        )

    @property
    def _declared_models(self) -> Mapping[str, Any]:
        models = self._source.data.get("models")
        return {**self._around.models, **(models if isinstance(models, dict) else {})}

    # --- agents ----------------------------------------------------------------------------------

    def _check_agents(self, agents: list[Any]) -> dict[str, BaseModel]:
        first: dict[str, int] = {}
        options: dict[str, BaseModel] = {}
        for index, agent in enumerate(agents):
            path: KeyPath = ("agents", index)
            if not isinstance(agent, dict):
                continue
            name = agent.get("id")
            if isinstance(name, str) and first.setdefault(name, index) != index:
                message = f"the id {name!r} is taken already by agents[{first[name]}]"
                self._problems.add((*path, "id"), message)
            spec = self._check_backend(agent.get("backend"), (*path, "backend"))
            self._check_abilities(agent, spec, path)
            if spec is not None:
                own = agent["backend"]["options"]
                parsed = parse(
                    spec.options,
                    own,
                    (*path, "backend"),
                    self._problems,
                    also=_OWN_BACKEND_KEYS,
                    elsewhere=places_of_keys(spec),
                )
                if parsed is not None:
                    self._check_place(spec, parsed, agent["backend"], (*path, "backend"))
                if parsed is not None and isinstance(name, str):
                    options[name] = parsed
                    if spec.is_team:
                        self._check_team(name, agent, path)
        return options

    def _check_place(
        self, spec: AdapterSpec, options: BaseModel, backend: Mapping[str, Any], path: KeyPath
    ) -> None:
        """See that the agent can run where it is to run."""
        isolation, variables = backend.get("isolation", "auto"), backend.get("env")
        more = backend.get("packages", ())
        if isolation not in get_args(Isolation) or not self._check_packages(more, path):
            return  # told already
        origin, here = self._host.origin(spec.kind), self._packages
        try:
            chosen = place(spec, options, isolation, origin=origin, packages=here, more=more)
        except ConfigError as error:
            at = (*path, "isolation") if "isolation" in backend else path
            self._problems.add(at, error.message)
            return
        if variables and not chosen.is_remote:
            where = "the agent runs in this process, which has all variables"
            advice = "take it out"
            if stays_here(spec, origin) is None:
                advice += ", or give the agent a process of its own with 'isolation: process'"
            self._problems.add((*path, "env"), f"{where}; {advice}", at_key=True)

    def _check_packages(self, more: Any, path: KeyPath) -> bool:
        """Whether the requirements of an agent's own code are right."""
        if not isinstance(more, list | tuple) or not all(isinstance(one, str) for one in more):
            return False  # told by the model
        if not more:
            return True
        from massgen_bridge.isolation.requirements import check_floor  # noqa: PLC0415 - takes long

        is_right = True
        for index, one in enumerate(more):
            try:
                check_floor(one)
            except ConfigError as error:
                self._problems.add((*path, "packages", index), error.message)
                is_right = False
        return is_right

    def _check_team(self, name: str, agent: Mapping[str, Any], path: KeyPath) -> None:
        """Check the configuration of an agent that is a team, as one of its own."""
        limits = agent.get("limits")
        for key in sorted({*limits} - _TEAM_LIMITS) if isinstance(limits, dict) else ():
            message = "give it to the team's own agents: a team as a whole has no such limit"
            self._problems.add((*path, "limits", key), message, at_key=True)
        backend: KeyPath = (*path, "backend")
        options = agent["backend"]["options"]
        is_file = options.get("config") is not None
        at = (*backend, "config") if is_file else backend
        try:
            inner = self._team(backend, options, is_file=is_file)
        except ConfigError as error:
            if error.file is None:
                self._problems.add(at, error.message)
            else:
                self._problems.take(error)
            return
        try:
            self._teams[name] = inner.run()
        except ConfigError as error:
            self._problems.take(error)
            return
        self._unchecked += [(*at, *one) for one in self._teams[name].unchecked]

    def _team(self, backend: KeyPath, options: Mapping[str, Any], *, is_file: bool) -> Check:
        own = path_of(self._source)
        files = self._around.files
        around = Around(
            files=files if own is None or own in files else (*files, own),
            depth=self._around.depth + 1,
            models={} if is_file else self._models,
            providers={} if is_file else self._own_providers,
            may_wait=self._may_wait,
        )
        source = team_source(self._source, backend, options, around)
        return Check(source, self._host, plugins_loaded=self._plugins_loaded, around=around)

    def _check_backend(self, backend: Any, path: KeyPath) -> AdapterSpec | None:
        if not isinstance(backend, dict):
            return None
        kind = backend.get("type")
        if not isinstance(kind, str):
            return None
        spec = self._known((*path, "type"), lambda: self._host.adapter(kind))
        if spec is not None:
            self._check_model(spec, backend, path)
        return spec

    def _check_abilities(
        self, agent: Mapping[str, Any], spec: AdapterSpec | None, path: KeyPath
    ) -> None:
        tools = _items(agent.get("tools"))
        for index, tool in enumerate(tools):
            if isinstance(tool, str):
                self._known((*path, "tools", index), partial(self._host.tool, tool))
        if spec is None:
            return
        kind = f"agents of kind {spec.kind!r}"
        if tools and not spec.capabilities.tools:
            self._problems.add((*path, "tools"), f"{kind} cannot call tools", at_key=True)
        ballot = agent.get("ballot")
        if spec.is_team and ballot == "text":
            self._problems.add((*path, "ballot"), f"{kind} vote by 'schema'; use 'auto'")
        if ballot == "tools" and not spec.capabilities.tools:
            self._problems.add((*path, "ballot"), f"{kind} cannot call tools; use 'auto'")
        if ballot == "schema" and not spec.capabilities.structured:
            self._problems.add((*path, "ballot"), f"{kind} have no structured output; use 'auto'")

    def _check_strategy(self, options: BaseModel, data: Mapping[str, Any]) -> None:
        """Let the strategy say what is wrong with its options for these agents."""
        ids: list[Any] = [
            one.get("id") for one in _items(data.get("agents")) if isinstance(one, dict)
        ]
        name = data.get("strategy", {}).get("type", _DEFAULT_STRATEGY)
        check = self._host.strategy(name).check
        if check is None or not ids or not all(isinstance(one, str) for one in ids):
            return
        try:
            found = [(tuple(path), str(message)) for path, message in check(options, ids)]
        except Exception as error:  # noqa: BLE001 - the check may be a plugin's
            self._problems.add(("strategy",), f"its check of the options broke: {error!r}")
            return
        for path, message in found:
            # Below an option, names are keys of a mapping.
            named = len(path) > 1 and isinstance(path[-1], str)
            self._problems.add(("strategy", *path), message, at_key=named)

    def _check_roles(self, data: Mapping[str, Any]) -> None:
        """Who proposes and who votes, where the strategy heeds that; else nobody may say so."""
        name = data.get("strategy", {}).get("type", _DEFAULT_STRATEGY)
        agents = [one for one in _items(data.get("agents")) if isinstance(one, dict)]
        if not self._host.strategy(name).roles:
            for index, agent in enumerate(agents):
                for key in ("roles", "weight"):
                    if key in agent:
                        message = f"the strategy {name!r} knows no {key} of agents; leave it out"
                        self._problems.add(("agents", index, key), message, at_key=True)
            return
        held = [tuple(_items(agent.get("roles", ["propose", "vote"]))) for agent in agents]
        if not held:
            return
        if not any("propose" in roles for roles in held):
            self._problems.add(("agents",), "no agent has the role 'propose': nobody answers")
        proposers = sum("propose" in roles for roles in held)
        if proposers > 1 and not any({"vote", "break_ties"} & set(map(str, r)) for r in held):
            message = "no agent has the role 'vote' or 'break_ties': nothing is decided"
            self._problems.add(("agents",), message)

    # --- names -----------------------------------------------------------------------------------

    def _known(self, path: KeyPath, find: Callable[[], T]) -> T | None:
        """What is found by a name; a problem where there is none, or a name to be checked later."""
        try:
            return find()
        except DuplicateName as error:
            self._problems.add(path, str(error))
        except BridgeError as error:
            if self._may_wait:
                self._unchecked.append(path)
            else:
                message = error.message if isinstance(error, ConfigError) else str(error)
                self._problems.add(path, message)
        return None

    def _options_of(
        self, find: Callable[[str], Any], section: Any, path: KeyPath
    ) -> BaseModel | None:
        """The options of a strategy or sink that is found by its type."""
        if not isinstance(section, dict) or not isinstance(section.get("type", ""), str):
            return None
        spec = self._known((*path, "type"), lambda: find(section.get("type", _DEFAULT_STRATEGY)))
        if spec is None:
            return None
        own = section.get("options", {})
        return parse(spec.options, own, path, self._problems, also=("type",))


def _current_form(source: Source) -> Source:
    """A MassGen file as a configuration like any other."""
    if not isinstance(source.data, dict) or "version" in source.data:
        return source
    from massgen_bridge.config.massgen import from_massgen  # noqa: PLC0415 - most are none

    return from_massgen(source)


def _split(section: Mapping[str, Any], own: tuple[str, ...]) -> dict[str, Any]:
    """A section with the keys that are not its own moved into `options`."""
    result = {key: value for key, value in section.items() if key in own}
    result["options"] = {key: value for key, value in section.items() if key not in own}
    return result


def _named(section: Any) -> Any:
    """A strategy or sink, written as a name or as a mapping with `type`."""
    if isinstance(section, str):
        return {"type": section, "options": {}}
    return _split(section, ("type",)) if isinstance(section, dict) else section


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _children(value: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)
