"""What a run needs and lacks is built before it, if the user agrees: environments of packages."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from massgen_bridge.cli._output import BadUsage
from massgen_bridge.runtime.provision import environments_lacking

if TYPE_CHECKING:
    from massgen_bridge.runtime.planning import Prepared
    from massgen_bridge.runtime.provision import Needed

__all__ = ["BuildMissing", "offer_environments"]

BuildMissing = Annotated[
    bool,
    typer.Option(
        "--yes", "-y", help="Build the environments that agents need and lack, without asking."
    ),
]


def offer_environments(*runs: Prepared, yes: bool) -> None:
    """Build the environments that the agents of some runs need and lack, after asking.

    Args:
        runs: Those of one configuration.
        yes: Do not ask.

    Raises:
        BadUsage: Some lack, and nobody is there to be asked.
        EnvironmentFailed: One cannot be built.
        Stopped: The user interrupted it.
        typer.Exit: The user said no.
    """
    lacking = {one.request: one for run in runs for one in environments_lacking(run)}
    if not lacking:
        return
    if not yes and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise BadUsage(_advice(list(lacking.values()), runs[0].plan.config_file))
    # What builds them takes long to import, and most runs need none.
    from massgen_bridge.cli._environments import provide  # noqa: PLC0415 - see above

    provide(list(lacking), yes=yes)


def _advice(lacking: list[Needed], config: str | None) -> str:
    agents = ", ".join(repr(name) for one in lacking for name in one.agents)
    packages = "; ".join(one.request.wording for one in lacking)
    return (
        f"these agents need environments of their own, which are not built yet: {agents}"
        f" ({packages}); run `massgen-bridge env sync {config or 'CONFIG'}` first, or give --yes"
    )
