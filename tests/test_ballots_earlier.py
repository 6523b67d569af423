"""What an agent is shown of the conversation before: as messages, or as text in the one message."""

from __future__ import annotations

import re
from typing import Any

import pytest
from injection.corpus import CORPUS, Hostile, each
from test_ballots import MARK, WAYS, command

from massgen_bridge import ballots
from massgen_bridge.agent import Capabilities
from massgen_bridge.events import Exchange
from massgen_bridge.messages import (
    DocumentPart,
    ImagePart,
    Message,
    Part,
    TextPart,
    assistant,
    user,
)
from massgen_bridge.strategy import Speaker, StartTurn

ABLE = Capabilities()
TEXT_ALONE = Capabilities(history=False)
CAT = ImagePart(media_type="image/png", data=b"\x89PNG cat", name="cat.png")
PURPOSES = ("answer", "evaluate", "improve", "judge", "chair", "debate", "speak", "reduce")


def turn(question: str | Message, answer: str) -> Exchange:
    asked = user(question) if isinstance(question, str) else question
    return Exchange(run_id="r", question=asked, answer=answer)


BEFORE = (turn("Capital of France?", "Paris."), turn("And of Spain?", "Madrid."))


def start(purpose: Any) -> StartTurn:
    speakers = (Speaker(label="agent1"), Speaker(label="agent2"))
    return command(purpose, speakers=speakers, label="agent1")


def shown(
    able: Capabilities,
    *turns: Exchange,
    purpose: Any = "answer",
    way: Any = "text",
    room: int = 32_000,
) -> tuple[Message, ...]:
    return ballots.compose(
        start(purpose),
        user("In French?"),
        system="Be brief.",
        way=way,
        mark=MARK,
        earlier=ballots.earlier_of(turns or BEFORE, able, room),
    ).messages


@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize("way", WAYS)
def test_each_turn_gets_the_conversation_as_messages_before_the_task(
    purpose: Any, way: Any
) -> None:
    messages = shown(ABLE, purpose=purpose, way=way)
    assert [(one.role, one.text) for one in messages[:-1]] == [
        ("system", "Be brief."),
        ("user", "Capital of France?"),
        ("assistant", "Paris."),
        ("user", "And of Spain?"),
        ("assistant", "Madrid."),
    ]
    alone = ballots.compose(
        start(purpose), user("In French?"), system="Be brief.", way=way, mark=MARK
    )
    assert messages[-1] == alone.messages[-1]


@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize("way", WAYS)
def test_who_takes_one_message_gets_it_as_marked_text_before_the_task(
    purpose: Any, way: Any
) -> None:
    told, asked = shown(TEXT_ALONE, purpose=purpose, way=way)
    assert told.role == "system"
    before, _, task = asked.text.partition("What follows is what the user wants now.\n\n")
    block = re.compile(rf"<(user|reply)-{MARK}>\n(.*?)\n</\1-{MARK}>", re.DOTALL)
    assert block.findall(before) == [
        ("user", "Capital of France?"),
        ("reply", "Paris."),
        ("user", "And of Spain?"),
        ("reply", "Madrid."),
    ]
    alone = ballots.compose(start(purpose), user("In French?"), system="", way=way, mark=MARK)
    assert task == alone.messages[-1].text


def test_without_a_conversation_nothing_is_added() -> None:
    for able in (ABLE, TEXT_ALONE):
        earlier = ballots.earlier_of((), able, 10)
        made = ballots.compose(
            start("answer"), user("Q"), system="", way="text", mark=MARK, earlier=earlier
        )
        assert made.messages == (user("Q"),)


@each
@pytest.mark.parametrize("able", [ABLE, TEXT_ALONE], ids=["messages", "text"])
def test_an_earlier_reply_changes_no_ballot_and_no_label(
    able: Capabilities, hostile: Hostile
) -> None:
    for way in WAYS:
        made, harmless = (
            ballots.compose(
                command(),
                user("Which?"),
                system="",
                way=way,
                mark=MARK,
                earlier=ballots.earlier_of([turn("Q", text)], able, 1_000_000),
            )
            for text in (hostile.text, "@@")
        )
        assert (made.paper, made.tools, made.output_schema) == (
            harmless.paper,
            harmless.tools,
            harmless.output_schema,
        )
        before, after = harmless.messages, made.messages
        assert [one.text.replace("@@", hostile.text) for one in before] == [
            one.text for one in after
        ]


def test_no_hostile_text_knows_the_mark() -> None:
    assert all(MARK not in one.text for one in CORPUS)


# --- media ----------------------------------------------------------------------------------------


def asked_about(*media: Part) -> Exchange:
    parts = (TextPart(text="What is this?"), *media)
    return turn(Message(role="user", parts=parts), "A cat.")


def test_media_of_earlier_questions_stay_where_the_agent_can_carry_them() -> None:
    able = Capabilities(inputs=frozenset({"image"}))
    assert shown(able, asked_about(CAT))[1].parts[1] == CAT
    in_text = able.model_copy(update={"history": False})
    assert CAT in shown(in_text, asked_about(CAT))[1].parts


@pytest.mark.parametrize("able", [ABLE, TEXT_ALONE], ids=["messages", "text"])
def test_media_that_an_agent_cannot_carry_are_named(able: Capabilities) -> None:
    report = DocumentPart(media_type="application/pdf", url="http://localhost/x")
    messages = shown(able, asked_about(CAT, report))
    assert "What is this?\n[image 'cat.png', image/png]\n[document, application/pdf]" in (
        messages[1].text
    )
    assert all(isinstance(part, TextPart) for one in messages for part in one.parts)


def test_eight_megabytes_of_the_newest_media_are_kept() -> None:
    large = ImagePart(media_type="image/png", data=bytes(3 * 2**20))
    turns = [asked_about(large) for _ in range(3)]
    kept = ballots.remembered(turns, [32_000]).earlier
    assert [large in one.question.parts for one in kept] == [False, True, True]
    assert kept[0].question.text == "What is this?\n[image, image/png]"


# --- room -----------------------------------------------------------------------------------------


def test_half_of_the_context_window_is_for_the_conversation() -> None:
    assert ballots.room_in(8192) == 4096
    assert ballots.room_in(None) == 32_000


def test_the_oldest_turns_fall_out_first() -> None:
    turns = [turn("q" * 40, "a" * 360) for _ in range(5)]  # 100 tokens each
    earlier = ballots.earlier_of(turns, ABLE, 299)
    assert (len(earlier.messages), earlier.left_out) == (4, 3)
    assert earlier.messages == (turns[3].question, assistant(turns[3].answer)) * 2
    assert ballots.earlier_of(turns, ABLE, 500).left_out == 0
    assert ballots.earlier_of(turns, ABLE, 99).messages == ()


def test_a_run_keeps_what_the_agent_with_most_room_is_shown() -> None:
    turns = [turn("q" * 40, "a" * 360) for _ in range(5)]
    known = ballots.remembered(turns, [100, 300])
    assert (known.earlier, known.forgotten) == (tuple(turns[2:]), 2)
    again = ballots.remembered(known.earlier, [100, 300])
    assert (again.earlier, again.forgotten) == (known.earlier, 0)


@pytest.mark.parametrize(
    ("medium", "tokens"),
    [
        (CAT, 1_500),
        (ImagePart(media_type="image/png", data=bytes(2**20)), 1_500),
        (DocumentPart(media_type="text/plain", data=b"x" * 4_000), 1_000),
        (DocumentPart(media_type="application/pdf", data=b"x" * 320_000), 10_000),
        (DocumentPart(media_type="application/pdf", url="http://localhost/x"), 1_500),
    ],
)
def test_media_take_room_as_well(medium: Any, tokens: int) -> None:
    one = turn(Message(role="user", parts=(medium,)), "")
    able = Capabilities(inputs=frozenset({"image", "document"}))
    assert ballots.earlier_of([one], able, tokens).left_out == 0
    assert ballots.earlier_of([one], able, tokens - 1).left_out == 1
