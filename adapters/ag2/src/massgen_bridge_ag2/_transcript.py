"""What was said in a group chat, as each member is told of it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from massgen_bridge import GroupChat, InputKind, Said, Turn
from massgen_bridge.adapting import chat_messages, only_text

__all__ = ["Transcript"]

_GO_ON = {"role": "user", "content": "Go on."}


class Transcript:
    """The host's history, and behind it what the members have said in this turn.

    AG2's own projection keeps only the last messages, and its conversion for OpenAI leaves out what
    a member has said itself.

    Args:
        chat: The group.
        turn: The turn.
        inputs: Kinds of media that the model takes.

    Attributes:
        said: The members' messages, in order.

    Raises:
        UnsupportedContent: The history has a part that cannot be carried.
    """

    def __init__(self, chat: GroupChat, turn: Turn, *, inputs: Collection[InputKind]) -> None:
        self._chat = chat
        self._system = "\n\n".join(
            only_text(m, carrier="AG2") for m in turn.messages if m.role == "system"
        )
        rest = [message for message in turn.messages if message.role != "system"]
        self._history = chat_messages(rest, inputs)
        self.said: list[Said] = []

    def told_to(self, name: str, *, wish: str | None = None) -> list[dict[str, Any]]:
        """The conversation as a member gets it, in the form of Chat Completions.

        Args:
            name: The member.
            wish: What it is asked at last; None to speak in its turn.
        """
        system = "\n\n".join(filter(None, (self._chat.member(name).system_message, self._system)))
        messages = [{"role": "system", "content": system}] if system else []
        messages += self._history
        messages += [_as_told(one, name) for one in self.said if one.text or one.handoff]
        if wish is not None:
            messages.append({"role": "user", "content": wish})
        elif messages[-1]["role"] == "assistant":
            messages.append(_GO_ON)
        return messages


def _as_told(one: Said, name: str) -> dict[str, Any]:
    handed = f"[gives the word to {one.handoff}]" if one.handoff else ""
    text = "\n\n".join(filter(None, (one.text, handed)))
    if one.speaker == name:
        return {"role": "assistant", "content": text}
    return {"role": "user", "content": f"[{one.speaker}]: {text}"}
