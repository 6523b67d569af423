"""Filter answers: one that breaks a rule does not stand for election; its author may try again."""

from __future__ import annotations

import re

from massgen_bridge import AnswerVerdict, hookimpl

MOST_WORDS = 300

# What no answer may hold, and what its author is told. The text itself is never repeated.
FORBIDDEN = {
    r"[\w.+-]+@[\w-]+\.[\w.]+": "it holds an e-mail address; leave personal data out",
    r"\b(sk|ghp|xox[bp])[-_][\w-]{16,}|\bAKIA[A-Z0-9]{16}\b|BEGIN [A-Z ]*PRIVATE KEY": (
        "it holds a key; leave it out"
    ),
    r"(?i)\bas an? (ai|language) ?(language )?model\b": "say nothing of yourself; just answer",
}


@hookimpl
def bridge_answer(text: str) -> AnswerVerdict | None:
    """Reject an answer that breaks a rule; no opinion on any other."""
    for pattern, reason in FORBIDDEN.items():
        if re.search(pattern, text):
            return AnswerVerdict(accept=False, reason=reason)
    words = len(text.split())
    if words > MOST_WORDS:
        return AnswerVerdict(accept=False, reason=f"it has {words} words; use at most {MOST_WORDS}")
    return None
