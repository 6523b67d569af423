"""A run on the command line, from the moment when it can only be ended."""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from massgen_bridge.cli._options import Output
from massgen_bridge.cli._output import (
    DONE,
    FAILED,
    BadUsage,
    Failure,
    Stopped,
    failed_run,
    print_json,
)
from massgen_bridge.cli._records import LineWriter, ResultKeeper, result_object
from massgen_bridge.cli._weights import fetch_weights
from massgen_bridge.cli._work import work

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from massgen_bridge.cli._work import Stop
    from massgen_bridge.config import RunConfig
    from massgen_bridge.display import Display
    from massgen_bridge.events import Record, RunResult
    from massgen_bridge.runtime.planning import Prepared

    Job = Callable[[Sequence[Callable[[Record], None]]], Awaitable[RunResult]]

__all__ = ["Running", "with_people", "with_timeout"]


class Running:
    """One run, from here on only to be ended.

    Args:
        prepared: What is done.
        job: Does it; it gets the listeners.
        display: Shows it.
        output: What goes to stdout.
        run_id: Its id, where it has one already.
    """

    def __init__(
        self,
        prepared: Prepared,
        job: Job,
        display: Display,
        output: Output,
        *,
        run_id: str | None = None,
    ) -> None:
        self._prepared = prepared
        self._do = job
        self._display = display
        self._output = output
        self._run_id = run_id
        self._kept = ResultKeeper(prepared.pool.secrets())
        lines = LineWriter(prepared.pool.secrets())
        self._lines = lines if output is Output.JSONL else None

    def execute(self) -> int:
        """Run to the end; the exit code."""
        try:
            with self._display, self._lines or nullcontext():
                work(self._job)
        except Stopped:
            if self._output is Output.JSON:
                print_json(self._cancelled())
            raise
        result = self._kept.result
        assert result is not None  # noqa: S101 - a run that returns has ended
        self._display.finish(result)
        if self._output is Output.JSON:
            print_json(result_object(result))
        return DONE if result.answer is not None else FAILED

    async def _job(self, stop: Stop) -> RunResult:
        listeners = [self._display.listen, self._kept.listen]
        if self._lines is not None:
            self._lines.on_gone = stop
            listeners.append(self._lines.listen)
        await fetch_weights(self._prepared, self._display)
        return await self._do(listeners)

    def _cancelled(self) -> dict[str, object]:
        if self._kept.result is not None:
            return result_object(self._kept.result)
        failure = Failure("cancelled", "stopped before it began")
        return failed_run(failure, run_id=self._run_id, status="cancelled")


def with_people(prepared: Prepared, display: Display) -> Prepared:
    """The same run with somebody to ask at this terminal, where people take part.

    Args:
        prepared: The run.
        display: Shows it; it gives way while a person is asked.
    """
    if not any(agent.asks_person for part in prepared.tree() for agent in part.plan.agents):
        return prepared
    from massgen_bridge.cli._people import people_at_terminal  # noqa: PLC0415 - seldom needed

    return replace(prepared, ask=people_at_terminal(display))


def with_timeout(config: RunConfig, timeout: float | None) -> RunConfig:
    """The same configuration with another deadline, if one is given.

    Raises:
        BadUsage: That is no time.
    """
    if timeout is None:
        return config
    if not 0 < timeout < math.inf:
        raise BadUsage(f"--timeout: expected a number of seconds above 0, found {timeout:g}")
    settings = config.timeout_settings.model_copy(update={"orchestrator_timeout_seconds": timeout})
    document = config.document.model_copy(update={"timeout_settings": settings})
    return replace(config, document=document)
