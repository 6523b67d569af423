"""Agents who know what they know: each answers a planted share of the questions rightly."""

from __future__ import annotations


def knows_most(question: str) -> str:
    """Wrong on every fifth question alone."""
    number = int(question.rsplit(maxsplit=1)[-1])
    return str(number if number % 5 else -1)


def knows_half(question: str) -> str:
    """Right on even numbers."""
    number = int(question.rsplit(maxsplit=1)[-1])
    return str(-1 if number % 2 else number)


def trusts_most(task: str, answers: dict[str, str]) -> str:
    """A vote for the right answer wherever there is one."""
    number = task.rsplit(maxsplit=1)[-1]
    return next((label for label, text in answers.items() if text == number), "agent1")
