"""A run of a conversation tells what was asked and answered before."""

from __future__ import annotations

from pathlib import Path

import pytest
from export.pages import Page

from massgen_bridge import Message, Record, Session, TextPart, run
from massgen_bridge.display import render_summary
from massgen_bridge.export import as_html, as_markdown, export_of
from massgen_bridge.export.model import Attachment, EarlierTurn
from massgen_bridge.messages import DocumentPart
from massgen_bridge.runtime.index import RunIndex

HOSTILE = "# Not a heading\n\n<script>alert(1)</script>"


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Record]:
    """The second run of a session."""
    monkeypatch.setenv("MASSGEN_BRIDGE_DATA", str(tmp_path))
    config = {
        "version": 1,
        "strategy": "single",
        "agents": [{"id": "ada", "backend": {"type": "python", "function": "own.py:answer"}}],
    }
    (tmp_path / "own.py").write_text(f"def answer(question):\n    return {HOSTILE!r}\n")
    monkeypatch.chdir(tmp_path)
    report = DocumentPart(media_type="text/plain", data=b"words", name="report.txt")
    asked = Message(role="user", parts=(TextPart(text="What does it say?"), report))
    run(config, asked, session="talk")
    heard: list[Record] = []
    run(config, "And in French?", session="talk", on_record=heard.append)
    return heard


def test_an_export_holds_the_turns_before(records: list[Record]) -> None:
    exported = export_of(records)
    (turn,) = Session("talk").turns[:1]
    assert exported.session == "talk"
    assert exported.earlier == (
        EarlierTurn(
            run_id=turn.run_id,
            question="What does it say?",
            attachments=(Attachment(words="document report.txt"),),
            answer=HOSTILE,
        ),
    )
    page = Page(as_html(exported))
    assert "The conversation before" in page.text
    assert "With document report.txt." in page.text
    assert HOSTILE in page.text
    assert "script" not in page.tags
    assert page.tags.index("h1") < page.tags.index("h2")
    assert "h3" not in page.tags[: page.tags.index("h2")]
    text = as_markdown(exported)
    assert "## The conversation before\n\n1. Asked:\n\n```text\nWhat does it say?" in text
    assert f"```text\n{HOSTILE}\n```" in text


def test_what_no_agent_was_shown_is_counted(records: list[Record]) -> None:
    exported = export_of(records).model_copy(update={"forgotten": 3})
    words = "The conversation before, without its 3 oldest turns"
    assert words in Page(as_html(exported)).text
    assert f"## {words}\n" in as_markdown(exported)


def test_a_summary_and_the_list_of_runs_name_the_session(records: list[Record]) -> None:
    assert "Session talk, 1 turn before this one\n" in render_summary(records)
    assert {row.session for row in RunIndex().list()} == {"talk"}


def test_a_lone_question_has_nothing_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASSGEN_BRIDGE_DATA", str(tmp_path))
    heard: list[Record] = []
    config = {"version": 1, "agents": [{"id": "ada", "backend": {"type": "scripted"}}]}
    run(config, "Alone?", on_record=heard.append)
    exported = export_of(heard)
    assert (exported.session, exported.earlier) == (None, ())
    assert "conversation" not in as_html(exported)
    assert "Session" not in render_summary(heard)
    run(config, "In passing?", session=Session(), on_record=heard.append)
    assert "A conversation, 0 turns before this one\n" in render_summary(heard)
