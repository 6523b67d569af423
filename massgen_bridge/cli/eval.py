"""`massgen-bridge eval`: whether the team beats its best agent, by a set of questions."""

from __future__ import annotations

from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from massgen_bridge import __version__
from massgen_bridge.cli._asking import asker
from massgen_bridge.cli._eval_plan import EvalPlan, eval_plan, eval_plan_text
from massgen_bridge.cli._eval_run import EvalRun
from massgen_bridge.cli._eval_text import eval_markdown, eval_text
from massgen_bridge.cli._offer import BuildMissing, offer_environments
from massgen_bridge.cli._options import Debug, Trust, new_app
from massgen_bridge.cli._output import DONE, FAILED, BadUsage, Stopped, print_json, say
from massgen_bridge.cli._plugins import plugin_host
from massgen_bridge.cli._shown import DisplayChoice
from massgen_bridge.cli._weights import note_local_model
from massgen_bridge.config import open_config
from massgen_bridge.config.trust import content_hash
from massgen_bridge.evaluation import (
    Evaluator,
    Opening,
    Results,
    contestants_of,
    find_results,
    make_report,
    new_results,
    read_dataset,
)
from massgen_bridge.runtime.index import new_run_id

if TYPE_CHECKING:
    from massgen_bridge.evaluation import Report

__all__ = ["EvalOutput", "OnlyChoice", "app", "evaluate"]

app = new_app()


class EvalOutput(StrEnum):
    """The form of what goes to stdout."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"
    MARKDOWN = "markdown"


class OnlyChoice(StrEnum):
    """A part of those that are compared."""

    AGENTS = "agents"
    TEAM = "team"


@app.command()
def evaluate(
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG", help="The configuration, a YAML or JSON file.")
    ],
    dataset: Annotated[
        str,
        typer.Argument(
            metavar="DATASET", help="The questions: a JSONL file, or 'builtin:small', a small set."
        ),
    ],
    *,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help="So many questions at most.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", metavar="N", help="Take them in the random order of this seed."),
    ] = None,
    repeat: Annotated[
        int, typer.Option("--repeat", metavar="N", min=1, help="Ask each question so often.")
    ] = 1,
    concurrency: Annotated[
        int,
        typer.Option("--concurrency", metavar="N", min=1, help="So many runs at the same time."),
    ] = 1,
    only: Annotated[
        OnlyChoice | None, typer.Option("--only", help="Ask only the single agents, or the team.")
    ] = None,
    output: Annotated[
        EvalOutput,
        typer.Option("--output", help="On stdout: the report, or each answer and then the report."),
    ] = EvalOutput.TEXT,
    save: Annotated[
        Path | None,
        typer.Option(
            "--save",
            metavar="FILE",
            help="Keep all answers in this JSONL file; where it has some already, go on from them.",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with the newest evaluation of the same configuration and questions.",
        ),
    ] = False,
    retry_failures: Annotated[
        bool, typer.Option("--retry-failures", help="Ask again where there was no answer.")
    ] = False,
    display: Annotated[
        DisplayChoice,
        typer.Option("--display", help="How the progress is shown on stderr."),
    ] = DisplayChoice.AUTO,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show how many runs it takes, and do nothing.")
    ] = False,
    trust: Trust = False,
    yes: BuildMissing = False,
    _debug: Debug = False,
) -> int:
    """Ask a team and each of its agents alone a set of questions, and compare.

    Prints accuracy with 95 % intervals, cost and time side by side, and whether the team beats its
    best agent. Every answer is kept at once: what was broken off goes on with --resume.

    Exit codes: 0 compared, 1 nobody answered anything, 2 bad usage, configuration or questions,
    130 interrupted.
    """
    if save is not None and resume:
        raise BadUsage("--save goes on from the file by itself: leave --resume out")
    questions = read_dataset(dataset)
    host = plugin_host()
    opened = open_config(config, host, trust=trust, ask=asker(config))
    contestants = contestants_of(opened, host, only=_only(only))
    opening = Opening(
        evaluation_id=new_run_id(),
        bridge_version=__version__,
        config_file=str(config),
        config_digest=content_hash(opened, host),
        dataset=dataset,
        dataset_digest=questions.digest,
    )
    path = _path(opening, save, resume=resume)
    results = Results(path, opening)
    evaluator = Evaluator(
        contestants,
        questions.chosen(limit, seed),
        repeats=repeat,
        results=results,
        again=retry_failures,
    )
    if dry_run:
        with results if path.exists() else nullcontext():
            return _show_plan(eval_plan(evaluator.open()), output)
    offer_environments(*(one.prepared for one in contestants), yes=yes)
    note_local_model(contestants[-1].prepared)
    with results:
        own = EvalRun(evaluator, results, contestants[-1].prepared)
        stopped = own.work(
            concurrency=concurrency, display=display, lines=output is EvalOutput.JSONL
        )
        report = make_report(
            results.opening,
            evaluator.tasks,
            results.graded,
            strategy=opened.strategy.type,
            results=str(results.path),
        )
    _print(report, output)
    if stopped is not None:
        how = "the same command" if save is not None else "the same command with --resume"
        typer.echo(f"Stopped; what was answered is kept: {how} goes on.", err=True)
        raise Stopped(stopped)
    return DONE if any(one.unanswered < one.answers for one in report.standings) else FAILED


def _show_plan(plan: EvalPlan, output: EvalOutput) -> int:
    if output is EvalOutput.TEXT:
        say(eval_plan_text(plan))
    elif output is EvalOutput.JSON:
        print_json(plan._asdict())
    else:
        raise BadUsage("--dry-run has no answers to print: use --output text or json")
    return DONE


def _only(choice: OnlyChoice | None) -> Literal["agents", "team"] | None:
    return None if choice is None else "agents" if choice is OnlyChoice.AGENTS else "team"


def _path(opening: Opening, save: Path | None, *, resume: bool) -> Path:
    if save is not None:
        if not save.parent.is_dir():
            raise BadUsage(f"--save {str(save)!r}: there is no folder {str(save.parent)!r}")
        return save
    if not resume:
        return new_results(opening)
    found = find_results(opening)
    if found is None:
        raise BadUsage(
            "--resume: there is no evaluation of this configuration, as it is now, by these"
            " questions; leave it out to begin one"
        )
    return found


def _print(report: Report, output: EvalOutput) -> None:
    match output:
        case EvalOutput.TEXT:
            say(eval_text(report), nl=False)
        case EvalOutput.MARKDOWN:
            say(eval_markdown(report), nl=False)
        case EvalOutput.JSON | EvalOutput.JSONL:
            print_json(report.model_dump_json())
