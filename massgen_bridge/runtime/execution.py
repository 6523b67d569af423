"""A run with everything that it needs: connections, agents, and the record of it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from massgen_bridge.ballots import remembered
from massgen_bridge.errors import CassetteError, ConfigError
from massgen_bridge.events import Conversation, Record, RunStarted
from massgen_bridge.models.tape import rolling
from massgen_bridge.runtime.attaching import all_attached, with_all_attached
from massgen_bridge.runtime.cassette.replaying import Replay
from massgen_bridge.runtime.index import RunIndex, new_run_id
from massgen_bridge.runtime.inner import crew_of
from massgen_bridge.runtime.inner_past import with_finished
from massgen_bridge.runtime.recorded import begin, go_on, here, taken_over
from massgen_bridge.runtime.redact import Redactor
from massgen_bridge.runtime.runner import opening
from massgen_bridge.runtime.sessions import Session
from massgen_bridge.runtime.workspaces import Workspaces

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from massgen_bridge.events import RunResult
    from massgen_bridge.messages import Message
    from massgen_bridge.runtime.cassette.recording import Recording
    from massgen_bridge.runtime.planning import Prepared
    from massgen_bridge.runtime.stopped import StoppedRun

    Listener = Callable[[Record], None]

__all__ = ["execute", "resume"]


async def execute(
    prepared: Prepared,
    question: Message,
    *,
    listeners: Sequence[Listener] = (),
    keep: bool = True,
    run_id: str | None = None,
    session: Session | None = None,
    tape: Recording | Replay | None = None,
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
        tape: What records the model calls, or answers them; `prepared` is then made for that.

    Returns:
        The result, also of a run that failed; see its status.

    Raises:
        CassetteError: The cassette cannot be made, or is of another team or question.
        ReplayDiverged: The run asks for what its cassette does not hold.
        ConfigError: A person takes part, and there is nobody to ask.
        JournalError: The run cannot be written, or another turn of the session is under way.
    """
    _check_people(prepared)
    run_id = run_id or new_run_id()
    if tape is not None and session is not None:
        raise CassetteError(
            "a cassette holds one question, without what was said before: leave the session out"
        )
    if isinstance(tape, Replay):
        prepared = replace(prepared, plan=replace(prepared.plan, replayed_from=tape.file))
    with here(run_id), rolling(tape):
        conversation = None
        if session is not None:
            turn = partial(_begin_turn, session, prepared, question, run_id)
            conversation = await to_thread.run_sync(turn)
        started = opening(prepared.plan, question, conversation)
        started = started.model_copy(update={"attached": all_attached(prepared)})
        async with (
            _on_tape(tape, prepared, question, run_id) as end,
            prepared.pool,
            _workspaces(run_id, keep=keep) as workspaces,
            crew_of(prepared, keep=keep, workspaces=workspaces) as crew,
        ):
            result = await begin(
                prepared, started, run_id, crew, listeners=listeners, keep=keep, session=session
            )
            end.append(result)
        return result


@asynccontextmanager
async def _on_tape(
    tape: Recording | Replay | None, prepared: Prepared, question: Message, run_id: str
) -> AsyncIterator[list[RunResult]]:
    """A tape that rolls for this run; it is told the result that is put into the list."""
    results: list[RunResult] = []
    if tape is None:
        yield results
        return
    await to_thread.run_sync(tape.begin, prepared, question, run_id)
    try:
        yield results
    finally:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(tape.close, results[0] if results else None)


@asynccontextmanager
async def _workspaces(run_id: str, *, keep: bool) -> AsyncIterator[Workspaces]:
    """The folders of the agents: beside the journal where there is one, else as long as the run."""
    workspaces = Workspaces(RunIndex().files(run_id) if keep else None)
    try:
        yield workspaces
    finally:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(workspaces.close)


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
        ConfigError: The configuration gives another team or strategy, or a person takes part, and
            there is nobody to ask.
    """
    if run.setup is not None:
        asked = run.setup
        plan = replace(prepared.plan, deadline_s=asked.deadline_s, budget=asked.budget)
        prepared = replace(prepared, plan=plan)
    _check_people(prepared)
    with here(run.run_id):
        past = await taken_over(prepared, run)
        prepared = with_all_attached(prepared, past.started.attached)
        session = await to_thread.run_sync(_session_of, past.started, run.run_id)
        agents = [with_finished(agent, past.finished) for agent in prepared.plan.agents]
        again = replace(prepared, plan=replace(prepared.plan, agents=agents))
        async with (
            again.pool,
            _workspaces(run.run_id, keep=True) as workspaces,
            crew_of(again, keep=True, workspaces=workspaces, begun=(run.run_id,)) as crew,
        ):
            return await go_on(again, run, past, crew, listeners=listeners, session=session)


def _check_people(prepared: Prepared) -> None:
    """See that there is somebody to ask where a person takes part and no default is stated."""
    agents = [agent for part in prepared.tree() for agent in part.plan.agents if agent.needs_person]
    if agents and prepared.ask is None:
        raise ConfigError(
            f"agent {agents[0].seat.agent_id!r} is a person, and there is nobody to ask: run this"
            " at a terminal (in Python: pass `ask`), or state what happens without a reply, with"
            " `default: abstain` in its backend",
            file=prepared.plan.config_file,
        )


def _begin_turn(
    session: Session, prepared: Prepared, question: Message, run_id: str
) -> Conversation:
    """Enter a turn into its session; what the run is given of the turns before."""
    # What goes along with every task would stand in the conversation again and again.
    plan = replace(prepared.plan, images=())
    record = Record(run_id=run_id, seq=1, at=0.0, event=opening(plan, question))
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
