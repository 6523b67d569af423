"""A function for the kind `python`, of which a process of its own imports this module alone."""

from __future__ import annotations

__all__ = ["at_once"]


def at_once(question: str) -> str:
    return f"{question}\n\tSo be it.\n"
