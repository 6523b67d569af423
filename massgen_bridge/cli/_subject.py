"""Which adapter is tested, with which options: from the command line, or from a configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from massgen_bridge.cli._asking import asker
from massgen_bridge.cli._output import BadUsage
from massgen_bridge.config import InvalidConfig, Source, open_config
from massgen_bridge.config.problems import Problems, parse
from massgen_bridge.config.source import read_source
from massgen_bridge.errors import ConfigError
from massgen_bridge.plugins.records import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from massgen_bridge.config import AgentConfig, RunConfig
    from massgen_bridge.plugins import PluginHost
    from massgen_bridge.specs import AdapterSpec

__all__ = ["Subject", "find_subject"]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is to be tested.

    Attributes:
        spec: The adapter.
        options: Its options, as they stand in YAML.
        base_dir: The folder that import paths in them are relative to.
        plugins: The plugins to load before the adapter is there.
        file: The name of the one file among them; None where there is another number of them.
    """

    spec: AdapterSpec
    options: dict[str, Any]
    base_dir: Path
    plugins: tuple[str, ...]
    file: str | None


def find_subject(
    kind: str,
    host: PluginHost,
    *,
    plugins: Sequence[Path],
    options: Iterable[str],
    config: Path | None,
    agent_id: str | None,
    trust: bool,
) -> Subject:
    """Find an adapter and its options.

    What is given by its own option is allowed by that; what a configuration names asks for trust.

    Args:
        kind: The adapter's kind.
        host: Gets the plugins.
        plugins: Files with adapters.
        options: `KEY=VALUE`, the value in YAML; they come before those of the configuration.
        config: A configuration.
        agent_id: The agent in it whose options are taken; None: the only one of this kind.
        trust: Allow the code that the configuration imports.

    Raises:
        BadUsage: An option, the file or the agent is not what it should be.
        ConfigError: There is no such kind, or the configuration is wrong.
        PluginError: The kind cannot be used.
    """
    loaded = [str(path.resolve()) for path in plugins]
    host.load_plugins(loaded, Path.cwd())
    base_dir, found = Path.cwd(), {}
    if config is not None:
        opened = open_config(config, host, trust=trust, ask=asker(config))
        base_dir = opened.base_dir
        loaded += opened.plugins
        found = dict(_agent(opened, kind, agent_id, config).backend.options)
    elif agent_id is not None:
        raise BadUsage(f"--agent {agent_id!r}: give the configuration, too: --config FILE")
    spec = host.adapter(kind)
    found |= dict(map(_option, options))
    _check(spec, found)
    files = [Path(one).name for one in loaded if one.endswith(".py")]
    return Subject(
        spec=spec,
        options=found,
        base_dir=base_dir,
        plugins=tuple(loaded),
        file=files[0] if len(files) == 1 else None,
    )


def _agent(config: RunConfig, kind: str, agent_id: str | None, file: Path) -> AgentConfig:
    if agent_id is not None:
        by_id = {agent.id: agent for agent in config.agents}
        if agent_id not in by_id:
            raise BadUsage(
                f"--agent {agent_id!r}: there is no such agent in {str(file)!r}"
                f"{nearest(agent_id, by_id)}"
            )
        agent = by_id[agent_id]
        if agent.backend.type != kind:
            raise BadUsage(
                f"--agent {agent_id!r}: it is of kind {agent.backend.type!r}, not {kind!r}"
            )
        return agent
    fitting = [agent for agent in config.agents if agent.backend.type == kind]
    if not fitting:
        raise BadUsage(f"--config: no agent in {str(file)!r} is of kind {kind!r}")
    first = fitting[0]
    if any(agent.backend.options != first.backend.options for agent in fitting):
        ids = ", ".join(agent.id for agent in fitting)
        raise BadUsage(f"--config: several agents are of kind {kind!r}; choose with --agent: {ids}")
    return first


def _option(given: str) -> tuple[str, Any]:
    key, separator, text = given.partition("=")
    if not separator or not key.strip():
        raise BadUsage(f"--option {given!r}: expected KEY=VALUE, such as 'model_class=chat'")
    try:
        return key.strip(), read_source(f"{text}\n").data
    except ConfigError as error:
        raise BadUsage(f"--option {key.strip()}: {error.message}") from None


def _check(spec: AdapterSpec, options: dict[str, Any]) -> None:
    problems = Problems(Source(data=options, base_dir=Path.cwd()))
    parse(spec.options, options, (), problems)
    try:
        problems.raise_any()
    except InvalidConfig as error:
        told = "; ".join(one.message for one in error.problems)
        raise BadUsage(f"--option: {told}") from None
