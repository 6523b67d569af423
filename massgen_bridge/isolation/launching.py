"""How the workers of an agent are started, by its place."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from massgen_bridge.isolation.process import Launch
from massgen_bridge.isolation.surroundings import worker_variables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_bridge.isolation.placement import Placement

__all__ = ["launch_of"]


def launch_of(place: Placement, kind: str, variables: Mapping[str, str]) -> Launch:
    """How workers are started; may look at the disk.

    Args:
        place: Where the agent runs.
        kind: Its kind.
        variables: Environment variables that it gets beside the usual ones.
    """
    usual = worker_variables(os.environ, place.variables)
    return Launch(
        python=sys.executable,
        # Not `resolve`: a link may be what makes a folder the right one.
        paths=tuple(os.path.abspath(path) for path in sys.path),  # noqa: PTH100 - see above
        kind=kind,
        variables={**usual, **variables},
    )
