"""AG2 agents as a user writes them, for the tests."""

from __future__ import annotations

import os

from ag2 import Agent
from ag2.config import OpenAIConfig

__all__ = ["make_agent", "make_spy"]


def make_agent() -> Agent:
    """An agent without a model of its own."""
    return Agent("mine")


def make_spy() -> Agent:
    """An agent whose tool tells what its process knows; its own model leads nowhere."""

    async def environment() -> str:
        """Tells of the environment."""
        return f"{os.getpid()} {sorted(key for key in os.environ if key.endswith('_API_KEY'))}"

    config = OpenAIConfig("theirs", api_key="their-key", base_url="http://127.0.0.1:1/v1")
    return Agent("spy", config=config, tools=[environment])
