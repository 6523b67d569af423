"""How the workers of an agent are started, by its place."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Protocol

from massgen_bridge.errors import EnvironmentFailed
from massgen_bridge.isolation.code import injected
from massgen_bridge.isolation.environments import Environments
from massgen_bridge.isolation.locking import request_of
from massgen_bridge.isolation.process import Launch
from massgen_bridge.isolation.surroundings import worker_variables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_bridge.isolation.placement import Placement

__all__ = ["Launching", "launch_of"]

_OF_OUR_PYTHON = frozenset({"PYTHONHOME"})


class Launching(Protocol):
    """Says how workers are started, as `launch_of` does."""

    def __call__(self, place: Placement, kind: str, variables: Mapping[str, str]) -> Launch:
        """How a worker is started; may look at the disk."""


def launch_of(place: Placement, kind: str, variables: Mapping[str, str]) -> Launch:
    """How a worker is started; looks at the disk.

    Args:
        place: Where the agent runs.
        kind: Its kind.
        variables: Environment variables that it gets beside the usual ones.

    Raises:
        EnvironmentFailed: Its environment is not there.
        ConfigError: What its environment is to hold is not clear.
    """
    variables = {**worker_variables(os.environ, place.variables), **variables}
    if place.mode == "environment":
        return _in_environment(place, kind, variables)
    return Launch(
        python=sys.executable,
        # Not `resolve`: a link may be what makes a folder the right one.
        paths=tuple(os.path.abspath(path) for path in sys.path),  # noqa: PTH100 - see above
        kind=kind,
        variables=variables,
    )


def _in_environment(place: Placement, kind: str, variables: Mapping[str, str]) -> Launch:
    request = request_of(place)
    environment = Environments().find(request)
    if environment is None:
        raise EnvironmentFailed(
            f"the environment of agents of kind {kind!r}, with {request.wording}, is not there:"
            " `massgen-bridge env sync CONFIG` makes it"
        )
    # Neither the core nor an adapter is a package of an environment.
    packages = sorted({"massgen_bridge", place.module.partition(".")[0]})
    return Launch(
        python=str(environment.python),
        paths=(str(injected(packages)),),
        keeps_paths=True,
        kind=kind,
        variables={name: value for name, value in variables.items() if name not in _OF_OUR_PYTHON},
        held=environment.hold(),
    )
