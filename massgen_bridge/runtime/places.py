"""Where the agents of a run are to run, and where in a file a mistake about it stands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from massgen_bridge.errors import ConfigError
from massgen_bridge.isolation import choice
from massgen_bridge.isolation.packages import Packages
from massgen_bridge.plugins.records import nearest
from massgen_bridge.runtime.setup import secret_variables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_bridge.config.models import AgentConfig, RunConfig
    from massgen_bridge.config.source import KeyPath
    from massgen_bridge.isolation.placement import Placement
    from massgen_bridge.plugins import PluginHost
    from massgen_bridge.specs import AdapterSpec

__all__ = ["Places", "lock_name", "placed"]


class Places:
    """Decides for each agent of a run, and of the teams within, where it runs.

    Args:
        host: The plugins.
        environ: The environment variables; None where agents get none, as in a replay.
    """

    def __init__(self, host: PluginHost, environ: Mapping[str, str] | None) -> None:
        self.host = host
        self._environ = environ
        self._packages = Packages()

    def of(self, config: RunConfig, index: int) -> Placement:
        """The place of an agent, by its position.

        Raises:
            ConfigError: There is none such as the configuration wants, or a variable is not set.
        """
        agent = config.agents[index]
        backend = agent.backend
        self._check_variables(config, index)
        try:
            found = choice.place(
                self.host.adapter(backend.type),
                config.agent_options[agent.id],
                backend.isolation,
                origin=self.host.origin(backend.type),
                packages=self._packages,
                variables=backend.env,
                more=backend.packages,
            )
            return self._locked(found, config, lock_name(agent))
        except ConfigError as error:
            problem = ConfigError(f"agent {agent.id!r}: {error.message}")
            raise placed(problem, config, ("agents", index, "backend", "isolation")) from None

    def of_kind(self, spec: AdapterSpec) -> Placement:
        """The place of an agent that the host makes for itself, with the options that are usual.

        Raises:
            ConfigError: There is none.
        """
        origin = self.host.origin(spec.kind)
        return choice.place(spec, spec.options(), "auto", origin=origin, packages=self._packages)

    def secrets(self, config: RunConfig, index: int) -> frozenset[str]:
        """The values of the variables that an agent gets and that by their names are secret."""
        environ = self._environ or {}
        named = {
            name: environ[name] for name in config.agents[index].backend.env if name in environ
        }
        return secret_variables(named)

    def _locked(self, found: Placement, config: RunConfig, name: str) -> Placement:
        """The place with the lock that lies beside the configuration."""
        if found.mode != "environment" or config.file is None:
            return found
        from massgen_bridge.isolation.locking import with_lock  # noqa: PLC0415 - seldom needed

        return with_lock(found, config.base_dir / Path(config.file).name, name)

    def _check_variables(self, config: RunConfig, index: int) -> None:
        agent = config.agents[index]
        for position, name in enumerate(agent.backend.env):
            if self._environ is not None and name not in self._environ:
                problem = ConfigError(
                    f"agent {agent.id!r}: the environment variable {name!r} is not set"
                    f"{nearest(name, self._environ)}"
                )
                raise placed(problem, config, ("agents", index, "backend", "env", position))


def lock_name(agent: AgentConfig) -> str:
    """What the lock of an agent's environment is named after.

    Agents of a kind share one, but for those that name packages of their own.
    """
    kind = agent.backend.type
    return f"{kind}-{agent.id}" if agent.backend.packages else kind


def placed(error: ConfigError, config: RunConfig, path: KeyPath) -> ConfigError:
    """The error with its place in the file, where it came from one."""
    place = config.source.place(path)
    if error.file is not None or config.file is None or place is None:
        return error
    return ConfigError(error.message, file=config.file, line=place.line, column=place.column)
