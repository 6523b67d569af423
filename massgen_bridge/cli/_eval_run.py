"""An evaluation on the command line while it is under way."""

from __future__ import annotations

import os
import shutil
import sys
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

from anyio import to_thread

from massgen_bridge.cli._eval_progress import EvalProgress
from massgen_bridge.cli._output import READER_GONE, Stopped, print_json
from massgen_bridge.cli._shown import DisplayChoice, new_display
from massgen_bridge.cli._weights import fetch_weights
from massgen_bridge.cli._work import work
from massgen_bridge.display.choose import is_live

if TYPE_CHECKING:
    from massgen_bridge.cli._work import Stop
    from massgen_bridge.evaluation import Evaluator, Graded, Results
    from massgen_bridge.runtime.planning import Prepared

__all__ = ["EvalRun"]


class EvalRun:
    """Does the work of an evaluation, and tells how far it is.

    Args:
        evaluator: Knows what is to be done.
        results: Holds what was done before.
        prepared: The run of any contestant: their connections are the same.
    """

    def __init__(self, evaluator: Evaluator, results: Results, prepared: Prepared) -> None:
        self._evaluator = evaluator
        self._results = results
        self._prepared = prepared

    def work(self, *, concurrency: int, display: DisplayChoice, lines: bool) -> int | None:
        """Work to the end.

        Args:
            concurrency: So many runs at the same time.
            display: How the progress is shown.
            lines: Whether every answer goes to stdout as a line of JSON.

        Returns:
            The exit code where it was stopped early; None where it was not.

        Raises:
            Stopped: The reader of stdout is gone.
        """
        tasks = self._evaluator.tasks
        open_ = {task.cell for task in self._evaluator.open()}
        before = [self._results.graded[task.cell] for task in tasks if task.cell not in open_]
        for one in before if lines else ():
            print_json(one.model_dump_json())
        if not open_:
            return None
        told = None
        if display is not DisplayChoice.NONE:
            told = EvalProgress(sys.stderr, _columns(display), tasks, before, time.monotonic)
        fetching = new_display("none" if told is None else "plain", answer=False)

        async def tell(graded: Graded) -> None:
            if told is not None:
                told.tell(graded)
            if lines:
                await to_thread.run_sync(print_json, graded.model_dump_json())

        async def job(_stop: Stop) -> None:
            await fetch_weights(self._prepared, fetching)
            # The connections stay open between the runs; so does the local model's server.
            async with self._prepared.pool:
                await self._evaluator.work(concurrency=concurrency, tell=tell)

        try:
            with fetching, told or nullcontext():
                work(job)
        except Stopped as stopped:
            if stopped.code == READER_GONE:
                raise
            return stopped.code
        return None


def _columns(display: DisplayChoice) -> int | None:
    """The width of the line that is written anew; None for a line each."""
    if not is_live(display.value, sys.stderr, os.environ):
        return None
    return shutil.get_terminal_size().columns
