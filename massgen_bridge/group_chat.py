"""A group chat, said once for every framework that has them.

The same mapping configures a group of either AG2 generation. Who speaks next is decided in this
order, after each message:

1. The chat ends where `termination` says so, or where `max_turns` messages have been said.
2. A member that has handed over by its hand-off tool gives the word to whom it named.
3. The first of the `transitions` from the speaker whose condition holds decides.
4. The `pattern` decides.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal, Self, assert_never

from pydantic import Field, model_validator

from massgen_bridge.messages import Frozen, JsonValue, json_value

__all__ = [
    "GroupChat",
    "GroupMember",
    "NextSpeaker",
    "Said",
    "Termination",
    "Transition",
]

END = "end"
"""As the target of a transition: the chat is over."""

_NAME = r"^[A-Za-z][A-Za-z0-9_-]{0,63}$"


class Said(Frozen):
    """What a member of a group chat has said.

    Attributes:
        speaker: The member's name.
        text: The message.
        handoff: The member to whom the speaker gave the word, None for nobody.
        failed: Whether the member's turn failed and the chat went on without its message.
    """

    speaker: str
    text: str
    handoff: str | None = None
    failed: bool = False


class NextSpeaker(Frozen):
    """Who speaks next in a group chat.

    Attributes:
        speaker: The member; None where the chat is over, or where somebody has to choose.
        candidates: From whom to choose, in order; none where nobody has to.
        chooser: Who chooses.
        reason: Why, in words for a person.
    """

    speaker: str | None = None
    candidates: tuple[str, ...] = ()
    chooser: Literal["model", "person"] = "model"
    reason: str

    @property
    def is_end(self) -> bool:
        """Whether the chat is over."""
        return self.speaker is None and not self.candidates


class GroupMember(Frozen):
    """One member of a group chat."""

    name: str = Field(
        pattern=_NAME,
        description="The member's name, unique in its group: a letter, then letters, digits, `_` "
        "and `-`.",
    )
    system_message: str = Field(default="", description="What the member is told before it speaks.")
    description: str = Field(
        default="",
        description="What the member is for, as others are told who choose the next speaker.",
    )
    handoffs: tuple[str, ...] = Field(
        default=(),
        description="Members to whom this one may give the word by itself, through a tool call.",
    )


class Transition(Frozen):
    """Who speaks after whom."""

    source: str = Field(alias="from", description="The member that has just spoken.")
    target: str = Field(alias="to", description="The member that speaks next; `end` ends the chat.")
    when: str | None = Field(
        default=None,
        min_length=1,
        description="Only where the message has this text in it, in any case of letters. Default: "
        "always.",
    )


class Termination(Frozen):
    """What ends a group chat before its last turn."""

    phrase: str | None = Field(
        default=None,
        min_length=1,
        description="A message that has this text in it is the last one; the text is cut out of "
        "the answer.",
    )
    by: tuple[str, ...] = Field(
        default=(), description="Only messages of these members count. Default: of all."
    )


class GroupChat(Frozen):
    """Who takes part in a group chat, who speaks when, and when it is over."""

    members: tuple[GroupMember, ...] = Field(min_length=2, description="The members, in order.")
    pattern: Literal["round_robin", "sequence", "graph", "auto", "random", "manual"] = Field(
        default="round_robin",
        description="Who speaks where neither a hand-off nor a transition says so. "
        "`round_robin`: one after the other, again and again. `sequence`: each once, in order; "
        "then the chat ends. `graph`: nobody: the chat ends. `auto`: the model chooses from what "
        "was said and the members' descriptions. `random`: anybody but the speaker, the same in "
        "each run of the same turn. `manual`: a person chooses.",
    )
    first: str | None = Field(
        default=None, description="Who speaks first. Default: the first member."
    )
    transitions: tuple[Transition, ...] = Field(
        default=(), description="Who speaks after whom; the first one that fits counts."
    )
    max_turns: int = Field(
        default=12, ge=1, le=1000, description="Most messages of members in one turn of the agent."
    )
    termination: Termination = Field(
        default_factory=Termination, description="What ends the chat sooner."
    )
    on_failure: Literal["fail", "skip"] = Field(
        default="fail",
        description="What happens where a member's turn fails. `fail`: the group's turn fails in "
        "the same way. `skip`: the chat goes on as if the member had said nothing; it fails where "
        "each one has.",
    )
    answer: str = Field(
        default="last",
        description="Whose last message is the group's answer: `last` for whoever speaks last, or "
        "a member's name.",
    )

    @model_validator(mode="after")
    def _names_known(self) -> Self:
        names = [member.name for member in self.members]
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise ValueError(f"two members are called {twice[0]!r}; give each a name of its own")
        for name in ("end", "last"):
            if name in names:
                raise ValueError(f"a member cannot be called {name!r}, which has a meaning here")
        for member in self.members:
            if member.name in member.handoffs:
                raise ValueError(f"{member.name!r} cannot give the word to itself")
        for what, name in self._named():
            if name not in names:
                raise ValueError(f"{what} {name!r} is no member; expected one of {names}")
        return self

    def _named(self) -> list[tuple[str, str]]:
        """Every member that is named somewhere, with the place."""
        named = [("`first`", self.first)] if self.first is not None else []
        named += [("`answer`", self.answer)] if self.answer != "last" else []
        named += [("`termination.by`", name) for name in self.termination.by]
        named += [("`transitions.from`", one.source) for one in self.transitions]
        named += [("`transitions.to`", one.target) for one in self.transitions if one.target != END]
        return named + [
            (f"a hand-off of {member.name!r},", name)
            for member in self.members
            for name in member.handoffs
        ]

    # --- the course of a chat ---------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        """The members' names, in order."""
        return tuple(member.name for member in self.members)

    def member(self, name: str) -> GroupMember:
        """The member of this name, which there has to be."""
        return next(member for member in self.members if member.name == name)

    def next_speaker(self, said: Sequence[Said], *, seed: str) -> NextSpeaker:
        """Who speaks after what has been said: the one set of rules for every framework.

        Args:
            said: Every message of a member in this turn, in order.
            seed: What the pattern `random` draws from; equal ones give equal draws.
        """
        if not said:
            return NextSpeaker(speaker=self.first or self.names[0], reason="speaks first")
        last = said[-1]
        return (
            self._end(said)
            or self._handed_over(last)
            or self._by_transition(last)
            or self._by_pattern(said, seed)
        )

    def is_last(self, said: Sequence[Said], name: str) -> bool:
        """Whether what a member is about to say is the last message, whatever it says.

        Args:
            said: Every message of a member in this turn, in order.
            name: The member that speaks next.
        """
        if len(said) + 1 >= self.max_turns:
            return True
        leads_on = self.member(name).handoffs or any(t.source == name for t in self.transitions)
        silent = set(self.names) - {one.speaker for one in said} - {name}
        return self.pattern == "sequence" and not leads_on and not silent

    def answer_of(self, said: Sequence[Said]) -> tuple[int, str] | None:
        """Which message is the group's answer: the last one with words, or that of one member.

        Args:
            said: Every message of a member in this turn, in order.

        Returns:
            The message's index and its text without the termination phrase; None where the members
            that count have not spoken.
        """
        phrase = self.termination.phrase
        found = None
        for number in reversed(range(len(said))):
            one = said[number]
            if one.failed or self.answer not in {"last", one.speaker}:
                continue
            cut = phrase is not None and phrase in one.text
            text = one.text.replace(phrase or "", "").strip() if cut else one.text
            if text.strip():
                return number, text
            found = found or (number, text)
        return found

    def _end(self, said: Sequence[Said]) -> NextSpeaker | None:
        phrase, by = self.termination.phrase, self.termination.by
        last = said[-1]
        if phrase is not None and phrase in last.text and (not by or last.speaker in by):
            return NextSpeaker(reason=f"{last.speaker!r} said {phrase!r}")
        if len(said) >= self.max_turns:
            return NextSpeaker(reason=f"{self.max_turns} messages were said, as many as may be")
        return None

    def _handed_over(self, last: Said) -> NextSpeaker | None:
        if last.handoff is None:
            return None
        return NextSpeaker(speaker=last.handoff, reason=f"{last.speaker!r} gave the word")

    def _by_transition(self, last: Said) -> NextSpeaker | None:
        text = last.text.casefold()
        for one in self.transitions:
            if one.source == last.speaker and (one.when is None or one.when.casefold() in text):
                said = f" having said {one.when!r}" if one.when is not None else ""
                return NextSpeaker(
                    speaker=None if one.target == END else one.target,
                    reason=f"a transition from {one.source!r}{said}",
                )
        return None

    def _by_pattern(self, said: Sequence[Said], seed: str) -> NextSpeaker:
        last = said[-1].speaker
        after = self.names.index(last) + 1
        others = self.names[after:] + self.names[: after - 1]  # in order, the next one first
        match self.pattern:
            case "round_robin":
                return NextSpeaker(speaker=others[0], reason="is next in the round")
            case "sequence":
                silent = [name for name in others if all(one.speaker != name for one in said)]
                if not silent:
                    return NextSpeaker(reason="each member has spoken")
                return NextSpeaker(speaker=silent[0], reason="is next in the sequence")
            case "graph":
                return NextSpeaker(reason=f"no transition leads on from {last!r}")
            case "random":
                # Not for secrets: the draw must be the same whenever the turn is run again.
                draw = random.Random(f"{seed}\n{len(said)}")  # noqa: S311 - likewise
                return NextSpeaker(speaker=draw.choice(others), reason="was drawn")
            case "auto" | "manual":
                if len(others) == 1:
                    return NextSpeaker(speaker=others[0], reason="is the only other member")
                chooser: Literal["model", "person"] = (
                    "model" if self.pattern == "auto" else "person"
                )
                return NextSpeaker(
                    candidates=tuple(name for name in self.names if name != last),
                    chooser=chooser,
                    reason=f"the {chooser} chooses",
                )
            case _:
                assert_never(self.pattern)

    # --- a choice by a model ----------------------------------------------------------------------

    def choice_request(self, said: Sequence[Said], candidates: Sequence[str], task: str) -> str:
        """What a model is asked that chooses the next speaker.

        Args:
            said: Every message of a member in this turn, in order.
            candidates: From whom to choose.
            task: What the group was asked.
        """
        roles = "\n".join(
            f"- {name}: {self.member(name).description or self.member(name).system_message}"
            for name in candidates
        )
        talk = "\n\n".join(f"[{one.speaker}]: {one.text}" for one in said)
        return (
            f"A group works on this task:\n\n{task}\n\nWhat was said:\n\n{talk}\n\n"
            f"Who should speak next? These can:\n{roles}\n\n"
            f'Reply with JSON alone: {{"speaker": one of {json.dumps(list(candidates))}}}'
        )

    @staticmethod
    def choice_schema(candidates: Sequence[str]) -> dict[str, JsonValue]:
        """The JSON Schema of a model's choice of the next speaker.

        Args:
            candidates: From whom to choose.
        """
        return {
            "type": "object",
            "properties": {"speaker": {"type": "string", "enum": list(candidates)}},
            "required": ["speaker"],
            "additionalProperties": False,
        }

    @staticmethod
    def chosen(text: str, candidates: Sequence[str]) -> str | None:
        """Whom a model has named.

        Args:
            text: Its reply: the JSON that it was asked for, or words that name one candidate.
            candidates: Who can be chosen.

        Returns:
            None where it has named nobody, or several.
        """
        try:
            value = json_value(text)
        except ValueError:
            value = None
        if isinstance(value, dict) and value.get("speaker") in candidates:
            return str(value["speaker"])
        named = [
            name for name in candidates if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text)
        ]
        return named[0] if len(named) == 1 else None

    def fallback(self, said: Sequence[Said]) -> str:
        """Who speaks where a model has named nobody: the next one in order."""
        after = self.names.index(said[-1].speaker) + 1
        return self.names[after % len(self.names)]
