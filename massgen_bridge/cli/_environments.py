"""The environments that a configuration needs: which they are, and building those that lack."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer
from anyio import to_thread

from massgen_bridge.cli._asking import confirm
from massgen_bridge.cli._output import BadUsage
from massgen_bridge.cli._work import work
from massgen_bridge.display.text import clip, one_line
from massgen_bridge.display.words import count
from massgen_bridge.isolation.environments import Environment, Environments
from massgen_bridge.isolation.locking import lock_file, request_of
from massgen_bridge.isolation.resolving import estimate
from massgen_bridge.runtime.places import Places, lock_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from massgen_bridge.config import RunConfig
    from massgen_bridge.isolation.placement import Placement
    from massgen_bridge.isolation.requirements import EnvironmentRequest
    from massgen_bridge.plugins import PluginHost

__all__ = ["Wanted", "megabytes", "provide", "wanted_by", "watched"]

T = TypeVar("T")

_SPINNER = 3


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """An environment that agents of a configuration run in.

    Attributes:
        place: Where they run.
        kind: Their kind.
        agents: Their ids; of one within a team with the team's before it: `team/agent`.
        lock_file: Where its lock is, or would be; None where the configuration is in no file.
    """

    place: Placement
    kind: str
    agents: tuple[str, ...]
    lock_file: Path | None

    @property
    def request(self) -> EnvironmentRequest:
        """What it has to hold.

        Raises:
            ConfigError: Its lock does not fit.
        """
        return request_of(self.place)


def wanted_by(config: RunConfig, host: PluginHost) -> tuple[Wanted, ...]:
    """The environments that the agents of a configuration need, in the order of the agents.

    Raises:
        ConfigError: An agent cannot run where it is to run.
    """
    found: dict[object, Wanted] = {}
    for agent_id, kind, place, file in _places(config, Places(host, None), ""):
        key = (kind, place.requirements, place.python, file)
        before = found[key].agents if key in found else ()
        found[key] = Wanted(place=place, kind=kind, agents=(*before, agent_id), lock_file=file)
    return tuple(found.values())


def provide(requests: Sequence[EnvironmentRequest], *, yes: bool) -> tuple[Environment, ...]:
    """Build the environments that lack or are broken, after asking, and return all.

    Args:
        requests: What they have to hold.
        yes: Do not ask.

    Raises:
        BadUsage: They lack, and nobody is there to be asked.
        EnvironmentFailed: One cannot be built; those before it stay.
        Stopped: The user said no, or interrupted; what was half built is gone.
    """
    environments = Environments()
    lacking = [one for one in dict.fromkeys(requests) if not _is_sound(environments, one)]
    if lacking and not yes:
        _ask(lacking)
    for request in lacking:
        _build(environments, request)
    return tuple(_existing(environments, one) for one in requests)


def watched(job: Callable[[Callable[[str], object]], T], title: str) -> T:
    """Do a job that blocks in a thread, and show a person how it goes on.

    Args:
        job: Gets what takes a line about what it does.
        title: What it is.

    Raises:
        Stopped: The user interrupted it; it was cancelled.
    """

    async def in_thread(tell: Callable[[str], object]) -> T:
        return await to_thread.run_sync(job, tell)

    if not sys.stderr.isatty():
        typer.echo(title, err=True)
        return work(lambda _: in_thread(_ignore))
    from rich.console import Console  # noqa: PLC0415 - takes long, and is for terminals alone
    from rich.markup import escape  # noqa: PLC0415 - as above

    with Console(stderr=True).status(escape(_short(title))) as status:
        return work(
            lambda _: in_thread(lambda line: status.update(escape(_short(f"{title}: {line}"))))
        )


def megabytes(size: int) -> str:
    """A size for a person."""
    return f"{size / 1e6:,.0f} MB"


def _places(
    config: RunConfig, places: Places, within: str
) -> Iterator[tuple[str, str, Placement, Path | None]]:
    for index, agent in enumerate(config.agents):
        name, kind = f"{within}{agent.id}", agent.backend.type
        if agent.id in config.teams:
            yield from _places(config.teams[agent.id], places, f"{name}/")
            continue
        place = places.of(config, index)
        if place.mode == "environment":
            file = None if config.file is None else config.base_dir / Path(config.file).name
            yield name, kind, place, None if file is None else lock_file(file, lock_name(agent))


def _is_sound(environments: Environments, request: EnvironmentRequest) -> bool:
    found = environments.find(request)
    return found is not None and found.damage is None


def _existing(environments: Environments, request: EnvironmentRequest) -> Environment:
    return environments.find(request) or environments.build(request)


def _ask(lacking: Sequence[EnvironmentRequest]) -> None:
    """Ask whether environments may be built, with what they will take."""
    for request in lacking:
        size = _download_size(request)
        download = "" if size is None else f", about {megabytes(size)} to download"
        locked = f", as {Path(request.lock).name} says" if request.lock is not None else ""
        typer.echo(f"  {request.wording}{locked}{download}", err=True)
    what = count(len(lacking), "environment")
    try:
        allowed = confirm(f"Build {what} for these packages in '{Environments().root}'?")
    except typer.Abort:
        raise BadUsage(
            f"{what} would have to be built, and nobody is there to be asked: give --yes, or run"
            " `massgen-bridge env sync` on the configuration first"
        ) from None
    if not allowed:
        raise typer.Exit(1)


def _download_size(request: EnvironmentRequest) -> int | None:
    return watched(lambda _: estimate(request), f"looking for {request.wording}")


def _build(environments: Environments, request: EnvironmentRequest) -> None:
    title = f"building the environment for {request.wording}"
    built = watched(lambda tell: environments.build(request, progress=tell), title)
    typer.echo(
        f"built the environment for {request.wording}: {count(len(built.installed), 'package')},"
        f" {megabytes(built.size)}",
        err=True,
    )


def _short(line: str) -> str:
    """What fits into a line of the terminal, behind a spinner."""
    return clip(one_line(line), max(shutil.get_terminal_size().columns - _SPINNER, 1))


def _ignore(_: str) -> None:
    """Nobody watches."""
