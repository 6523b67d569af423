"""The Python API: a run as one call, as a stream of records, or by a team built in code."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import anyio

from massgen_bridge.config.trust import open_config
from massgen_bridge.errors import ConfigError
from massgen_bridge.messages import Message, user
from massgen_bridge.people import desk_of
from massgen_bridge.plugins import PluginHost
from massgen_bridge.runtime import execution
from massgen_bridge.runtime.cassette.executor import tape_of
from massgen_bridge.runtime.cassette.replaying import Replay
from massgen_bridge.runtime.index import RunIndex
from massgen_bridge.runtime.planning import Prepared, prepare_run
from massgen_bridge.runtime.provision import provide_environments
from massgen_bridge.runtime.sessions import Session
from massgen_bridge.runtime.stopped import StoppedRun

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from massgen_bridge.events import Record, RunResult
    from massgen_bridge.media.given import Given
    from massgen_bridge.people import Ask, Desk

__all__ = ["Config", "Configured", "aresume", "arun", "prepare", "resume", "run", "stream"]


class Configured(Protocol):
    """Something that is a configuration once it knows the plugins: a `Team`."""

    def configuration(self, host: PluginHost) -> Mapping[str, Any]:
        """The configuration as values; what they need is registered with the host."""


Config: TypeAlias = Path | str | Mapping[str, Any] | Configured
"""A file (or its path as text), the text of one, the same as a dict, or a team."""


def prepare(
    config: Config,
    *,
    trust: bool = False,
    host: PluginHost | None = None,
    replay: Replay | None = None,
    attach: bool = True,
) -> Prepared:
    """Check a configuration and resolve it, without running it.

    Args:
        config: A file (or its path as text), the text of one, the same as a dict, or a team.
        trust: Whether code that a file names may be imported. A dict and a team come from code
            already and need no trust.
        host: The plugins; a new host with everything installed by default.
        replay: The cassette that shall answer all model calls: no keys are needed then.
        attach: Whether the pictures and files that it names are read; a run that is resumed has
            them already.

    Raises:
        ConfigError: Something is wrong with it; TrustRequired where it imports code.
        PluginError: An adapter, strategy, tool or sink cannot be used.
    """
    host = host or PluginHost()
    from_objects = not isinstance(config, Path | str | Mapping)
    if not isinstance(config, Path | str | Mapping):
        config = config.configuration(host)
    from_code = isinstance(config, Mapping)
    opened = open_config(config, host, trust=trust or from_code)
    return prepare_run(
        opened,
        host=host,
        environ=os.environ,
        from_objects=from_objects,
        hosts=None if replay is None else replay.hosts,
        attach=attach,
    )


async def arun(
    config: Config,
    question: str | Message,
    *,
    images: Sequence[Given] = (),
    files: Sequence[Given] = (),
    trust: bool = False,
    keep: bool = True,
    session: Session | str | None = None,
    record: Path | str | None = None,
    replay: Path | str | None = None,
    ask: Ask | Desk | None = None,
    create_environments: bool = False,
    on_record: Callable[[Record], None] | None = None,
) -> RunResult:
    """Run a configuration on a question.

    Args:
        config: A file (or its path as text), the text of one, the same as a dict, or a team.
        question: The task; a message with media parts where text is not enough.
        images: Pictures that go along with it: paths, addresses (`https://…`), or parts.
        files: Files of any kind that go along with it, such as a text or a PDF; likewise.
        trust: Whether code that a file names may be imported.
        keep: Whether the run is written to the journal.
        session: The conversation that the question goes on with, or the name that it is kept
            under; without an answer, the question does not become part of it.
        record: A new file, for all model calls and their answers: a cassette.
        replay: A cassette that answers in place of all models: no key and no network are needed.
        ask: Asks the people who take part, one question at a time; a `Desk` asks several at once.
            Without it, nobody is asked.
        create_environments: Whether environments that agents need and that are not there are built
            first, which may download much; the logger `massgen_bridge.isolation` tells how it goes.
        on_record: Called with each record, in the event loop; it must only take note.

    Returns:
        The result, also of a run that failed: see its `status`.

    Raises:
        ConfigError: Something is wrong with the configuration, or with the session's name.
        MediaError: A picture or file cannot be read, or is something else.
        PluginError: A plugin that it needs cannot be used.
        EnvironmentFailed: An agent's environment is not there, or cannot be built.
        JournalError: The run cannot be written, or another turn of the session is under way.
        CassetteError: The cassette cannot be read or made, or is of another team or question.
        ReplayDiverged: The run asks a model for what its cassette does not hold.
    """
    talk = _session(session, keep=keep)
    message = await _message(question, images, files)
    # Reading files and looking for plugins blocks: not in the event loop.
    tape = await anyio.to_thread.run_sync(partial(tape_of, record=record, replay=replay))
    prepared = await anyio.to_thread.run_sync(
        partial(prepare, config, trust=trust, replay=tape if isinstance(tape, Replay) else None)
    )
    await _provide(prepared, create=create_environments)
    listeners = [on_record] if on_record is not None else []
    prepared = replace(prepared, ask=desk_of(ask))
    return await execution.execute(
        prepared, message, listeners=listeners, keep=keep, session=talk, tape=tape
    )


def run(
    config: Config,
    question: str | Message,
    *,
    images: Sequence[Given] = (),
    files: Sequence[Given] = (),
    trust: bool = False,
    keep: bool = True,
    session: Session | str | None = None,
    record: Path | str | None = None,
    replay: Path | str | None = None,
    ask: Ask | Desk | None = None,
    create_environments: bool = False,
    on_record: Callable[[Record], None] | None = None,
) -> RunResult:
    """Run a configuration on a question and wait for the result; see `arun`.

    It also works where an event loop runs already, as in a notebook: the run then has a loop of
    its own in another thread, and the caller's waits.
    """
    asked = partial(arun, config, question, images=images, files=files)
    work = partial(asked, trust=trust, keep=keep, session=session)
    taped = partial(work, record=record, replay=replay)
    placed = partial(taped, create_environments=create_environments)
    return _blocking(partial(placed, ask=ask, on_record=on_record))


async def aresume(
    run_id: str,
    config: Config | None = None,
    *,
    trust: bool = False,
    ask: Ask | Desk | None = None,
    create_environments: bool = False,
    on_record: Callable[[Record], None] | None = None,
) -> RunResult:
    """Go on with a run whose process has ended, from its journal, to the same result.

    Turns that were finished are not repeated; one that was under way is started again.

    Args:
        run_id: The run's id, its beginning, or `last` for the newest run.
        config: What it was made from, where the journal does not hold it: for a `Team`, for a
            configuration with secrets that is gone, for a run of an older version.
        trust: Whether code that the configuration names may be imported.
        ask: As for `arun`.
        create_environments: As for `arun`.
        on_record: As for `arun`; called with the new records.

    Returns:
        The result of the whole run.

    Raises:
        JournalError: There is no such run, it has ended, or another process runs it.
        ConfigError: The configuration cannot be had any more, or is of another team.
        PluginError: A plugin that it needs cannot be used.
        EnvironmentFailed: An agent's environment is not there, or cannot be built.
    """
    stopped = await anyio.to_thread.run_sync(_stopped, run_id)
    prepared = await anyio.to_thread.run_sync(partial(_again, stopped, config, trust=trust))
    await _provide(prepared, create=create_environments)
    listeners = [on_record] if on_record is not None else []
    prepared = replace(prepared, ask=desk_of(ask))
    return await execution.resume(prepared, stopped, listeners=listeners)


def resume(
    run_id: str,
    config: Config | None = None,
    *,
    trust: bool = False,
    ask: Ask | Desk | None = None,
    create_environments: bool = False,
    on_record: Callable[[Record], None] | None = None,
) -> RunResult:
    """Go on with a run whose process has ended and wait for the result; see `aresume`."""
    work = partial(aresume, run_id, config, trust=trust, create_environments=create_environments)
    return _blocking(partial(work, ask=ask, on_record=on_record))


async def _provide(prepared: Prepared, *, create: bool) -> None:
    await anyio.to_thread.run_sync(partial(provide_environments, prepared, create=create))


def _stopped(run_id: str) -> StoppedRun:
    index = RunIndex()
    return StoppedRun.find(index.path(index.find(run_id).run_id))


def _again(stopped: StoppedRun, config: Config | None, *, trust: bool) -> Prepared:
    if config is not None:
        return prepare(config, trust=trust, attach=False)
    host = PluginHost()
    opened = open_config(stopped.source(), host, trust=trust)
    return prepare_run(opened, host=host, environ=os.environ, attach=False)


def _blocking(work: Callable[[], Awaitable[RunResult]]) -> RunResult:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return anyio.run(work)
    with ThreadPoolExecutor(max_workers=1) as threads:
        return threads.submit(anyio.run, work).result()


async def stream(
    config: Config,
    question: str | Message,
    *,
    images: Sequence[Given] = (),
    files: Sequence[Given] = (),
    trust: bool = False,
    keep: bool = True,
    session: Session | str | None = None,
    record: Path | str | None = None,
    replay: Path | str | None = None,
    ask: Ask | Desk | None = None,
    create_environments: bool = False,
) -> AsyncIterator[Record]:
    """Run a configuration and yield each record as it comes; the last one holds the result.

    Leaving the loop early cancels the run. Arguments and errors are those of `arun`.
    """
    send, receive = anyio.create_memory_object_stream["Record"](math.inf)

    async def work() -> None:
        with send:
            asked = partial(arun, config, question, images=images, files=files)
            begin = partial(asked, trust=trust, keep=keep, session=session)
            taped = partial(begin, record=record, replay=replay)
            placed = partial(taped, create_environments=create_environments)
            await placed(ask=ask, on_record=send.send_nowait)

    # A task group cannot stay open over a yield; this task is owned by the generator, which ends
    # it in every case before it ends itself.
    task = asyncio.get_running_loop().create_task(work())
    try:
        async for one in receive:
            yield one
        await task
    finally:
        task.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.wait({task})
        receive.close()


def _session(session: Session | str | None, *, keep: bool) -> Session | None:
    if isinstance(session, str):
        session = Session(session)
    if session is not None and session.name is not None and not keep:
        raise ConfigError(
            f"the session {session.name!r} is kept, and this run is not to be: give a Session"
            " without a name, or keep the run"
        )
    return session


async def _message(
    question: str | Message, images: Sequence[Given], files: Sequence[Given]
) -> Message:
    if not images and not files:
        return user(question) if isinstance(question, str) else question
    from massgen_bridge.media.given import message_of  # noqa: PLC0415 - most questions have none

    return await anyio.to_thread.run_sync(message_of, question, images, files)
