"""What a model takes, and where a part may stand."""

from __future__ import annotations

from typing import Any

import pytest

from massgen_bridge.agent import InputKind, ToolDefinition
from massgen_bridge.connection import ModelTraits
from massgen_bridge.errors import UnsupportedContent
from massgen_bridge.messages import (
    ImagePart,
    Message,
    TextPart,
    ToolCall,
    ToolResult,
    assistant,
    system,
    user,
)
from massgen_bridge.models.content import (
    as_text,
    check_input,
    check_traits,
    misplaced_part,
    only_text,
)
from massgen_bridge.testing.agents import turn

LOOK = ToolDefinition(name="look", description="Looks.", input_schema={"type": "object"})
IMAGE = ImagePart(media_type="image/png", url="https://pictures.example/1.png")


@pytest.mark.parametrize(
    ("change", "lacking", "what"),
    [
        ({"tools": (LOOK,)}, {"tools": False}, "call tools"),
        ({"output_schema": {"type": "object"}}, {"structured": False}, "held to an output schema"),
    ],
)
def test_a_turn_beyond_the_model_is_refused(
    change: dict[str, Any], lacking: dict[str, bool], what: str
) -> None:
    wanting = turn("?", **change)
    able, unable = ModelTraits(), ModelTraits(**lacking)
    check_traits(wanting, able, where="'here'", agent_id="ann")
    check_traits(turn("?"), unable, where="'here'", agent_id="ann")
    with pytest.raises(UnsupportedContent, match=f"'here' cannot .*{what}") as caught:
        check_traits(wanting, unable, where="'here'", agent_id="ann")
    assert caught.value.agent_id == "ann"


@pytest.mark.parametrize(
    ("others", "taken"),
    [(frozenset(), "text only"), (frozenset({"document", "audio"}), "audio, document")],
)
def test_media_that_the_model_does_not_take_are_refused(
    others: frozenset[InputKind], taken: str
) -> None:
    check_input(IMAGE, {*others, "image"})
    with pytest.raises(UnsupportedContent, match=rf"no 'image' input \(it takes: {taken}\)"):
        check_input(IMAGE, others)


CALL = ToolCall(call_id="c1", name="look")


def test_the_text_of_a_message_is_joined_without_what_goes_another_way() -> None:
    message = Message(role="assistant", parts=(TextPart(text="a\n"), CALL, TextPart(text=" b")))
    assert only_text(message, carrier="It", besides=ToolCall) == "a\n b"


@pytest.mark.parametrize("part", [IMAGE, CALL, ToolResult(call_id="c1", name="look", content="x")])
def test_what_is_no_text_is_misplaced(part: ImagePart | ToolCall | ToolResult) -> None:
    message = Message(role="system", parts=(TextPart(text="a"), part))
    with pytest.raises(UnsupportedContent) as caught:
        only_text(message, carrier="It")
    assert str(caught.value) == str(misplaced_part(part, message, carrier="It"))
    assert str(caught.value).startswith(
        f"It carries no part of type {part.type!r} in a message of role 'system'"
    )


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ((user("So?\n"),), "So?\n"),
        ((system("Be brief."), user("So?")), "Be brief.\n\nSo?"),
        (
            (system("Be brief."), user("So?"), assistant("Yes."), user("Sure?")),
            "Be brief.\n\nuser: So?\n\nassistant: Yes.\n\nuser: Sure?",
        ),
    ],
)
def test_a_history_can_be_one_text(messages: tuple[Message, ...], expected: str) -> None:
    assert as_text(messages, carrier="It") == expected


def test_a_history_with_a_picture_is_no_text() -> None:
    picture = ImagePart(media_type="image/png", url="https://pictures.example/one.png")
    shown = Message(role="user", parts=(picture,))
    with pytest.raises(UnsupportedContent, match="It carries no part of type 'image'"):
        as_text((shown,), carrier="It")


def test_a_lone_question_is_its_text_and_a_talk_names_its_roles() -> None:
    def told(*messages: Message) -> str:
        return as_text(messages, carrier="the framework")

    assert told(user("Cat or dog?")) == "Cat or dog?"
    assert told(system("Be brief."), user("Cat or dog?")) == "Be brief.\n\nCat or dog?"
    assert told(system("S"), user("A"), assistant("B"), user("C")) == (
        "S\n\nuser: A\n\nassistant: B\n\nuser: C"
    )
    picture = ImagePart(media_type="image/png", data=b"x")
    with pytest.raises(UnsupportedContent, match="the framework"):
        told(Message(role="user", parts=(picture,)))
