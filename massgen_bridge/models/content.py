"""What a model takes, and which part may stand where: for every adapter of a model API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from massgen_bridge.errors import UnsupportedContent
from massgen_bridge.messages import TextPart

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from massgen_bridge.agent import InputKind, Turn
    from massgen_bridge.connection import ModelTraits
    from massgen_bridge.messages import MediaPart, Message, Part, ToolCall

__all__ = ["as_text", "check_input", "check_traits", "misplaced_part", "only_text"]


def check_traits(turn: Turn, traits: ModelTraits, *, where: str, agent_id: str) -> None:
    """Refuse a turn that wants more than the model can do.

    Args:
        turn: What is wanted.
        traits: What the model can do.
        where: Names the connection and its model.
        agent_id: The agent whose turn it is.

    Raises:
        UnsupportedContent: It wants tools or an output schema, and the model cannot have them.
    """
    for wanted, able, what in (
        (bool(turn.tools), traits.tools, "call tools"),
        (turn.output_schema is not None, traits.structured, "be held to an output schema"),
    ):
        if wanted and not able:
            raise UnsupportedContent(
                f"{where} cannot {what}, as its traits say; choose another model, or correct the "
                "traits of its connection",
                agent_id=agent_id,
            )


def check_input(part: MediaPart, inputs: Collection[InputKind]) -> None:
    """Refuse media that the model does not take.

    Args:
        part: A picture, sound, film or document.
        inputs: Kinds of media that the model takes.

    Raises:
        UnsupportedContent: It is of another kind.
    """
    if part.type not in inputs:
        taken = ", ".join(sorted(inputs)) or "text only"
        raise UnsupportedContent(
            f"the model takes no {part.type!r} input (it takes: {taken}); leave it out, choose "
            "another model, or correct the traits of its connection"
        )


def only_text(message: Message, *, carrier: str, besides: type[ToolCall] | None = None) -> str:
    """The text of a message that has no place for anything else.

    Args:
        message: The message.
        carrier: The protocol or framework that it goes to, for the error.
        besides: Parts that go another way.

    Raises:
        UnsupportedContent: It has a part that is neither.
    """
    for part in message.parts:
        if not isinstance(part, TextPart) and (besides is None or not isinstance(part, besides)):
            raise misplaced_part(part, message, carrier=carrier)
    return message.text


def misplaced_part(part: Part, message: Message, *, carrier: str) -> UnsupportedContent:
    """The error for a part that has no place in a message of this role.

    Args:
        part: The part.
        message: Where it stands.
        carrier: The protocol or framework that has no place for it.
    """
    return UnsupportedContent(
        f"{carrier} carries no part of type {part.type!r} in a message of role "
        f"{message.role!r}; put media into a user message and tool results into a tool message"
    )


def as_text(messages: Sequence[Message], *, carrier: str) -> str:
    """The history as one text, for what takes no messages.

    A lone question stands as it is; in a longer history, each message follows its role.

    Args:
        messages: The history.
        carrier: The framework that it goes to, for the error.

    Raises:
        UnsupportedContent: There is something in it that is not text.
    """
    texts = [only_text(message, carrier=carrier) for message in messages]
    talk = [message for message in messages if message.role != "system"]
    if len(talk) <= 1:
        return "\n\n".join(texts)
    return "\n\n".join(
        text if message.role == "system" else f"{message.role}: {text}"
        for message, text in zip(messages, texts, strict=True)
    )
