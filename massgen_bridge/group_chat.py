"""A group chat, said once for every framework that has them.

The same mapping configures a group of either AG2 generation. Who speaks next is decided in this
order, after each message:

1. The chat ends where `termination` says so, or where `max_turns` messages have been said.
2. A member that has handed over by its hand-off tool gives the word to whom it named.
3. The first of the `transitions` from the speaker whose condition holds decides.
4. The pattern decides: see `GroupChat.pattern`.
"""

from __future__ import annotations

from collections import Counter
from typing import Literal, Self

from pydantic import Field, model_validator

from massgen_bridge.messages import Frozen

__all__ = ["GroupChat", "GroupMember", "Termination", "Transition"]

END = "end"
"""As the target of a transition: the chat is over."""

_NAME = r"^[A-Za-z][A-Za-z0-9_-]{0,63}$"


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
