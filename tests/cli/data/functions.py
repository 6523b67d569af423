"""Functions for agents of the kind `python`."""

from __future__ import annotations

import os
import time

import anyio

__all__ = ["block_the_loop", "block_thread", "shout", "tell_key", "wait"]


def shout(question: str) -> str:
    """Answer at once."""
    return question.upper()


def tell_key(question: str) -> str:
    """Give away what has to stay secret."""
    return f"{question} {os.environ['HOUSE_KEY']}"


async def wait(question: str) -> str:
    """Answer after a minute, unless cancelled."""
    await anyio.sleep(60)
    return question


def block_thread(question: str) -> str:
    """Answer after a minute, whatever happens meanwhile."""
    time.sleep(60)
    return question


async def block_the_loop(question: str) -> str:
    """Let nothing else happen for a minute."""
    time.sleep(60)  # noqa: ASYNC251 - what it is for
    return question
