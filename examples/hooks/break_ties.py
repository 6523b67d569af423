"""Break ties: among answers with equally many votes, the shortest one wins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from massgen_bridge import hookimpl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from massgen_bridge import AnswerInfo


@hookimpl
def bridge_tie_break(candidates: Sequence[AnswerInfo]) -> str:
    """Choose the answer with the fewest characters."""
    return min(candidates, key=lambda candidate: len(candidate.text)).label
