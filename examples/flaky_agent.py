"""An agent whose other side hangs up: for looking at how failures are told."""

from __future__ import annotations


def answer(question: str) -> str:
    """Fail as a client does whose server goes away."""
    raise ConnectionResetError(f"the server hung up while asked: {question}")
