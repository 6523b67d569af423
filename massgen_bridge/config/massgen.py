"""MassGen's own configuration files, those of its release 0.0.29, brought into the current form.

The result is a configuration like any other, whose values stand where the file has them. What
those files say and what has no place here yet is refused at once; what has no meaning here is left
out, and what nobody here knows is passed on to the model's server, each with one warning a file.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from massgen_bridge.config.massgen_ag2 import translated_agent
from massgen_bridge.config.massgen_backends import translated
from massgen_bridge.config.massgen_findings import Findings
from massgen_bridge.config.massgen_types import AG2_TYPES, LATER_KEYS, kind_of
from massgen_bridge.config.models import AgentConfig, Document
from massgen_bridge.config.problems import Problems, described
from massgen_bridge.plugins.records import nearest

if TYPE_CHECKING:
    from massgen_bridge.config.massgen_backends import Translated
    from massgen_bridge.config.source import KeyPath, Source

__all__ = ["from_massgen"]

_logger = logging.getLogger("massgen_bridge.config")

_TOP: Final = frozenset({"agent", "agents", "display", "orchestrator", "timeout_settings", "ui"})
_OURS: Final = frozenset(Document.model_fields) - _TOP
_OF_AGENTS: Final = frozenset({"backend", "id", "system_message"})
_OF_AGENTS_HERE: Final = frozenset(AgentConfig.model_fields)
_NO_VERSION: Final = (
    "there is no 'version: 1', so this is read as a MassGen file, and those have 'agents' or"
    " 'agent'; a configuration of the current form begins with the line 'version: 1'"
)
_NEEDS_VERSION: Final = (
    "no MassGen file has this key; in a configuration of the current form, add the line"
    " 'version: 1'"
)
_LATER: Final = frozenset({"context_paths", "coordination", "skip_coordination_rounds"})
_DISPLAYS: Final = {"rich_terminal": "auto", "simple": "plain", "terminal": "plain"}
_SINGLE: Final = "use_orchestrator_for_single_agent"


def from_massgen(source: Source) -> Source:
    """The same configuration in the current form; errors in it point to the file as it is.

    Args:
        source: A mapping without `version`.

    Raises:
        InvalidConfig: It is no MassGen file, or one that cannot be read yet.
    """
    reading = _Reading(source)
    data = reading.document()
    reading.findings.refuse()
    warnings = tuple(reading.findings.warnings())
    for warning in warnings:
        _logger.warning("%s", warning)
    return replace(source, data=data, origins=reading.origins, warnings=warnings)


class _Reading:
    def __init__(self, source: Source) -> None:
        self._data: Mapping[str, Any] = source.data
        self.findings = Findings(Problems(source), source)
        self.origins: dict[KeyPath, KeyPath] = {}
        self._models: dict[str, Any] = {}
        self._providers: dict[str, Any] = {}

    def document(self) -> dict[str, Any]:
        """The whole file in the current form; what is wrong with it is among the findings."""
        data = self._data
        self._check_top()
        result: dict[str, Any] = {"version": 1, "agents": self._agents()}
        result |= {"models": self._models, "providers": self._providers}
        result["ui"] = {**self._ui("display", "type"), **self._ui("ui", "display_type")}
        if data.get("timeout_settings") is not None:
            result["timeout_settings"] = data["timeout_settings"]
        self._orchestrator()
        if self._alone():
            result["strategy"] = {"type": "single"}
        return result

    def _check_top(self) -> None:
        if "agent" not in self._data and "agents" not in self._data:
            self.findings.problems.add((), _NO_VERSION)
        for key in self._data:
            if key not in _TOP:
                self._unknown((key,), _TOP, _OURS)
        if "agent" in self._data and "agents" in self._data:
            self.findings.dropped.append(("agents",))

    def _unknown(self, path: KeyPath, theirs: frozenset[str], ours: frozenset[str]) -> None:
        """Note a key that no file of MassGen has here."""
        key = str(path[-1])
        if key == "mcp_servers":
            self.findings.later.append(path)
        elif key in ours:
            self.findings.problems.add(path, _NEEDS_VERSION, at_key=True)
        elif similar := nearest(key, theirs | ours):
            self.findings.problems.add(path, f"is not known{similar}", at_key=True)
        else:
            self.findings.dropped.append(path)

    # --- agents ----------------------------------------------------------------------------------

    def _agents(self) -> Any:
        if "agent" in self._data:
            return [self._agent(0, self._data["agent"], ("agent",))]
        agents = self._data.get("agents", [])
        if not isinstance(agents, list):
            return agents
        return [self._agent(index, one, ("agents", index)) for index, one in enumerate(agents)]

    def _agent(self, index: int, agent: Any, at: KeyPath) -> Any:
        self.origins["agents", index] = at
        if not isinstance(agent, dict):
            return agent
        result: dict[str, Any] = {"id": f"agent{index + 1}"}
        for key, value in agent.items():
            if key in _OF_AGENTS:
                result[key] = value
            else:
                self._unknown((*at, key), _OF_AGENTS, _OF_AGENTS_HERE)
        if isinstance(agent.get("backend"), dict):
            found = self._backend(agent["backend"], (*at, "backend"))
            if found is not None:
                result["backend"] = self._placed(found, index, str(result["id"]), (*at, "backend"))
                result |= {} if found.ballot is None else {"ballot": found.ballot}
        return result

    def _backend(self, backend: Mapping[str, Any], at: KeyPath) -> Translated | None:
        kind = kind_of(backend, at, self.findings)
        if kind in AG2_TYPES:
            return translated_agent(backend, at, self.findings)
        if kind is not None:
            return translated(backend, at, self.findings, kind=kind)
        # Refused already; the keys that every type has are told with it.
        later = [key for key in backend if key in LATER_KEYS and backend[key]]
        self.findings.later += [(*at, key) for key in later]
        return None

    def _placed(self, found: Translated, index: int, name: str, at: KeyPath) -> dict[str, Any]:
        """The agent's backend; its connection has the agent's name."""
        backend = dict(found.backend)
        if "model" in found.connection:
            backend["model"] = name
        connection = dict(found.connection)
        if found.own_provider is not None:
            connection["provider"] = self._own_provider(*found.own_provider, at)
        self._models[name] = connection
        self.origins["models", name] = (*at, *found.within)
        for key, written in found.written.items():
            self.origins["models", name, *key] = (*at, *written)
        for option, written in found.options.items():
            self.origins["agents", index, "backend", option] = (*at, *written)
        return backend

    def _own_provider(self, name: str, row: Mapping[str, Any], at: KeyPath) -> str:
        free = (name if count == 1 else f"{name}-{count}" for count in range(1, 1_000_000))
        chosen = next(one for one in free if self._providers.get(one, row) == row)
        self._providers[chosen] = row
        self.origins.setdefault(("providers", chosen), at)
        return chosen

    # --- the rest --------------------------------------------------------------------------------

    def _section(self, name: str) -> Mapping[str, Any]:
        value = self._data.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.findings.problems.add((name,), f"expected a mapping, found {described(value)}")
            return {}
        return value

    def _ui(self, section: str, key: str) -> dict[str, str]:
        """How the run is shown; `display`, which MassGen itself never reads, means the same."""
        shown: dict[str, str] = {}
        for name, value in self._section(section).items():
            if name in {"type", "display_type"}:
                if not isinstance(value, str) or value not in _DISPLAYS:
                    known = ", ".join(map(repr, _DISPLAYS))
                    what = f"expected one of {known}, found {described(value)}"
                    self.findings.problems.add((section, name), what)
                elif name == key or key not in self._section(section):
                    shown["display"] = _DISPLAYS[value]
            elif not (value is True and name == "logging_enabled") and name != _SINGLE:
                self.findings.dropped.append((section, name))
        return shown

    def _alone(self) -> bool:
        """Whether the only agent answers without a vote."""
        agents = self._data.get("agents")
        is_one = "agent" in self._data or (isinstance(agents, list) and len(agents) == 1)
        return is_one and self._section("ui").get(_SINGLE) is False

    def _orchestrator(self) -> None:
        for key, value in self._section("orchestrator").items():
            if key not in _LATER:
                self.findings.dropped.append(("orchestrator", key))
            elif value:
                self.findings.later.append(("orchestrator", key))
