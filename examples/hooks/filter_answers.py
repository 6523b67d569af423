"""Filter answers: one that is too long does not stand for election; its author may try again."""

from __future__ import annotations

from massgen_bridge import AnswerVerdict, hookimpl

MOST_WORDS = 20


@hookimpl
def bridge_answer(text: str) -> AnswerVerdict | None:
    """Reject an answer of too many words; the reason is told to its author."""
    words = len(text.split())
    if words <= MOST_WORDS:
        return None
    return AnswerVerdict(accept=False, reason=f"it has {words} words; use at most {MOST_WORDS}")
