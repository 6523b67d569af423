"""`massgen-bridge adapters test`: the conformance suite against an adapter, and its report."""

from __future__ import annotations

import os
import re
import sys
import time
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from massgen_bridge.cli._options import Debug, Trust, new_app
from massgen_bridge.cli._output import DONE, FAILED, BadUsage, Stopped, print_json, say
from massgen_bridge.cli._plugins import plugin_host
from massgen_bridge.cli._progress import Progress
from massgen_bridge.cli._report import AdapterFacts, make_report, packages_of
from massgen_bridge.cli._report_markdown import report_markdown
from massgen_bridge.cli._report_text import report_text
from massgen_bridge.cli._scrub import Scrubber, secrets_in
from massgen_bridge.cli._subject import Subject, find_subject
from massgen_bridge.cli._suite_run import SuiteRun
from massgen_bridge.cli._suite_wire import SuiteRequest
from massgen_bridge.cli._work import work
from massgen_bridge.isolation.choice import environment_requirements, stays_here
from massgen_bridge.isolation.placement import Placement

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from massgen_bridge.cli._report import Report
    from massgen_bridge.cli._work import Stop
    from massgen_bridge.plugins import PluginHost

__all__ = ["Form", "SuiteIsolation", "adapters_test", "app"]

app = new_app()

_NEEDED = ("pytest", "blockbuster", "PIL")
_EXPECTED = re.compile(r"(?P<check>[^=\[\]]+(?:\[.*?\])?)=(?P<reason>.*)", re.DOTALL)
_USUAL_TIMEOUT_S = 60.0


class Form(StrEnum):
    """The form of a report."""

    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"


class SuiteIsolation(StrEnum):
    """Where the agents of a suite run."""

    NONE = "none"
    PROCESS = "process"
    ENVIRONMENT = "environment"


_FORMS = {".json": Form.JSON, ".markdown": Form.MARKDOWN, ".md": Form.MARKDOWN, ".txt": Form.TEXT}


@app.command()
def adapters_test(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="The adapter's kind of agents.")],
    *,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option",
            metavar="KEY=VALUE",
            help="An option of the adapter, its value in YAML; repeatable.",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", metavar="FILE", help="Take the options of an agent in a configuration."
        ),
    ] = None,
    agent: Annotated[
        str | None, typer.Option("--agent", metavar="ID", help="Which agent, if it has several.")
    ] = None,
    plugin: Annotated[
        list[Path] | None,
        typer.Option("--plugin", metavar="FILE", help="A file that holds the adapter; repeatable."),
    ] = None,
    trust: Trust = False,
    without_model: Annotated[
        bool,
        typer.Option("--without-model", help="For a kind that can do without, and uses none here."),
    ] = False,
    question: Annotated[
        str | None,
        typer.Option(
            "--question",
            metavar="TEXT",
            help="What the agent is asked, for one that cannot answer everything; {number} in it "
            "tells questions apart.",
        ),
    ] = None,
    expect_failure: Annotated[
        list[str] | None,
        typer.Option(
            "--expect-failure",
            metavar="CHECK=REASON",
            help="A check that the framework makes impossible, and why; repeatable.",
        ),
    ] = None,
    isolation: Annotated[
        SuiteIsolation,
        typer.Option(
            "--isolation",
            help="Where its agents run: with the suite, or each in its own process, there also "
            "with packages of its own.",
        ),
    ] = SuiteIsolation.NONE,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="NAME",
            help="A group, a test or a check; repeatable. The report is no verdict then.",
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", help="Longest time for one check.")
    ] = _USUAL_TIMEOUT_S,
    output: Annotated[
        Form, typer.Option("--output", help="The form of the report on stdout.")
    ] = Form.TEXT,
    save: Annotated[
        Path | None,
        typer.Option(
            "--save", metavar="FILE", help="Write it to a .md, .json or .txt file as well."
        ),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Show tracebacks of what failed.")
    ] = False,
    _debug: Debug = False,
) -> int:
    """Hold an adapter to what every adapter promises, and report.

    Nothing but this machine is reached: where the adapter needs a model, a scripted one answers.
    Exit codes: 0 conforms, 1 does not, 2 bad usage or nothing to test, 130 interrupted.
    """
    _require_kit()
    if timeout <= 0:
        raise BadUsage(f"--timeout: expected a number of seconds above 0, found {timeout:g}")
    form = None if save is None else _form_of(save)
    host = plugin_host()
    subject = find_subject(
        kind,
        host,
        plugins=plugin or (),
        options=option or (),
        config=config,
        agent_id=agent,
        trust=trust,
    )
    if without_model and subject.spec.needs_model:
        raise BadUsage(f"--without-model: agents of kind {kind!r} need a model")
    versions = _versions_there(isolation, subject, host)
    request = SuiteRequest(
        kind=kind,
        plugins=subject.plugins,
        options=subject.options,
        base_dir=str(subject.base_dir),
        question=question,
        without_model=without_model,
        expected=_expected(expect_failure or ()),
        only=tuple(only or ()),
        isolation=isolation.value,
    )
    report, stopped = _tested(subject, request, host, versions, timeout_s=timeout)
    _print(report, output, verbose=verbose)
    if save is not None and form is not None:
        _write(save, _in_form(report, form, verbose=verbose))
    if stopped is not None:
        return stopped
    broken = report.totals.checks.failed + report.totals.checks.not_run
    return FAILED if broken else DONE


def _versions_there(
    isolation: SuiteIsolation, subject: Subject, host: PluginHost
) -> Mapping[str, str] | None:
    """The packages of the environment, which is built where it lacks; None where there is none."""
    if isolation is SuiteIsolation.NONE:
        return None
    fixed = stays_here(subject.spec, host.origin(subject.spec.kind))
    if fixed is not None:
        raise BadUsage(f"--isolation {isolation.value}: {fixed}")
    if isolation is SuiteIsolation.PROCESS:
        return None
    from massgen_bridge.cli._environments import provide  # noqa: PLC0415 - for this case alone
    from massgen_bridge.isolation.locking import request_of  # noqa: PLC0415 - likewise

    requirements = environment_requirements(subject.spec)
    place = Placement(mode="environment", requirements=requirements, python=subject.spec.python)
    (environment,) = provide([request_of(place)], yes=True)
    return environment.installed


def _require_kit() -> None:
    missing = [name for name in _NEEDED if not _is_there(name)]
    if missing:
        raise BadUsage(
            f"testing an adapter needs {' and '.join(missing)}, which this Python does not have; "
            "install what is missing with: pip install 'massgen-bridge[testing]'"
        )


def _is_there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ImportError:  # hidden, or a broken package above it
        return False


def _form_of(file: Path) -> Form:
    form = _FORMS.get(file.suffix.lower())
    if form is None:
        raise BadUsage(f"--save {str(file)!r}: expected a name that ends with .md, .json or .txt")
    if not file.parent.is_dir():
        raise BadUsage(f"--save {str(file)!r}: there is no folder {str(file.parent)!r}")
    return form


def _expected(given: Iterable[str]) -> dict[str, str]:
    expected = {}
    for one in given:
        match = _EXPECTED.fullmatch(one)
        if match is None or not match["reason"].strip():
            raise BadUsage(
                f"--expect-failure {one!r}: expected CHECK=REASON, such as "
                "'test_a_test[parameter]=the framework counts no tokens'"
            )
        expected[match["check"].strip()] = match["reason"].strip()
    return expected


def _tested(
    subject: Subject,
    request: SuiteRequest,
    host: PluginHost,
    versions: Mapping[str, str] | None,
    *,
    timeout_s: float,
) -> tuple[Report, int | None]:
    """The report, of what was found so far if somebody ended it; then with the exit code."""
    packages = packages_of(subject.spec, versions)
    (info,) = (one for one in host.adapters() if one.kind == request.kind)
    facts = AdapterFacts(
        kind=request.kind,
        summary=subject.spec.summary,
        distribution=info.distribution,
        version=info.version,
        file=subject.file if info.distribution is None else None,
        protocols=tuple(subject.spec.protocols),
        options=tuple(sorted(request.options)),
        packages=packages,
    )
    began, cpu = time.monotonic(), _cpu_of_children()
    with Progress(sys.stderr) as progress:
        run = SuiteRun(request, timeout_s=timeout_s, tell=progress.tell)

        async def job(_stop: Stop) -> None:
            await run.run()

        stopped = None
        try:
            work(job)
        except Stopped as error:
            if not run.interrupt():
                raise
            stopped = error.code
    times = (time.monotonic() - began, _cpu_of_children() - cpu)
    secrets = [*secrets_in(os.environ), *secrets_in(request.options)]
    scrub = Scrubber(subject.base_dir, secrets)
    report = make_report(
        run, facts, only=request.only, question=request.question, times=times, scrub=scrub
    )
    return report, stopped


def _cpu_of_children() -> float:
    """CPU seconds of the processes that have ended; 0 where the system does not tell."""
    times = os.times()
    return times.children_user + times.children_system


def _in_form(report: Report, form: Form, *, verbose: bool) -> str:
    match form:
        case Form.TEXT:
            return report_text(report, verbose=verbose)
        case Form.MARKDOWN:
            return report_markdown(report, verbose=verbose)
        case Form.JSON:
            return report.model_dump_json(indent=2) + "\n"


def _print(report: Report, form: Form, *, verbose: bool) -> None:
    text = _in_form(report, form, verbose=verbose)
    if form is Form.TEXT:
        say(text, nl=False)
    else:
        print_json(text.rstrip("\n"))


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadUsage(f"--save {str(file)!r}: cannot write it: {error.strerror}") from None
