"""A run that was stopped before its end, and who may go on with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from massgen_bridge.errors import ConfigError, JournalError
from massgen_bridge.events import RunFinished, RunStarted
from massgen_bridge.runtime.journal_file import read_ends, read_header, take_over
from massgen_bridge.runtime.owner import Owner
from massgen_bridge.runtime.setup import RunSetup, setup_of_file

if TYPE_CHECKING:
    from pathlib import Path

    from massgen_bridge.config.source import Source
    from massgen_bridge.events import Record
    from massgen_bridge.runtime.journal_file import JournalHeader

__all__ = ["StoppedRun", "enter", "is_here", "leave"]

# The runs of this very process: its being alive does not say that it still runs them.
_here: set[str] = set()


def enter(run_id: str) -> None:
    """Note that this process runs a run.

    Raises:
        JournalError: It does already.
    """
    if run_id in _here:
        raise JournalError(f"the run {run_id!r} is running in this very process")
    _here.add(run_id)


def is_here(run_id: str) -> bool:
    """Whether this process runs it."""
    return run_id in _here


def leave(run_id: str) -> None:
    """Note that this process runs it no longer."""
    _here.discard(run_id)


@dataclass(frozen=True, kw_only=True)
class StoppedRun:
    """A run that can go on.

    Attributes:
        path: Its journal.
        started: How it began.
        setup: What it was made from; None where an older version began it.
        elsewhere: Whether a process of another machine, of which nobody here can tell whether it
            lives, is taken for dead.
    """

    path: Path
    started: RunStarted
    setup: RunSetup | None
    elsewhere: bool = False

    @classmethod
    def find(cls, path: Path, *, elsewhere: bool = False, inner: bool = False) -> StoppedRun:
        """Look at a run; whoever goes on with it still has to `take_over`.

        Args:
            path: Its journal.
            elsewhere: Whether a process of another machine is taken for dead.
            inner: Whether it may be the work of a team's turn, which goes on with that turn.

        Raises:
            JournalError: There is none, it has ended, another process runs it, or it never began.
        """
        header = read_header(path) if path.is_file() else None
        ends = None if header is None else read_ends(path)
        if header is None or ends is None or not isinstance(ends[0].event, RunStarted):
            raise JournalError(
                f"the run {path.stem!r} was stopped before its first record: nothing was done,"
                " start it anew"
            )
        within = ends[0].event.within
        if within is not None and not inner:
            raise JournalError(
                f"the run {path.stem!r} is a part of the run {within.run_id!r}, the turn"
                f" {within.turn_id!r} of its team {within.agent_id!r}: resume that one"
            )
        _check(header, ends[1], elsewhere=elsewhere)
        cassette = ends[0].event.replayed_from
        if cassette is not None:
            raise JournalError(
                f"the run {path.stem!r} is a replay of the cassette {cassette!r}: replay that again"
            )
        setup = setup_of_file(path)
        return cls(path=path, started=ends[0].event, setup=setup, elsewhere=elsewhere)

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.path.stem

    def source(self) -> Source:
        """The configuration as it was when the run began.

        Raises:
            ConfigError: It cannot be had any more; the text says what to do.
        """
        if self.setup is None:
            raise ConfigError(
                f"the run {self.run_id!r} was begun by massgen-bridge"
                f" {self.started.bridge_version}, which did not keep its configuration: name it,"
                " with --config FILE (in Python: resume(run_id, config))"
            )
        return self.setup.source()

    def take_over(self) -> None:
        """Make this process the one that runs it.

        Raises:
            JournalError: It has ended meanwhile, another process was first, or the file cannot be
                written.
        """
        take_over(self.path, lambda header, last: _check(header, last, elsewhere=self.elsewhere))


def _check(header: JournalHeader, last: Record | None, *, elsewhere: bool) -> None:
    run_id, owner = header.run_id, header.owner
    if last is not None and isinstance(last.event, RunFinished):
        if last.event.result.status != "cancelled":
            raise JournalError(
                f"the run {run_id!r} has ended ({last.event.result.status}): there is nothing to"
                f" resume; `massgen-bridge runs show {run_id}` shows it"
            )
        return  # its last record says that nobody runs it any more
    me = Owner.this_process()
    if owner.is_gone or owner == me:  # `enter` has seen to it that this process does not run it
        return
    if owner.host == me.host:
        raise JournalError(
            f"the run {run_id!r} is running: process {owner.pid} of this machine has it"
        )
    if not elsewhere:
        raise JournalError(
            f"the run {run_id!r} belongs to process {owner.pid} of the machine {owner.host!r}; if"
            " that is known to be gone, add --take-over"
        )
