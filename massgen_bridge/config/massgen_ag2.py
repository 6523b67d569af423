"""Agents of classic AG2 in MassGen's files, which name their models themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from massgen_bridge.config.massgen_backends import Translated, translated
from massgen_bridge.config.massgen_types import AG2_PROVIDERS, LATER_KEYS, BackendType
from massgen_bridge.config.problems import described

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_bridge.config.massgen_findings import Findings
    from massgen_bridge.config.source import KeyPath

__all__ = ["translated_agent"]

_KIND: Final = "ag2_classic"
_AGENT: Final = "agent_config"
_MODEL: Final = "llm_config"
_NO_PLACE: Final = frozenset({"human_input_mode", "llm_config"})


def translated_agent(
    backend: Mapping[str, Any], at: KeyPath, findings: Findings
) -> Translated | None:
    """Bring an agent of classic AG2 into the current form.

    Args:
        backend: What the file says.
        at: Where it stands there.
        findings: Gets what is to be told of it.

    Returns:
        The agent; None if it cannot be read.
    """
    agent = backend.get(_AGENT)
    for key, value in backend.items():
        if key in LATER_KEYS - {_AGENT}:
            if value:
                findings.later.append((*at, key))
        elif key not in {"type", _AGENT}:
            findings.dropped.append((*at, key))
    if not isinstance(agent, dict):
        if not backend.get("group_config"):
            where, said = _said(agent, (*at, _AGENT))
            message = f"expected the mapping {_AGENT!r}, which describes the agent, {said}"
            findings.problems.add(where, message)
        return None
    found = _model(agent, (*at, _AGENT), findings)
    if found is None:
        return None
    if "human_input_mode" in agent:  # MassGen never asks a person
        findings.dropped.append((*at, _AGENT, "human_input_mode"))
    own = {key: value for key, value in agent.items() if key not in _NO_PLACE}
    return replace(found, backend={"type": _KIND, _AGENT: own})


def _model(agent: Mapping[str, Any], at: KeyPath, findings: Findings) -> Translated | None:
    """The connection to the model that the agent names."""
    given: Any = agent.get(_MODEL)
    path: KeyPath = (_AGENT, _MODEL)
    where: KeyPath = (*at, _MODEL)
    if isinstance(given, list) and given:
        if len(given) > 1:  # models that are tried one after the other
            findings.later.append(where)
            return None
        given, path, where = given[0], (*path, 0), (*where, 0)
    if not isinstance(given, dict):
        place, said = _said(given, where)
        findings.problems.add(
            place, f"expected the mapping {_MODEL!r}, which names a model, {said}"
        )
        return None
    kind = given.get("api_type", "openai")
    provider = AG2_PROVIDERS.get(kind) if isinstance(kind, str) else None
    if provider is None:
        findings.later.append((*where, "api_type"))
        return None
    model = {key: value for key, value in given.items() if key != "api_type"}
    found = translated(model, where, findings, kind=_KIND, of=BackendType(provider))
    written = {key: (*path, *keys) for key, keys in found.written.items()}
    written["provider",] = (*path, "api_type")
    return replace(found, written=written, within=path)


def _said(value: Any, where: KeyPath) -> tuple[KeyPath, str]:
    """Where something of another form stands, and what it is."""
    if value is None:
        return where[:-1], "which is missing"
    return where, f"found {described(value)}"
