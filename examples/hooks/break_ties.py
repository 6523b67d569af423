"""Break ties: a whole answer beats a cut one, then more authors win, then the shorter text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from massgen_bridge import hookimpl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from massgen_bridge import AnswerInfo


@hookimpl
def bridge_tie_break(candidates: Sequence[AnswerInfo]) -> str:
    """Choose the best by what can be counted; the first of equals, as without this hook."""
    return min(candidates, key=_rank).label


def _rank(answer: AnswerInfo) -> tuple[bool, int, int]:
    # Several authors: agents that gave the same answer without knowing of each other.
    return answer.stop_reason != "end", -len(answer.authors), len(answer.text)
