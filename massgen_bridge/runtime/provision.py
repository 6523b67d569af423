"""The environments of packages that the agents of a run need, and building those that lack."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from massgen_bridge.errors import EnvironmentFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from massgen_bridge.isolation.placement import Placement
    from massgen_bridge.isolation.requirements import EnvironmentRequest
    from massgen_bridge.runtime.planning import Prepared

__all__ = ["Needed", "environments_lacking", "environments_needed", "provide_environments"]

_logger = logging.getLogger("massgen_bridge.isolation")


@dataclass(frozen=True, kw_only=True)
class Needed:
    """An environment that agents of a run need.

    Attributes:
        agents: Their ids; of one within a team with the team's before it: `team/agent`.
        kind: Their kind.
        request: What it has to hold.
    """

    agents: tuple[str, ...]
    kind: str
    request: EnvironmentRequest


def environments_needed(prepared: Prepared) -> tuple[Needed, ...]:
    """The environments that the agents of a run need, in the order of the agents.

    Raises:
        ConfigError: The lock of one cannot be read or does not fit.
    """
    placed = [one for one in _placed(prepared, "") if one[2].mode == "environment"]
    if not placed:
        return ()
    # It takes long to import, and most runs need none.
    from massgen_bridge.isolation.locking import request_of  # noqa: PLC0415 - see above

    found: dict[EnvironmentRequest, Needed] = {}
    for path, kind, place in placed:
        request = request_of(place)
        before = found[request].agents if request in found else ()
        found[request] = Needed(agents=(*before, path), kind=kind, request=request)
    return tuple(found.values())


def environments_lacking(prepared: Prepared) -> tuple[Needed, ...]:
    """Those of them that are not there yet, or are broken.

    Raises:
        ConfigError: The lock of one cannot be read or does not fit.
    """
    needed = environments_needed(prepared)
    if not needed:
        return ()
    from massgen_bridge.isolation.environments import Environments  # noqa: PLC0415 - see above

    environments = Environments()
    return tuple(one for one in needed if environments.find(one.request) is None)


def provide_environments(prepared: Prepared, *, create: bool) -> None:
    """See to it that the agents of a run have their environments; blocks.

    Args:
        prepared: The run.
        create: Whether those that lack are built; how that goes on is logged.

    Raises:
        ConfigError: The lock of one cannot be read or does not fit.
        EnvironmentFailed: One lacks and is not to be built, or cannot be.
    """
    lacking = environments_lacking(prepared)
    if lacking and not create:
        first = lacking[0]
        config = prepared.plan.config_file
        command = f", or run `massgen-bridge env sync {config}`" if config else ""
        raise EnvironmentFailed(
            f"agent {first.agents[0]!r} of kind {first.kind!r} needs an environment of its own,"
            f" with {first.request.wording}, which is not built yet: allow it with"
            f" `create_environments=True`{command}"
        )
    if not lacking:
        return
    from massgen_bridge.isolation.environments import Environments  # noqa: PLC0415 - see above

    environments = Environments()
    for one in lacking:
        _logger.info("building the environment for %s", one.request.wording)
        environments.build(one.request, progress=_logger.info)


def _placed(prepared: Prepared, within: str) -> Iterator[tuple[str, str, Placement]]:
    """Each agent that is no team, by its path, with its kind and its place."""
    for agent in prepared.plan.agents:
        path = f"{within}{agent.seat.agent_id}"
        team = prepared.teams.get(agent.seat.agent_id)
        if team is None:
            yield path, agent.seat.kind, agent.setup.place
        else:
            yield from _placed(team, f"{path}/")
