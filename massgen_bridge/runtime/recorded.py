"""One run by agents that are there, with its journal, its place in the index and its observers."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from massgen_bridge.errors import JournalError
from massgen_bridge.runtime.budgets import ledger_for
from massgen_bridge.runtime.cassette.executor import TapedExecutor, marks_of, rolling_tape
from massgen_bridge.runtime.course import check_same_seats, past_of
from massgen_bridge.runtime.decisions import Decisions
from massgen_bridge.runtime.executor import InProcessExecutor
from massgen_bridge.runtime.fitting import FittingExecutor
from massgen_bridge.runtime.gallery import Gallery
from massgen_bridge.runtime.index import RunIndex
from massgen_bridge.runtime.journal import Journal, read_run
from massgen_bridge.runtime.observers import open_observers
from massgen_bridge.runtime.recorder import Recorder
from massgen_bridge.runtime.redact import Redactor
from massgen_bridge.runtime.runner import Runner, opening
from massgen_bridge.runtime.secret_forms import SecretForms
from massgen_bridge.runtime.stopped import enter, leave

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from massgen_bridge.events import Record, RunResult, RunStarted
    from massgen_bridge.messages import MediaPart
    from massgen_bridge.runtime.course import Past
    from massgen_bridge.runtime.crew import Crew
    from massgen_bridge.runtime.executor import Executor
    from massgen_bridge.runtime.observers import ObserverThread
    from massgen_bridge.runtime.planning import Prepared
    from massgen_bridge.runtime.sessions import Session
    from massgen_bridge.runtime.stopped import StoppedRun

    Listener = Callable[[Record], None]
    Wrap = Callable[[Executor], Executor]

__all__ = ["begin", "go_on", "here", "taken_over"]

_logger = logging.getLogger("massgen_bridge.runtime")
_PATIENCE_S = 2.0


async def begin(
    prepared: Prepared,
    started: RunStarted,
    run_id: str,
    crew: Crew,
    *,
    listeners: Sequence[Listener] = (),
    keep: bool = True,
    session: Session | None = None,
    wrap: Wrap | None = None,
) -> RunResult:
    """Run a prepared run to its end; in `here`.

    Args:
        prepared: What to do.
        started: How it begins.
        run_id: Its id.
        crew: The agents.
        listeners: Called with each record, without secrets.
        keep: Whether the run is written to the journal and the index.
        session: The conversation that what comes of it is entered in.
        wrap: Puts something between the run and its executor.

    Raises:
        JournalError: The run cannot be written.
    """
    journal = await _open_journal(prepared, started, run_id) if keep else None
    return await _run(
        prepared,
        started,
        run_id,
        crew,
        journal=journal,
        listeners=listeners,
        session=session,
        wrap=wrap,
    )


async def taken_over(prepared: Prepared, run: StoppedRun) -> Past:
    """Make a stopped run one of this process, and read what there is of it; in `here`.

    Raises:
        JournalError: The run has ended, another process has it, or its file cannot be used.
        ConfigError: The configuration gives another team or strategy.
    """
    check_same_seats(opening(prepared.plan, run.started.question), run.started)
    await to_thread.run_sync(run.take_over)
    read = partial(past_of, read_run(run.path), prepared.plan.strategy, ledger_for(prepared))
    past = await to_thread.run_sync(read)
    await to_thread.run_sync(RunIndex().resume, run.run_id)
    return past


async def go_on(
    prepared: Prepared,
    run: StoppedRun,
    past: Past,
    crew: Crew,
    *,
    listeners: Sequence[Listener] = (),
    session: Session | None = None,
    wrap: Wrap | None = None,
) -> RunResult:
    """Go on with a run that was `taken_over`; the rest is that of `begin`."""
    journal = Journal.reopen(run.path, run.run_id, secrets=prepared.pool.secrets())
    return await _run(
        prepared,
        past.started,
        run.run_id,
        crew,
        journal=journal,
        listeners=listeners,
        session=session,
        past=past,
        wrap=wrap,
    )


@contextmanager
def here(run_id: str) -> Iterator[None]:
    """This process runs it, until it leaves.

    Raises:
        JournalError: It does already.
    """
    enter(run_id)
    try:
        yield
    finally:
        leave(run_id)


async def _run(
    prepared: Prepared,
    started: RunStarted,
    run_id: str,
    crew: Crew,
    *,
    journal: Journal | None,
    listeners: Sequence[Listener],
    session: Session | None,
    past: Past | None = None,
    wrap: Wrap | None = None,
) -> RunResult:
    async with AsyncExitStack() as stack:
        if journal is not None:
            stack.push_async_callback(journal.aclose)
        # Plugins hear of a team's work by the events of the turn that it is for.
        host = None if prepared.plan.within else prepared.host
        observers = open_observers(host, prepared.sinks, run_id, report=_logger.warning)
        stack.push_async_callback(_close_observers, observers)
        heard_by = [*(observer.post for observer in observers), *listeners]
        recorder = Recorder(
            run_id,
            journal=journal,
            listeners=_without_secrets(heard_by, prepared.pool.secrets()),
            ledger=past.ledger if past else ledger_for(prepared),
            histories=past.histories if past else None,
            last_seq=past.last_seq if past else 0,
        )
        executor: Executor = await stack.enter_async_context(InProcessExecutor(crew))
        tape = rolling_tape()
        if tape is not None:
            executor = TapedExecutor(executor, tape)
        if wrap is not None:
            executor = wrap(executor)
        runner = Runner(
            prepared.plan,
            started.question,
            executor=FittingExecutor(executor, prepared.plan.agents),
            decisions=Decisions(prepared.host),
            recorder=recorder,
            past=past,
            conversation=started.conversation,
            marks=None if tape is None else marks_of(tape),
            attached=started.attached,
            gallery=Gallery(crew.workspaces),
            price=prepared.prices,
        )
        try:
            return await runner.run()
        finally:
            # What the journal does not hold has not happened: such a run can be resumed.
            kept = journal is not None and not journal.is_broken
            if kept and runner.result is not None:
                with anyio.CancelScope(shield=True):
                    await to_thread.run_sync(RunIndex().finish, run_id, runner.result)
            if session is not None and runner.result is not None and (kept or journal is None):
                secrets = prepared.pool.secrets()
                with anyio.CancelScope(shield=True):
                    await to_thread.run_sync(_end_turn, session, runner.result, secrets)


def _end_turn(session: Session, result: RunResult, secrets: Iterable[str]) -> None:
    """Enter what came of a turn."""
    forms = SecretForms(secrets)
    answer = None if result.answer is None else forms.mask(result.answer)
    try:
        media = _without(forms, result.media)
        session.finish(result.run_id, result.status, answer, media, used=result.used)
    except JournalError as error:
        # The answer is there, and whoever opens the session next takes it from the journal.
        _logger.warning("%s", error)


def _without(forms: SecretForms, media: Iterable[MediaPart]) -> list[MediaPart]:
    """Media without secrets."""
    return [
        part if part.data is None else part.model_copy(update={"data": forms.mask_data(part.data)})
        for part in media
    ]


async def _open_journal(prepared: Prepared, started: RunStarted, run_id: str) -> Journal:
    secrets = prepared.pool.secrets()
    path = await to_thread.run_sync(partial(RunIndex().start, run_id, started, secrets=secrets))
    setup = None
    if prepared.setup is not None:
        setup = prepared.setup.without(secrets).model_dump_json()
    return Journal.create(path, run_id, secrets=secrets, setup=setup)


def _without_secrets(listeners: Sequence[Listener], secrets: Iterable[str]) -> Sequence[Listener]:
    """The listeners, with the secrets taken out of what they hear."""
    redactor = Redactor(secrets)
    if not redactor or not listeners:
        return listeners

    def tell(record: Record) -> None:
        for clean in redactor.redact((record,)):
            for listen in listeners:
                listen(clean)

    return (tell,)


async def _close_observers(observers: Sequence[ObserverThread]) -> None:
    """Let all observers finish at the same time; one that is stuck is left behind."""
    with anyio.CancelScope(shield=True):
        async with anyio.create_task_group() as tasks:
            for observer in observers:
                tasks.start_soon(to_thread.run_sync, observer.close, _PATIENCE_S)
