"""A hook: answers that are too long do not stand for election.

Once it is installed, it takes part in every run. Other hooks change prompts, guard tool calls,
break ties or watch runs; see the reference of hooks in massgen-bridge's documentation.
"""

from __future__ import annotations

from massgen_bridge import AnswerVerdict, hookimpl

__all__ = ["bridge_answer"]

MOST_WORDS = 50


@hookimpl
def bridge_answer(text: str) -> AnswerVerdict | None:
    """Refuse an answer of too many words; its author is told the reason and may try again.

    A hook takes those of its arguments that it needs. It is a plain function and may block.

    Returns:
        A verdict, or None for no opinion.
    """
    words = len(text.split())
    if words <= MOST_WORDS:
        return None
    reason = f"it has {words} words; at most {MOST_WORDS} are allowed"
    return AnswerVerdict(accept=False, reason=reason)
