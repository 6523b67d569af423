"""What `adapters test` and the process that runs the suite say to each other: a JSON value a line.

That process, `massgen_bridge.testing.command`, gets one request and answers with events.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, TypeAdapter

from massgen_bridge.agent import Capabilities
from massgen_bridge.messages import Frozen, JsonValue

__all__ = [
    "EVENTS",
    "Check",
    "CheckEnded",
    "CheckStarted",
    "Outcome",
    "SuiteDone",
    "SuiteEvent",
    "SuiteReady",
    "SuiteRefused",
    "SuiteRequest",
]

Outcome = Literal["passed", "not_claimed", "expected_failure", "failed", "not_run"]
"""How a check ended. `not_claimed`: the adapter does not claim to be able to do it, and refused."""


_LONGEST = 100_000


def _fit(text: str) -> str:
    """What an adapter told, as it can be sent: no half of a surrogate pair, and no megabytes."""
    text = text.encode(errors="replace").decode()
    half = _LONGEST // 2
    return text if len(text) <= _LONGEST else f"{text[:half]}\n…\n{text[-half:]}"


_Told = Annotated[str, AfterValidator(_fit)]


class SuiteRequest(Frozen):
    """Which adapter is tested, and by what.

    Attributes:
        kind: The adapter's kind.
        plugins: Plugins to load beside the installed ones: modules, or files by absolute path.
        options: The adapter's options, as they stand in YAML.
        base_dir: The folder that import paths are relative to.
        question: What the agent is asked, with `{number}` for a number that tells questions
            apart; None for what the suite asks.
        without_model: Leave out what asks for a model, also where the kind may use one.
        expected: Checks that are expected to fail, and why.
        only: Groups, tests and checks to run; empty for all.
        done: Checks that an earlier process has dealt with.
        isolation: Whether agents run in the process of the suite, or in processes of their own,
            with its packages or with their own.
    """

    kind: str
    plugins: tuple[str, ...] = ()
    options: dict[str, JsonValue] = Field(default_factory=dict)
    base_dir: str
    question: str | None = None
    without_model: bool = False
    expected: dict[str, str] = Field(default_factory=dict)
    only: tuple[str, ...] = ()
    done: tuple[str, ...] = ()
    isolation: Literal["none", "process", "environment"] = "none"


class Check(Frozen):
    """One test of the suite, with its parameters.

    Attributes:
        name: The test's name, with its parameters in brackets.
        guarantee: The test's name alone.
        group: What it belongs to.
        sentence: What the adapter promises here.
    """

    name: str
    guarantee: str
    group: str
    sentence: str


class SuiteReady(Frozen):
    """The suite is set up; `checks` follow in this order, without those that are done."""

    type: Literal["ready"] = "ready"
    suite: str
    capabilities: Capabilities
    groups: dict[str, str]
    """Each group that takes part, with the sentence that describes it."""
    checks: tuple[Check, ...]


class CheckStarted(Frozen):
    """A check begins."""

    type: Literal["started"] = "started"
    name: str


class CheckEnded(Frozen):
    """A check ended.

    Attributes:
        name: Its name.
        outcome: How it ended.
        reason: Why it failed, or is expected to; what is not claimed.
        details: All that is known of a failure, with tracebacks.
        seconds: How long it took.
    """

    type: Literal["ended"] = "ended"
    name: str
    outcome: Outcome
    reason: _Told = ""
    details: _Told = ""
    seconds: float = 0.0


class SuiteRefused(Frozen):
    """The suite cannot be run as asked.

    Attributes:
        usage: Whether the request is at fault; otherwise the adapter is.
        message: What is wrong.
        details: All that is known of it.
    """

    type: Literal["refused"] = "refused"
    usage: bool
    message: _Told
    details: _Told = ""


class SuiteDone(Frozen):
    """Every check has ended."""

    type: Literal["done"] = "done"


SuiteEvent = Annotated[
    SuiteReady | CheckStarted | CheckEnded | SuiteRefused | SuiteDone, Field(discriminator="type")
]

EVENTS: TypeAdapter[SuiteEvent] = TypeAdapter(SuiteEvent)
"""Reads an event."""
