"""Reports on adapters in each of their forms, how far a suite is, and what must not be told."""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from massgen_bridge import Capabilities
from massgen_bridge.cli._progress import Progress
from massgen_bridge.cli._report import (
    AdapterFacts,
    CheckResult,
    Counts,
    GroupResult,
    Package,
    Report,
    Surroundings,
    Totals,
)
from massgen_bridge.cli._report_markdown import report_markdown
from massgen_bridge.cli._report_text import report_text
from massgen_bridge.cli._scrub import Scrubber, secrets_in
from massgen_bridge.cli._suite_wire import Check, CheckEnded, Outcome, SuiteReady

HOSTILE = "assert `a|b` == <script>\n```\n# not a title\x1b[2J"


def check(name: str, outcome: Outcome = "passed", reason: str = "") -> CheckResult:
    return CheckResult(
        name=name,
        guarantee=name.partition("[")[0],
        group="turns",
        sentence="A question | leads to *one* result.",
        outcome=outcome,
        reason=reason,
        details=f"file.py:1: in {name}" if reason else "",
        seconds=0.1,
    )


def report(*checks: CheckResult, only: tuple[str, ...] = ()) -> Report:
    outcomes = [one.outcome for one in checks]
    counts = Counts(**{one: outcomes.count(one) for one in set(outcomes)})
    broken = {one.guarantee for one in checks if one.outcome == "failed"}
    left = {one.guarantee for one in checks if one.outcome == "not_run"}
    whole = "does_not_conform" if broken | left else "conforms"
    return Report(
        verdict="none" if only else whole,
        only=only,
        question=None,
        suite="AgentConformance",
        adapter=AdapterFacts(
            kind="acme",
            summary="Acme's agents.",
            distribution="massgen-bridge-acme",
            version="1.2",
            file=None,
            protocols=("chat",),
            options=("depth",),
            packages=(Package(name="acme_sdk", requirement="acme_sdk>=3", version="3.4"),),
        ),
        surroundings=Surroundings(
            massgen_bridge="0.1.0", python="CPython 3.11.7", system="Linux", date="2026-11-22"
        ),
        capabilities={"tools": True, "inputs": ["image"], "cancellation": "cooperative"},
        groups=(GroupResult(name="turns", about="Turns | a.", guarantees=1, checks=counts),),
        checks=checks,
        totals=Totals(
            guarantees=len({one.guarantee for one in checks}),
            broken=len(broken),
            open=len(left - broken),
            checks=counts,
            wall_s=1.5,
            cpu_s=0.5,
        ),
    )


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        (report(check("test_a"), check("test_b")), "acme conforms (2 guarantees hold)"),
        (
            report(check("test_a"), check("test_b", "expected_failure", "why")),
            "acme conforms (2 guarantees hold, but for 1 expected to fail)",
        ),
        (
            report(check("test_a[1]", "failed", "why"), check("test_a[2]"), check("test_b")),
            "acme does not conform (1 of 2 guarantees broken)",
        ),
        (
            report(check("test_a", "failed", "why"), check("test_b", "not_run", "over")),
            "acme does not conform (1 of 2 guarantees broken, 1 not run)",
        ),
        (
            report(check("test_a"), only=("test_a",)),
            "acme: 0 of 1 check failed in a part of the suite, so this is no verdict",
        ),
    ],
)
def test_every_form_has_the_verdict(given: Report, verdict: str) -> None:
    assert report_text(given, verbose=False).splitlines()[-1] == verdict
    assert f"\n**{verdict}**\n" in report_markdown(given, verbose=False)


def test_text_tells_what_was_tested_and_where() -> None:
    assert report_text(report(check("test_a")), verbose=False).splitlines()[:8] == [
        "Adapter    acme from massgen-bridge-acme 1.2",
        "Builds on  acme_sdk 3.4",
        "Speaks     chat",
        "Can        tools, image input, cooperative cancellation",
        "Options    depth",
        "Suite      AgentConformance of massgen-bridge 0.1.0",
        "Run on     CPython 3.11.7, Linux, 2026-11-22",
        "Took       1.5 s, 0.5 s of CPU",
    ]


def test_checks_that_fail_for_one_reason_are_told_together() -> None:
    given = report(*(check(f"test_a[{one}]", "failed", "too slow") for one in "xyz"))
    text = report_text(given, verbose=False)
    assert "FAILED: test_a\n" in text
    assert "  - x, y, z\n    too slow\n" in text
    assert text.count("too slow") == 1
    markdown = report_markdown(given, verbose=False)
    assert "### `test_a`" in markdown
    assert "`x`, `y`, `z`" in markdown


def test_nothing_hostile_gets_to_a_terminal() -> None:
    text = report_text(report(check("test_a", "failed", HOSTILE)), verbose=True)
    assert "\x1b" not in text


def test_markdown_is_rendered_as_it_is_meant() -> None:
    given = report(
        check("test_a[1]", "failed", HOSTILE),
        check("test_b|c", "expected_failure", HOSTILE),
        check("test_c", "not_run", HOSTILE),
    )
    markdown = report_markdown(given, verbose=True)
    parser = MarkdownIt("commonmark", {"html": True}).enable("table")
    titles = [
        token.content
        for before, token in zip(parser.parse(markdown), parser.parse(markdown)[1:], strict=False)
        if before.type == "heading_open"
    ]
    assert titles == [
        "Conformance of `acme`",
        "Guarantees",
        "Failures",
        "`test_a`",
        "Expected failures",
        "`test_b|c`",
        "Not run",
    ]
    html = parser.render(markdown)
    assert "<script>" not in html
    assert html.count("<table>") == html.count("</table>") == 2
    assert "<td>Turns | a.</td>" in html
    assert "A question | leads to *one* result." in html
    assert html.count("# not a title") == 3, "neither a title nor lost"


# --- how far it is --------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _progress(stream: io.StringIO, count: int = 3) -> str:
    checks = [
        Check(name=f"{group}{n}", guarantee=group, group=group, sentence="")
        for group in ("turns", "rules")
        for n in range(count)
    ]
    with Progress(stream) as progress:
        progress.tell(
            SuiteReady(
                suite="AgentConformance",
                capabilities=Capabilities(),
                groups={"turns": "", "rules": ""},
                checks=tuple(checks),
            )
        )
        for one in checks:
            progress.tell(
                CheckEnded(name=one.name, outcome="failed" if one.name == "turns1" else "passed")
            )
    return stream.getvalue()


def test_progress_is_a_line_for_each_group() -> None:
    assert _progress(Terminal()) == "turns  .F.\nrules  ...\n\n"


def test_progress_stays_within_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    lines = _progress(Terminal(), count=30).splitlines()
    assert {len(line) for line in lines if line} <= set(range(8, 21))
    assert lines[1] == "       ............"


def test_progress_is_for_people_alone() -> None:
    assert _progress(io.StringIO()) == ""


# --- what must not be told ------------------------------------------------------------------------


def test_paths_of_the_machine_are_shortened(tmp_path: Path) -> None:
    scrub = Scrubber(tmp_path / "mine", [])
    site = next(path for path in map(Path, sys.path) if path.name == "site-packages")
    for told, fit in {
        f"{tmp_path}/mine/own.py:3": "own.py:3",
        f"in {Path.home()}/notes.txt": "in ~/notes.txt",
        f"{site}/anyio/abc.py, line 1": "anyio/abc.py, line 1",
        f"{Path(tempfile.gettempdir()).resolve()}/x": "<tmp>/x",
        "('/etc/acme/keys/one.pem')": "('…/keys/one.pem')",
        "file:///etc/acme/keys": "file://…/acme/keys",
        "POST http://127.0.0.1:80/v1/chat/completions": None,
        "and/or 1/2 //": None,
        r"C:\Users\anna\own.py": "…\\own.py",
        r"'C:\\Users\\anna\\own.py'": "'…\\own.py'",
    }.items():
        assert scrub(told) == (told if fit is None else fit)


def test_the_user_is_not_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "annabella")
    assert Scrubber(tmp_path, [])("annabella's, not annabellas") == "<user>'s, not annabellas"
    monkeypatch.setenv("LOGNAME", "user")
    assert Scrubber(tmp_path, [])("a message of the user") == "a message of the user"


def test_secrets_are_known_by_their_names(tmp_path: Path) -> None:
    settings: dict[str, object] = {
        "ACME_API_KEY": "abcdef-1",
        "api_key": "abcdef-2",
        "HF_TOKEN": "abcdef-3",
        "TOKENIZERS_PARALLELISM": "abcdef-4",
        "MAX_TOKENS": "abcdef-5",
        "DB_PASSWORD": "abcdef-6",
        "KEYBOARD": "abcdef-7",
        "secret": 8,
        "server": {"headers": {"x-api-key": "abcdef-9"}, "note": "abcdef-0", 1: "abcdef-0"},
        "tokens": ["abcdef-0"],
        "token": ["abcdef-a", {"of": "abcdef-b"}],
    }
    found = secrets_in(settings)
    assert [one[-1] for one in found] == ["1", "2", "3", "6", "9", "a", "b"]
    assert Scrubber(tmp_path, found)("abcdef-1, abcdef-4") == "[secret], abcdef-4"


def test_the_login_in_an_address_is_not_told(tmp_path: Path) -> None:
    scrub = Scrubber(tmp_path, [])
    for told, fit in {
        "http://bob:pa-ss@proxy:3128/x": "http://[secret]@proxy:3128/x",
        "postgres://:pa-ss@db": "postgres://[secret]@db",
        "https://example.com:80/a@b:c@d": None,
        "see http://here, and write to bob@example.com": None,
    }.items():
        assert scrub(told) == (told if fit is None else fit)
