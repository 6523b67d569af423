"""Pictures in exports: on the page itself, beside Markdown, named where there is no room."""

from __future__ import annotations

import base64

from export.pages import Page
from pictures import png

from massgen_bridge.agent import AnswerRef
from massgen_bridge.events import (
    AnswerInfo,
    AnswerListed,
    Event,
    Record,
    RunFinished,
    RunResult,
    RunStarted,
    Seat,
)
from massgen_bridge.export import RunExport, as_html, as_markdown, export_of, pictures_of
from massgen_bridge.export._pictures import Album
from massgen_bridge.export.model import Attachment
from massgen_bridge.messages import ImagePart, MediaPart, Message, TextPart

RED = ImagePart(media_type="image/png", data=png(), name='r"<e>d.png')
BLUE = ImagePart(media_type="image/png", data=png(0, 0, 200), name="blue.png", path="/r/b(l)ue.png")
AWAY = ImagePart(media_type="image/png", url="https://a.example/away.png", name="away.png")
ODD = ImagePart(media_type="image/svg+xml", data=b"<svg/>", name="odd.svg")


def _run(asked: tuple[MediaPart, ...], *answers: tuple[MediaPart, ...]) -> RunExport:
    """A run of agents of whom each gives one answer; the first one wins."""
    given = [
        AnswerInfo(label=f"agent{n}", version=1, authors=(f"a{n}",), text=f"Text {n}.", media=media)
        for n, media in enumerate(answers, 1)
    ]
    refs = [AnswerRef(label=one.label, version=1) for one in given]
    result = RunResult(
        run_id="run-1",
        status="answered",
        answer="Text 1.",
        media=given[0].media,
        winner="a1",
        winning=refs[0],
        answers=tuple(given),
    )
    events: list[Event] = [
        RunStarted(
            bridge_version="1",
            question=Message(role="user", parts=(TextPart(text="Paint!"), *asked)),
            seats=tuple(
                Seat(agent_id=one.authors[0], label=one.label, kind="scripted") for one in given
            ),
            strategy="single",
        ),
        *(
            AnswerListed(answer=ref, authors=one.authors, text=one.text, media=one.media)
            for ref, one in zip(refs, given, strict=True)
        ),
        RunFinished(result=result),
    ]
    return export_of(
        Record(run_id="run-1", seq=n, at=float(n), event=event) for n, event in enumerate(events, 1)
    )


def _sources(page: Page) -> list[str]:
    return [value for tag, name, value in page.attributes if (tag, name) == ("img", "src")]


def _uri(picture: ImagePart) -> str:
    assert picture.data is not None
    return f"data:image/png;base64,{base64.b64encode(picture.data).decode()}"


def test_the_page_holds_each_picture_once_and_nothing_else_loads() -> None:
    page = Page(as_html(_run((RED,), (BLUE, AWAY, ODD), (RED,))))
    assert _sources(page) == [_uri(RED), _uri(BLUE)]
    links = {value for tag, name, value in page.attributes if (tag, name) == ("a", "href")}
    assert {f"#{one}" for one in page.ids() if one.startswith("picture-")} & links
    assert page.text.count("It stands above.") == 1
    assert "https://a.example/away.png" in page.text
    assert "odd.svg" in page.text
    (policy,) = [value for _, name, value in page.attributes if "default-src" in value]
    assert "; img-src data:; " in policy


def test_a_name_stays_text() -> None:
    page = Page(as_html(_run((RED,), ())))
    assert [value for _, name, value in page.attributes if name == "alt"] == ['image r"<e>d.png']
    assert 'image r"<e>d.png' in page.text


def test_where_a_picture_is_seen_its_place_on_the_disk_is_not() -> None:
    run = _run((RED,), (BLUE,))
    shown = (as_html(run), as_markdown(run, folder="run-pictures"))
    for text, place in zip(shown, ("/r/b(l)ue.png", "/r/b"), strict=True):
        assert "blue.png" in text
        assert place not in text
    assert "/r/b" in as_markdown(run)
    assert "/r/b(l)ue.png" in run.model_dump_json()


def test_a_page_without_pictures_may_show_none() -> None:
    assert "img-src" not in as_html(_run((AWAY,), (ODD,)))


def test_what_is_too_large_for_the_page_is_named() -> None:
    assert RED.data is not None
    album = Album(most_bytes=len(RED.data))
    assert "<img" in album.entry(Attachment(words="red", picture=RED))
    said = album.entry(Attachment(words="blue", picture=BLUE))
    assert "<img" not in said
    assert "blue It is not on this page, whose pictures are at most" in said


def test_markdown_shows_the_files_of_a_folder() -> None:
    run = _run((RED,), (BLUE, AWAY), (RED,))
    files = pictures_of(run)
    assert sorted(files.values()) == sorted([png(), png(0, 0, 200)])
    text = as_markdown(run, folder="my run-pictures")
    for name, times in zip(files, (2, 1), strict=True):
        assert text.count(f"](my%20run-pictures/{name})") == times
    assert "](" not in as_markdown(run).replace("](#", "")


def test_the_json_names_pictures_and_does_not_hold_them() -> None:
    run = _run((RED,), (BLUE,))
    again = RunExport.model_validate_json(run.model_dump_json())
    named = [[{"words": one.words} for one in answer.attachments] for answer in run.answers]
    for told in (run, again):
        answers = told.model_dump(mode="json")["answers"]
        assert [answer["attachments"] for answer in answers] == named != []
    assert pictures_of(again) == {}
    assert "<img" not in as_html(again)
