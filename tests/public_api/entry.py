"""One line of the listing."""

from __future__ import annotations

import ast
from typing import NamedTuple

__all__ = ["Entry", "alternatives", "of_literal"]


class Entry(NamedTuple):
    """What stands at one place.

    Attributes:
        sort: What it is: `class`, `parameter`, `field`, `hook`, `key`, `option` and so on.
        type: Its type as the code writes it, with ` | ` between alternatives; may be empty.
        default: What it is when it is not given. None: it has to be given, or there is nothing to
            give.
    """

    sort: str
    type: str = ""
    default: str | None = None


def alternatives(annotation: str) -> frozenset[str]:
    """What a type allows: the members of a union and the values of a literal, each by itself."""
    try:
        tree = ast.parse(annotation, mode="eval").body
    except SyntaxError:  # a type that is written for people, such as one of a JSON Schema
        return frozenset(part.strip() for part in annotation.split(" | ") if part.strip())
    return frozenset(_members(tree))


def of_literal(values: tuple[object, ...]) -> str:
    """A type of these values alone."""
    return f"Literal[{', '.join(map(repr, values))}]"


def _members(tree: ast.expr) -> list[str]:
    match tree:
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return [*_members(left), *_members(right)]
        case ast.Subscript(value=ast.Name(id="Literal"), slice=ast.Tuple(elts=values)):
            return [ast.unparse(value) for value in values]
        case ast.Subscript(value=ast.Name(id="Literal"), slice=value):
            return [ast.unparse(value)]
        case _:
            return [ast.unparse(tree)]
