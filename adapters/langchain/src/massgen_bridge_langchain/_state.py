"""What a graph's state begins with, where the configuration says it key by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, assert_never

from langchain_core.messages import BaseMessage

from massgen_bridge import Message, Turn
from massgen_bridge.adapting import as_text, only_text
from massgen_bridge_langchain._options import Fixed, FromTurn

__all__ = ["state_of"]

_CARRIER = "a graph whose state takes no messages"


def state_of(
    wanted: Mapping[str, FromTurn | Fixed],
    turn: Turn,
    messages: Sequence[Message],
    history: list[BaseMessage],
) -> dict[str, Any]:
    """The state that a graph begins a turn with.

    Args:
        wanted: What is to stand under each key.
        turn: The turn.
        messages: Its messages, with media in a form that LangChain knows.
        history: The same as LangChain's own.

    Raises:
        UnsupportedContent: There are media, and no key takes the messages.
    """
    values = set(map(str, wanted.values()))
    if "messages" not in values:
        for message in messages:
            only_text(message, carrier=_CARRIER)
    system = "\n\n".join(message.text for message in messages if message.role == "system")
    question = turn.question
    if system and not values & {"messages", "text", "system"}:
        question = f"{system}\n\n{question}"

    def value(of: FromTurn | Fixed) -> Any:
        match of:
            case Fixed(value=fixed):
                return fixed
            case "messages":
                return history
            case "text":
                return as_text(messages, carrier="LangChain")
            case "question":
                return question
            case "system":
                return system
            case _:
                assert_never(of)

    return {key: value(of) for key, of in wanted.items()}
