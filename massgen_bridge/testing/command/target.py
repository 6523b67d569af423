"""The adapter that this process tests."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from massgen_bridge.specs import AdapterSpec

__all__ = ["NUMBER", "TARGET", "Target"]

NUMBER = "{number}"
"""Stands for the number of a question in its text."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """An adapter, and what is known of it before it is tested.

    Attributes:
        spec: The adapter.
        options: Its options, as they stand in YAML.
        base_dir: The folder that import paths in the options are relative to.
        question: What the agent is asked, with `{number}` in it; None for what the suite asks.
        expected: Checks that are expected to fail, and why.
        isolation: Whether agents run in this process, or in processes of their own, with its
            packages or with their own.
    """

    spec: AdapterSpec
    options: Mapping[str, Any]
    base_dir: Path
    question: str | None
    expected: Mapping[str, str]
    isolation: Literal["none", "process", "environment"]


TARGET: ContextVar[Target] = ContextVar("TARGET")
"""Set before pytest looks at the checks."""
