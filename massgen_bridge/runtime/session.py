"""One run with everything around it: connections, executor, journal, observers."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from massgen_bridge.ballots import remembered
from massgen_bridge.errors import JournalError
from massgen_bridge.events import Conversation, Record, RunStarted
from massgen_bridge.plugins import load_object
from massgen_bridge.runtime.conversation import Session
from massgen_bridge.runtime.course import check_same_seats, past_of
from massgen_bridge.runtime.decisions import Decisions
from massgen_bridge.runtime.executor import InProcessExecutor
from massgen_bridge.runtime.index import RunIndex, new_run_id
from massgen_bridge.runtime.journal import Journal, read_run
from massgen_bridge.runtime.observers import ObserverThread, open_observers
from massgen_bridge.runtime.recorder import Recorder
from massgen_bridge.runtime.redact import Redactor
from massgen_bridge.runtime.runner import Runner, opening
from massgen_bridge.runtime.secret_forms import SecretForms
from massgen_bridge.runtime.stopped import enter, leave

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from massgen_bridge.connection import Connection, ModelCaller
    from massgen_bridge.events import RunResult
    from massgen_bridge.messages import Message
    from massgen_bridge.models.connections import ConnectionPool
    from massgen_bridge.runtime.course import Past
    from massgen_bridge.runtime.plan import PlannedAgent
    from massgen_bridge.runtime.planning import Prepared
    from massgen_bridge.runtime.stopped import StoppedRun

    Listener = Callable[[Record], None]

__all__ = ["execute", "resume"]

_logger = logging.getLogger("massgen_bridge.runtime")
_PATIENCE_S = 2.0


async def execute(
    prepared: Prepared,
    question: Message,
    *,
    listeners: Sequence[Listener] = (),
    keep: bool = True,
    run_id: str | None = None,
    session: Session | None = None,
) -> RunResult:
    """Run a prepared run to its end.

    Args:
        prepared: What to do.
        question: The user's message.
        listeners: Called with each record, without secrets, in the event loop; they only take
            note.
        keep: Whether the run is written to the journal and listed by `massgen-bridge runs`.
        run_id: Its id; a new one by default.
        session: The conversation that the question goes on with; what comes of it is entered.

    Returns:
        The result, also of a run that failed; see its status.

    Raises:
        JournalError: The run cannot be written, or another turn of the session is under way.
    """
    run_id = run_id or new_run_id()
    with _here(run_id):
        conversation = None
        if session is not None:
            begin = partial(_begin_turn, session, prepared, question, run_id)
            conversation = await to_thread.run_sync(begin)
        started = opening(prepared.plan, question, conversation)
        journal = await _open_journal(prepared, started, run_id) if keep else None
        return await _run(
            prepared, started, run_id, journal=journal, listeners=listeners, session=session
        )


async def resume(
    prepared: Prepared, run: StoppedRun, *, listeners: Sequence[Listener] = ()
) -> RunResult:
    """Go on with a run whose process has ended, from its journal.

    Args:
        prepared: What to do: the same team and strategy as when it began.
        run: The run.
        listeners: Called with each new record.

    Returns:
        The result, as for `execute`.

    Raises:
        JournalError: The run has ended, another process has it, or its file cannot be used.
        ConfigError: The configuration gives another team or strategy.
    """
    check_same_seats(opening(prepared.plan, run.started.question), run.started)
    with _here(run.run_id):
        await to_thread.run_sync(run.take_over)
        past = await to_thread.run_sync(past_of, read_run(run.path), prepared.plan.strategy)
        await to_thread.run_sync(RunIndex().resume, run.run_id)
        deadline_s = prepared.plan.deadline_s if run.setup is None else run.setup.deadline_s
        session = await to_thread.run_sync(_session_of, past.started, run.run_id)
        agents = [_with_past(agent, past) for agent in prepared.plan.agents]
        plan = replace(prepared.plan, agents=agents, deadline_s=deadline_s)
        journal = Journal.reopen(run.path, run.run_id, secrets=prepared.pool.secrets())
        again = replace(prepared, plan=plan)
        return await _run(
            again,
            past.started,
            run.run_id,
            journal=journal,
            listeners=listeners,
            session=session,
            past=past,
        )


async def _run(
    prepared: Prepared,
    started: RunStarted,
    run_id: str,
    *,
    journal: Journal | None,
    listeners: Sequence[Listener],
    session: Session | None,
    past: Past | None = None,
) -> RunResult:
    async with AsyncExitStack() as stack:
        if journal is not None:
            stack.push_async_callback(journal.aclose)
        observers = open_observers(prepared.host, prepared.sinks, run_id, report=_logger.warning)
        stack.push_async_callback(_close_observers, observers)
        heard_by = [*(observer.post for observer in observers), *listeners]
        recorder = Recorder(
            run_id,
            journal=journal,
            listeners=_without_secrets(heard_by, prepared.pool.secrets()),
            ledger=past.ledger if past else None,
            last_seq=past.last_seq if past else 0,
        )
        pool = await stack.enter_async_context(prepared.pool)
        executor = await stack.enter_async_context(
            InProcessExecutor(
                prepared.host,
                _PoolAccess(pool, frozenset(prepared.connections)),
                load=load_object,
            )
        )
        runner = Runner(
            prepared.plan,
            started.question,
            executor=executor,
            decisions=Decisions(prepared.host),
            recorder=recorder,
            past=past,
            conversation=started.conversation,
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


def _begin_turn(
    session: Session, prepared: Prepared, question: Message, run_id: str
) -> Conversation:
    """Enter a turn into its session; what the run is given of the turns before."""
    record = Record(run_id=run_id, seq=1, at=0.0, event=opening(prepared.plan, question))
    (row,) = Redactor(prepared.pool.secrets()).encode([record])
    clean = Record.model_validate_json(row).event
    asked = clean.question if isinstance(clean, RunStarted) else question
    known = remembered(session.begin(run_id, asked), [one.room for one in prepared.plan.agents])
    return Conversation(session=session.name, earlier=known.earlier, forgotten=known.forgotten)


def _session_of(started: RunStarted, run_id: str) -> Session | None:
    """The session that a run which is resumed has a turn in."""
    name = started.conversation.session if started.conversation else None
    if name is None:
        return None
    session = Session(name)
    return session if session.resume(run_id) else None


def _end_turn(session: Session, result: RunResult, secrets: Iterable[str]) -> None:
    """Enter what came of a turn."""
    answer = None if result.answer is None else SecretForms(secrets).mask(result.answer)
    try:
        session.finish(result.run_id, result.status, answer)
    except JournalError as error:
        # The answer is there, and whoever opens the session next takes it from the journal.
        _logger.warning("%s", error)


async def _open_journal(prepared: Prepared, started: RunStarted, run_id: str) -> Journal:
    secrets = prepared.pool.secrets()
    path = await to_thread.run_sync(partial(RunIndex().start, run_id, started, secrets=secrets))
    setup = None
    if prepared.setup is not None:
        setup = prepared.setup.without(secrets).model_dump_json()
    return Journal.create(path, run_id, secrets=secrets, setup=setup)


@contextmanager
def _here(run_id: str) -> Iterator[None]:
    """This process runs it, until it leaves."""
    enter(run_id)
    try:
        yield
    finally:
        leave(run_id)


def _with_past(agent: PlannedAgent, past: Past) -> PlannedAgent:
    finished = tuple(past.finished.get(agent.seat.agent_id, ()))
    return replace(agent, setup=agent.setup.model_copy(update={"finished": finished}))


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


class _PoolAccess:
    """The connections of a run as the executor wants them."""

    def __init__(self, pool: ConnectionPool, agents: frozenset[str]) -> None:
        self._pool = pool
        self._agents = agents

    async def open(self, agent_id: str) -> tuple[Connection, ModelCaller] | None:
        if agent_id not in self._agents:
            return None
        return await self._pool.connection(agent_id), self._pool.caller(agent_id)
