"""Every hook of massgen-bridge.

Hooks are synchronous: registrations return specs, decisions return a verdict, observers return
nothing. What is asynchronous lives on the objects that they return. An implementation may take
fewer arguments than the hook has. Mark implementations with `massgen_bridge.hookimpl`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from massgen_bridge.agent import Turn
    from massgen_bridge.errors import ErrorKind
    from massgen_bridge.events import AnswerInfo, Record, RunResult, RunStarted
    from massgen_bridge.messages import ToolCall
    from massgen_bridge.specs import (
        AdapterSpec,
        ProviderSpec,
        SinkSpec,
        StrategySpec,
        ToolSpec,
    )
    from massgen_bridge.verdicts import AnswerVerdict, ToolVerdict

__all__ = [
    "PROJECT",
    "bridge_adapters",
    "bridge_answer",
    "bridge_classify_error",
    "bridge_events",
    "bridge_providers",
    "bridge_run_finished",
    "bridge_run_started",
    "bridge_sinks",
    "bridge_strategies",
    "bridge_tie_break",
    "bridge_tool_call",
    "bridge_tools",
    "bridge_turn_prepare",
    "hookimpl",
]

PROJECT = "massgen_bridge"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


# --- registrations: every result counts ----------------------------------------------------------


@hookspec
def bridge_adapters() -> Iterable[AdapterSpec]:  # type: ignore[empty-body]
    """Register kinds of agents.

    Returns:
        One spec for each kind. Nothing heavy is imported here.
    """


@hookspec
def bridge_tools() -> Iterable[ToolSpec]:  # type: ignore[empty-body]
    """Register tools that a configuration may give to agents by name.

    Returns:
        One spec for each tool.
    """


@hookspec
def bridge_strategies() -> Iterable[StrategySpec]:  # type: ignore[empty-body]
    """Register ways of coordination.

    Returns:
        One spec for each strategy.
    """


@hookspec
def bridge_sinks() -> Iterable[SinkSpec]:  # type: ignore[empty-body]
    """Register places that the records of a run can go to.

    Returns:
        One spec for each kind of sink.
    """


@hookspec
def bridge_providers() -> Iterable[ProviderSpec]:  # type: ignore[empty-body]
    """Register providers of models.

    Returns:
        One spec for each provider.
    """


# --- decisions: made off the event loop, recorded, never asked again in a replay ------------------


@hookspec
def bridge_turn_prepare(turn: Turn) -> Turn | None:
    """Change a turn before the agent gets it, for example its prompt.

    Every implementation gets the turn as its forerunner left it, in the order of registration.
    One that raises fails the turn: an `AgentError` refuses it with that error's kind, anything
    else is a crash.

    Args:
        turn: The turn as the ballot and the strategy made it.

    Returns:
        The turn to use instead (same run, turn and agent ids), or None to leave it.
    """


@hookspec
def bridge_tool_call(turn: Turn, call: ToolCall) -> ToolVerdict | None:
    """Decide on a tool call before it is made.

    All implementations are asked; deny beats ask beats edit beats allow. Raising means deny.

    Args:
        turn: The turn in which the model made the call.
        call: The call, its arguments already checked against the tool's schema.

    Returns:
        A verdict, or None for no opinion.
    """


@hookspec
def bridge_answer(turn: Turn, agent_id: str, text: str) -> AnswerVerdict | None:
    """Accept or reject an answer before it stands for election.

    The first rejection counts. One that raises rejects.

    Args:
        turn: The turn that gave the answer; its `task` is the run's question.
        agent_id: The author.
        text: The answer.

    Returns:
        A verdict, or None for no opinion.
    """


@hookspec(firstresult=True)
def bridge_tie_break(question: str, candidates: Sequence[AnswerInfo]) -> str | None:
    """Choose among answers with equally many votes.

    Args:
        question: The text of the run's question.
        candidates: The tied answers, in the order of the configuration.

    Returns:
        The label of the winner, or None to leave it to the next plugin and at last to the order
        of the configuration.
    """


@hookspec(firstresult=True)
def bridge_classify_error(kind: str, error: Exception) -> ErrorKind | None:
    """Name the kind of an exception that an adapter did not map.

    Args:
        kind: The agent's kind.
        error: What its code raised.

    Returns:
        A kind, or None for no opinion; nobody's opinion makes it a crash.
    """


# --- observers: called in a thread of their own, never waited for by the run ----------------------


@hookspec
def bridge_run_started(run_id: str, started: RunStarted) -> None:
    """A run began.

    Args:
        run_id: The run's id.
        started: Question, seats and strategy.
    """


@hookspec
def bridge_events(run_id: str, records: Sequence[Record]) -> None:
    """Records of a run, in order, in batches of up to a few hundred.

    Args:
        run_id: The run's id.
        records: At least one record.
    """


@hookspec
def bridge_run_finished(run_id: str, result: RunResult) -> None:
    """A run ended, in whatever way.

    Args:
        run_id: The run's id.
        result: What it gave.
    """
