"""What a model takes, and which part may stand where: for every adapter of a model API."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from massgen_bridge.errors import UnsupportedContent
from massgen_bridge.messages import TextPart

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from massgen_bridge.agent import InputKind, Turn
    from massgen_bridge.connection import ModelTraits
    from massgen_bridge.messages import MediaPart, Message, Part, ToolCall

__all__ = ["as_text", "check_input", "check_traits", "misplaced_part", "only_text", "two_sided"]

P = TypeVar("P")


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


def two_sided(
    messages: Iterable[Message],
    parts_of: Callable[[Message], Iterable[P]],
    *,
    carrier: str,
    model_side: str,
) -> tuple[list[str], list[tuple[str, list[P]]]]:
    """A history for a protocol in which the user and the model take turns.

    Messages of one side that follow each other become one; results of tools are the user's.

    Args:
        messages: The history, in order.
        parts_of: What a message becomes, as the protocol has it; none: it is left out.
        carrier: The protocol, for errors.
        model_side: What the protocol calls the model's side; the other one is `user`.

    Returns:
        The texts of the system messages, and the sides in turn.

    Raises:
        UnsupportedContent: A part cannot be carried, or the history does not begin with a user's
            message.
    """
    system: list[str] = []
    sides: list[tuple[str, list[P]]] = []
    for message in messages:
        if message.role == "system":
            system.append(only_text(message, carrier=carrier))
            continue
        side = model_side if message.role == "assistant" else "user"
        parts = list(parts_of(message))
        if sides and sides[-1][0] == side:
            sides[-1][1].extend(parts)
        elif parts:
            sides.append((side, parts))
    if not sides or sides[0][0] != "user":
        raise UnsupportedContent(
            f"{carrier} carries no history that begins with "
            f"{'an assistant message' if sides else 'nothing'}; begin it with a user message that "
            "says or shows something"
        )
    return system, sides
