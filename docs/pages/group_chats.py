"""The page of group chats: their rules and settings, from the module that has them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from massgen_bridge import GroupChat, GroupMember, Said, Termination, Transition, group_chat
from pages.markdown import table

__all__ = ["page"]

_PAGE = """\
# Group chats

{rules}

The first speaker is `first`, or the first member.

## What each pattern does

The same three members, who always say the same, in a chat of at most five messages:

{courses}

With `auto` and `manual` somebody chooses; where nobody is named, the next member in order speaks.

## The group

{group}

### A member, in `members`

{member}

### A transition, in `transitions`

{transition}

### `termination`

{termination}
"""

_COURSES = ("round_robin", "sequence", "graph", "random")


def page() -> str:
    """The page."""
    _, *rules = (inspect.getdoc(group_chat) or "").split("\n\n")
    return _PAGE.format(
        rules="\n\n".join(rules),
        courses=table(
            ("pattern", "who speaks", "why it ends"), [_course(pattern) for pattern in _COURSES]
        ),
        group=_settings(GroupChat),
        member=_settings(GroupMember),
        transition=_settings(Transition),
        termination=_settings(Termination),
    )


def _course(pattern: str) -> tuple[str, str, str]:
    """How a chat goes; decided by the rules themselves."""
    chat = GroupChat.model_validate(
        {
            "members": [{"name": name} for name in ("ann", "bob", "cid")],
            "pattern": pattern,
            "transitions": [{"from": "ann", "to": "cid"}] if pattern == "graph" else [],
            "max_turns": 5,
        }
    )
    said: list[Said] = []
    following = chat.next_speaker(said, seed="a turn")
    while following.speaker is not None:
        said.append(Said(speaker=following.speaker, text="The same."))
        following = chat.next_speaker(said, seed="a turn")
    given = " with a transition from `ann` to `cid`" if pattern == "graph" else ""
    return f"`{pattern}`{given}", ", ".join(one.speaker for one in said), following.reason


def _settings(model: type[BaseModel]) -> str:
    return table(("key", "default", "meaning"), _rows(model))


def _rows(model: type[BaseModel]) -> Iterator[tuple[str, str, str]]:
    for name, field in model.model_fields.items():
        yield f"`{field.alias or name}`", _default(field), field.description or ""


def _default(field: Any) -> str:
    if field.default is PydanticUndefined:
        return "needed" if field.default_factory is None else "none"
    if field.default in (None, "", ()):
        return "none"
    return f"`{field.default}`"
