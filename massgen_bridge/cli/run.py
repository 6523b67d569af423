"""`massgen-bridge run`: the agents of a configuration answer a question."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from massgen_bridge.cli._asking import asker
from massgen_bridge.cli._budgets import BudgetOption, with_budget
from massgen_bridge.cli._cassette import RecordTo, ReplayFrom, opened_tape, recorded_hosts
from massgen_bridge.cli._conversation import SessionName, entered, note_unfinished
from massgen_bridge.cli._offer import BuildMissing, offer_environments
from massgen_bridge.cli._options import Debug, Output, Timeout, Trust, new_app
from massgen_bridge.cli._output import BAD_USAGE, DONE, BadUsage, print_json, say
from massgen_bridge.cli._plan import plan_of, trusted_or_read
from massgen_bridge.cli._plan_text import plan_text
from massgen_bridge.cli._plugins import plugin_host
from massgen_bridge.cli._question import Files, Images, attached, read_question
from massgen_bridge.cli._running import Running, with_people, with_timeout
from massgen_bridge.cli._shown import ShownAs, new_display
from massgen_bridge.cli._weights import note_local_model
from massgen_bridge.config import open_config
from massgen_bridge.runtime.execution import execute
from massgen_bridge.runtime.planning import prepare_run
from massgen_bridge.runtime.sessions import Session

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from massgen_bridge.events import Record, RunResult

__all__ = ["app", "run"]

app = new_app()


@app.command()
def run(
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG", help="The configuration, a YAML or JSON file.")
    ],
    question: Annotated[
        str, typer.Argument(metavar="QUESTION", help="The question; '-' reads it from stdin.")
    ],
    *,
    image: Images = None,
    file: Files = None,
    output: Annotated[
        Output,
        typer.Option("--output", help="On stdout: the answer, one JSON object, or all records."),
    ] = Output.TEXT,
    display: ShownAs = None,
    timeout: Timeout = None,
    budget: BudgetOption = None,
    trust: Trust = False,
    yes: BuildMissing = False,
    session: SessionName = None,
    record: RecordTo = None,
    replay: ReplayFrom = None,
    no_journal: Annotated[
        bool, typer.Option("--no-journal", help="Keep no record of this run.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")
    ] = False,
    _debug: Debug = False,
) -> int:
    """Let the agents of a configuration answer a question.

    Exit codes: 0 answered, 1 no answer, 2 bad usage or configuration, 130 interrupted.
    """
    if session is not None and no_journal:
        raise BadUsage("--session keeps what --no-journal says not to keep: use one of them")
    tape = opened_tape(record, replay, dry_run=dry_run, in_session=session is not None)
    talk = None if session is None else Session(session)
    message = read_question(question, attached(image, file))
    host = plugin_host()
    if dry_run:
        read = with_timeout(trusted_or_read(config, host, trust=trust), timeout)
        plan = plan_of(with_budget(read, budget), host, message, talk)
        return _show_plan(plan, output, told=read.warnings)
    opened = with_timeout(open_config(config, host, trust=trust, ask=asker(config)), timeout)
    opened = with_budget(opened, budget)
    prepared = prepare_run(opened, host=host, environ=os.environ, hosts=recorded_hosts(tape))
    offer_environments(prepared, yes=yes)
    shown = new_display(
        display.value if display else opened.ui.display, answer=output is Output.TEXT
    )
    prepared = with_people(prepared, shown)

    def job(listeners: Sequence[Callable[[Record], None]]) -> Awaitable[RunResult]:
        return execute(
            prepared, message, listeners=listeners, keep=not no_journal, session=talk, tape=tape
        )

    if talk is not None:
        note_unfinished(talk)
    note_local_model(prepared)
    return entered(talk, Running(prepared, job, shown, output).execute)


def _show_plan(plan: dict[str, Any], output: Output, *, told: Sequence[str]) -> int:
    """Print the plan; as text, without those warnings that stand on stderr already."""
    if output is Output.JSON:
        print_json(plan)
    elif output is Output.TEXT:
        new = [one for one in plan["warnings"] if one not in told]
        say(plan_text({**plan, "warnings": new}), nl=False)
    else:
        raise BadUsage("--dry-run has no records to print: use --output text or json")
    return BAD_USAGE if plan["problems"] else DONE
