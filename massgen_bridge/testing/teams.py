"""A team as the host makes it, for tests of a kind whose agents are teams."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from massgen_bridge.config import Source, load_config
from massgen_bridge.plugins import PluginHost
from massgen_bridge.runtime.inner import InnerTeam
from massgen_bridge.runtime.planning import prepare_run
from massgen_bridge.runtime.workspaces import Workspaces

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_bridge.agent import Capabilities

__all__ = ["team_and_abilities"]

_ID = "agent"


def team_and_abilities(
    options: Mapping[str, Any], base_dir: Path | None = None
) -> tuple[InnerTeam, Capabilities]:
    """A team that nothing is kept of, and what its members can do together.

    It is made in a thread, since looking for plugins blocks; whoever asks waits for that.

    Args:
        options: The options of the kind `team`, as they stand in YAML.
        base_dir: What paths in them are relative to; None: the working directory.

    Raises:
        ConfigError: They are no team.
    """
    with ThreadPoolExecutor(max_workers=1) as threads:
        return threads.submit(_made, options, base_dir or Path.cwd()).result()


def _made(options: Mapping[str, Any], base_dir: Path) -> tuple[InnerTeam, Capabilities]:
    backend = {"type": "team", **options}
    data = {"version": 1, "strategy": "single", "agents": [{"id": _ID, "backend": backend}]}
    host = PluginHost()
    config = load_config(Source(data=data, base_dir=base_dir), host)
    prepared = prepare_run(config, host=host, environ={})
    able = prepared.plan.agents[0].capabilities
    team = prepared.teams[_ID]
    return InnerTeam(_ID, team, able=able, keep=False, workspaces=Workspaces()), able
