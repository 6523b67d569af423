"""AG2 agents as a user writes them, for the tests."""

from __future__ import annotations

from ag2 import Agent


def make_agent() -> Agent:
    """An agent without a model of its own."""
    return Agent("mine")
