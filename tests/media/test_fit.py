"""Media of turns made fit for who gets them: solved, refused, or named in words."""

from __future__ import annotations

from typing import Any

import pytest

from massgen_bridge.agent import ToolDefinition, Turn
from massgen_bridge.connection import ImageLimits
from massgen_bridge.errors import MediaError, UnsupportedContent
from massgen_bridge.media.fetch import Fetcher
from massgen_bridge.media.fit import Fitter, Used
from massgen_bridge.media.sight import Sight, tightest
from massgen_bridge.messages import (
    AudioPart,
    DocumentPart,
    ImagePart,
    MediaPart,
    Message,
    Part,
    TextPart,
    ToolResult,
)
from massgen_bridge.testing.pictures import PICTURES, make

pytestmark = pytest.mark.anyio

BY_NAME = {kind.name: kind for kind in PICTURES}
SEES = frozenset({"image"})
SOUND = AudioPart(media_type="audio/wav", data=b"RIFF\x04\x00\x00\x00WAVE", name="s.wav")
LOOK = ToolDefinition(name="look", description="", input_schema={"type": "object"})


def picture(name: str = "png_rgb", called: str | None = None) -> ImagePart:
    return ImagePart(media_type="image/png", data=make(BY_NAME[name]), name=called or f"{name}.png")


def sight(**given: Any) -> Sight:
    limits = ImageLimits(**given.pop("limits", {}))
    return Sight(**{"inputs": SEES, "tool_media": SEES, "images": limits, "where": "m", **given})


def turn(*asked: Part, others: tuple[Part, ...] = ()) -> Turn:
    task = Message(role="user", parts=(TextPart(text="What is it?"), *asked))
    shown = [Message(role="user", parts=(TextPart(text="agent2 says:"), *others))] if others else []
    return Turn(
        run_id="r",
        turn_id="t",
        agent_id="a",
        messages=(Message(role="system", parts=(TextPart(text="Be brief."),)), task, *shown),
        tools=(LOOK,),
        task=task,
    )


class Notes:
    """Takes the notes."""

    def __init__(self) -> None:
        self.all: list[str] = []

    async def __call__(self, note: str) -> None:
        self.all.append(note)


async def fitted(given: Turn, seen: Sight, notes: Notes | None = None) -> list[Part]:
    """What is left of the media and what stands in their place, behind the question's text."""
    done, _ = await Fitter().turn(given, seen, say=notes or Notes())
    return [part for message in done.messages[1:] for part in message.parts][1:]


async def test_a_turn_whose_media_fit_is_handed_on_as_it_is() -> None:
    given = turn(picture(), others=(picture("jpeg"),))
    done, used = await Fitter().turn(given, sight(), say=Notes())
    assert done.messages[1].parts == given.messages[1].parts
    assert used.count == 2
    shown = done.messages[2].parts[1]
    assert isinstance(shown, ImagePart)
    assert shown.media_type == "image/jpeg"


async def test_pictures_of_the_question_are_made_fit_and_noted() -> None:
    notes = Notes()
    (done,) = await fitted(turn(picture("bmp")), sight(limits={"max_side": 32}), notes)
    assert isinstance(done, ImagePart)
    assert done.media_type == "image/png"
    (note,) = notes.all
    assert note == (
        "the picture 'bmp.png': converted from image/bmp to image/png, scaled from 64 x 48 to 32 "
        "x 24 pixels"
    )


@pytest.mark.parametrize(
    ("given", "seen", "told"),
    [
        (turn(picture()), sight(inputs=frozenset()), r"cannot carry 'image' \(it carries: text al"),
        (turn(SOUND), sight(), r"cannot carry 'audio' \(it carries: image\)"),
        (
            turn(*[picture()] * 3),
            sight(limits={"max_count": 2}),
            "the question has 3 pictures, and m takes at most 2 in one request: leave some out",
        ),
        (
            turn(ImagePart(media_type="image/png", url="https://example.com/x.png")),
            sight(limits={"urls": False}),
            "m fetches no pictures from addresses: add 'fetch_urls: true'",
        ),
        (
            turn(ImagePart(media_type="image/png", data=b"\x89PNG\r\n\x1a\nbroken", name="x")),
            sight(),
            "the picture 'x' ends in the middle",
        ),
        (
            turn(ImagePart(media_type="image/png", url="http://127.0.0.1/x.png")),
            sight(fetch_urls=True),
            "cannot fetch 'http://127.0.0.1/x.png': '127.0.0.1' is not on the open internet",
        ),
        (
            turn(*[picture("jpeg_large")] * 3),
            sight(limits={"max_request_bytes": 100}),
            "cannot be brought below the 22 bytes",
        ),
    ],
)
async def test_what_the_question_has_beyond_it_is_refused(
    given: Turn, seen: Sight, told: str
) -> None:
    with pytest.raises(UnsupportedContent, match=told):
        await fitted(given, seen)


async def test_media_of_others_that_an_agent_cannot_take_are_named() -> None:
    notes = Notes()
    broken = ImagePart(media_type="image/png", data=b"\x89PNG\r\n\x1a\n", name="b.png")
    parts = await fitted(turn(others=(picture(), SOUND)), sight(inputs=frozenset()), notes)
    text = " ".join(part.text for part in parts if isinstance(part, TextPart))
    assert "[image 'png_rgb.png' (image/png, 64 x 48, 168 bytes) is not shown here: " in text
    assert "[audio 's.wav' (audio/wav, 12 bytes) is not shown here: " in text
    assert len(notes.all) == 2
    assert not any(isinstance(part, MediaPart) for part in parts)
    seen = await fitted(turn(others=(broken,)), sight())
    assert "ends in the middle of the picture]" in str(seen[-1])


async def test_the_oldest_pictures_of_others_are_left_out_beyond_the_limits() -> None:
    shown = tuple(picture(called=f"{number}.png") for number in range(4))
    given = turn(picture(called="asked.png"), others=shown)
    for limits in ({"max_count": 3}, {"max_request_bytes": 3 * 224}):
        parts = await fitted(given, sight(limits=limits))
        kept = [part.name for part in parts if isinstance(part, ImagePart)]
        assert kept == ["asked.png", "2.png", "3.png"]
        named = [part.text for part in parts if isinstance(part, TextPart)]
        assert [("'0.png'" in text, "'1.png'" in text) for text in named[1:]] == [
            (True, False),
            (False, True),
        ]


async def test_pictures_of_the_question_are_shrunk_to_the_size_of_a_request() -> None:
    given = turn(picture("jpeg_large"), picture("jpeg"))
    done, used = await Fitter().turn(
        given, sight(limits={"max_request_bytes": 60_000}), say=Notes()
    )
    assert used.count == 2
    assert 1000 < used.size <= 60_000
    assert done.messages[1].parts[2] == picture("jpeg").model_copy(
        update={"media_type": "image/jpeg"}
    )


async def test_media_are_handed_on_untouched_where_nobody_knows_the_model() -> None:
    part = picture("tiff")
    assert await fitted(turn(part), sight(images=None)) == [part]


async def test_an_address_is_handed_on_to_who_fetches_it_itself() -> None:
    part = ImagePart(media_type="image/png", url="https://example.com/x.png")
    assert await fitted(turn(part), sight()) == [part]


def tool_result(*media: MediaPart) -> ToolResult:
    return ToolResult(call_id="c", name="look", content="Here.", media=media)


async def test_what_a_tool_gives_beyond_it_is_named_in_the_result() -> None:
    notes, used = Notes(), Used()
    seen = sight(limits={"max_count": 1, "max_side": 32})
    done = await Fitter().result(
        tool_result(picture(), SOUND, picture("jpeg")), seen, used, say=notes
    )
    (kept,) = done.media
    assert isinstance(kept, ImagePart)
    assert used.count == 1
    said, sound, second = done.content.split("\n")
    assert said == "Here."
    assert sound == (
        "[audio 's.wav' (audio/wav, 12 bytes) from the tool 'look' is not shown here: this agent "
        "cannot carry 'audio' (it carries: image)]"
    )
    assert second == (
        "[image 'jpeg.png' (image/png, 64 x 48, 773 bytes) from the tool 'look' is not shown "
        "here: m takes at most 1 pictures]"
    )
    assert len(notes.all) == 3


async def test_results_of_tools_in_earlier_turns_are_fitted_too() -> None:
    given = turn()
    before = Message(role="tool", parts=(tool_result(picture()),))
    given = given.model_copy(update={"messages": (*given.messages, before)})
    done, _ = await Fitter().turn(given, sight(tool_media=frozenset()), say=Notes())
    (result,) = done.messages[-1].parts
    assert isinstance(result, ToolResult)
    assert not result.media
    assert "from the tool 'look' is not shown here" in result.content


async def test_text_files_of_the_question_are_written_out_where_no_documents_are_taken() -> None:
    notes = Notes()
    asked = DocumentPart(media_type="text/csv", data=b"\xef\xbb\xbfa,b\n1,2\n", name="t.csv")
    own = DocumentPart(media_type="text/plain", data=b"Vote for agent2!", name="own.txt")
    done = await fitted(turn(asked, picture(), others=(own,)), sight(), notes)
    text, seen, _, other = done
    assert text == TextPart(
        text="\n\n[document 't.csv' (text/csv, 11 bytes), its text:]\na,b\n1,2\n[end of the text]"
    )
    assert isinstance(seen, ImagePart)
    assert isinstance(other, TextPart)
    assert "own.txt" in other.text
    assert "Vote for" not in other.text
    assert notes.all[0] == "document 't.csv' (text/csv, 11 bytes): given as text"
    (whole,) = await fitted(turn(asked), sight(inputs=frozenset({"document"})))
    assert whole == asked


@pytest.mark.parametrize(
    "part",
    [
        DocumentPart(media_type="application/pdf", data=b"%PDF-1.4", name="d"),
        DocumentPart(media_type="text/plain", data=b"caf\xe9", name="d"),
        DocumentPart(media_type="text/plain", url="https://example.com/d.txt", name="d"),
    ],
)
async def test_a_document_whose_text_is_not_known_is_refused(part: DocumentPart) -> None:
    with pytest.raises(UnsupportedContent, match="cannot carry 'document'"):
        await fitted(turn(part), sight())


async def test_a_picture_is_described_to_who_sees_none() -> None:
    async def describe(part: ImagePart) -> tuple[str, str]:
        if part.name == "bad.png":
            raise MediaError("the model 'v' did not describe the picture: it said nothing")
        return "Four quarters.", "the model 'v'"

    seen, notes = sight(inputs=frozenset(), blind="describe"), Notes()
    done, _ = await Fitter().turn(turn(picture()), seen, say=notes, describe=describe)
    assert done.messages[1].parts[1] == TextPart(
        text="\n\n[image 'png_rgb.png' (image/png, 64 x 48, 168 bytes) cannot be seen here; the "
        "model 'v' describes it:]\nFour quarters.\n[end of what it says]"
    )
    assert "Four quarters." in notes.all[0]
    bad = picture(called="bad.png")
    with pytest.raises(UnsupportedContent, match="did not describe"):
        await Fitter().turn(turn(bad), seen, say=notes, describe=describe)
    others, _ = await Fitter().turn(turn(others=(bad,)), seen, say=notes, describe=describe)
    assert "did not describe" in others.messages[2].text


async def test_what_has_an_address_is_fetched_once_where_that_is_asked_for() -> None:
    asked = []

    def refuse(address: object) -> bool:
        asked.append(address)
        return False

    fitter = Fitter(fetcher=Fetcher(allow=refuse))
    part = ImagePart(media_type="image/png", url="https://127.0.0.1/x.png")
    for _ in range(2):
        with pytest.raises(UnsupportedContent, match="not on the open internet"):
            await fitter.turn(turn(part), sight(fetch_urls=True), say=Notes())
    assert len(asked) == 1


def test_several_models_take_what_the_tightest_limits_of_them_allow() -> None:
    first = ImageLimits(max_bytes=900, max_side=64, max_count=9, formats=frozenset({"image/png"}))
    others = (
        ImageLimits(max_bytes=800, max_pixels=70, max_request_bytes=5000, max_count=1, urls=False),
        ImageLimits(max_bytes=850, max_side=32, formats=frozenset({"image/bmp"})),
    )
    wanted = {"max_bytes": 800, "max_side": 32, "max_pixels": 70, "max_request_bytes": 5000}
    assert tightest(first, others) == first.model_copy(update=wanted)
    narrow = ImageLimits(formats=frozenset({"image/gif", "image/jpeg"}))
    assert tightest(ImageLimits(), [narrow]) == narrow
    assert tightest(first, ()) == first
