"""Pictures in what is shown of a run: named with their size, never their bytes."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest
from pictures import png

from massgen_bridge.agent import AnswerRef
from massgen_bridge.cli._records import result_object
from massgen_bridge.display.base import QuietDisplay
from massgen_bridge.display.plain import plain_line
from massgen_bridge.display.state import RunView
from massgen_bridge.display.summary import render_summary
from massgen_bridge.display.words import answer_words, medium_words, saved_words
from massgen_bridge.events import (
    Answered,
    AnswerInfo,
    AnswerListed,
    Event,
    Record,
    RunFinished,
    RunResult,
    RunStarted,
    Seat,
    ToolCallFinished,
)
from massgen_bridge.export import as_html, as_markdown, export_of
from massgen_bridge.messages import AudioPart, ImagePart, Message, TextPart, ToolResult
from massgen_bridge.runtime.rewrite import media_name

if TYPE_CHECKING:
    from massgen_bridge.messages import MediaPart

RED = ImagePart(media_type="image/png", data=png(), name="red.png", path="/runs/ann/red.png")
WORDS = f"[image: red.png, 8x8, {len(png())} B]"
REF = AnswerRef(label="agent1", version=1)
INFO = AnswerInfo(label="agent1", version=1, authors=("ann",), text="Red.", media=(RED,))
RESULT = RunResult(
    run_id="run-1", status="answered", answer="Red.", media=(RED,), winner="ann", winning=REF,
    answers=(INFO,),
)  # fmt: skip
QUESTION = Message(role="user", parts=(TextPart(text="Paint!"), RED))
TOOL = ToolResult(call_id="1", name="look", content="Here.", media=(RED,))


def _records() -> list[Record]:
    seat = Seat(agent_id="ann", label="agent1", kind="scripted")
    events: list[Event] = [
        RunStarted(bridge_version="1", question=QUESTION, seats=(seat,), strategy="single"),
        ToolCallFinished(result=TOOL),
        Answered(agent_id="ann", turn_id="ann.1", text="Red.", media=(RED,)),
        AnswerListed(answer=REF, authors=("ann",), text="Red.", media=(RED,)),
        RunFinished(result=RESULT),
    ]
    return [
        Record(run_id="run-1", seq=n, at=float(n), agent_id="ann", turn_id="ann.1", event=event)
        for n, event in enumerate(events, 1)
    ]


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (RED, WORDS),
        (ImagePart(media_type="image/png", data=bytes(31_400)), "[image, 31 kB]"),
        (AudioPart(media_type="audio/wav", data=bytes(2000), name="a"), "[audio: a, 2 kB]"),
        (
            ImagePart(media_type="image/png", url="https://example.com/a.png", name="a.png"),
            "[image: a.png, https://example.com/a.png]",
        ),
    ],
)  # fmt: skip
def test_a_picture_is_named_with_its_size(part: MediaPart, words: str) -> None:
    assert medium_words(part) == words


def test_lines_tell_of_pictures() -> None:
    view = RunView()
    lines = []
    for record in _records():
        view.apply(record)
        lines.append(plain_line(record, view))
    told = [line.partition("] ")[2] for line in lines if line]
    assert told[0].endswith(f"Paint! {WORDS}")
    assert told[1] == f"ann (agent1): the tool look gave {WORDS}"
    assert told[2] == f"ann (agent1): gave its answer {WORDS}"


def test_an_answer_says_where_its_pictures_are() -> None:
    shown = f"Red.\n\n{WORDS} /runs/ann/red.png"
    assert answer_words(RESULT) == shown
    assert answer_words(RESULT.model_copy(update={"answer": ""})) == saved_words(RED)
    assert f"\n{shown}\n" in render_summary(_records())
    stdout = io.StringIO()
    QuietDisplay(stdout=stdout, stderr=io.StringIO()).finish(RESULT)
    assert stdout.getvalue() == f"{shown}\n"


def test_json_has_names_and_paths_and_no_bytes() -> None:
    (part,) = json.loads(json.dumps(result_object(RESULT)))["media"]
    assert (part["data"], part["path"]) == (media_name(png()), "/runs/ann/red.png")


def test_exports_name_the_files_of_pictures_that_are_not_in_them() -> None:
    export = export_of(_records())
    assert [one.words for one in export.answers[0].attachments] == [saved_words(RED)]
    assert "/runs/ann/red.png" in as_markdown(export).replace("\\", "")
    page = as_html(export)
    assert (WORDS in page, "/runs/ann/red.png" in page) == (True, False)
