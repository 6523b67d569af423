"""Decisions of plugins, made in a worker thread so that none of them stalls the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from anyio import to_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from massgen_bridge.agent import Turn
    from massgen_bridge.events import AnswerInfo
    from massgen_bridge.messages import ToolCall
    from massgen_bridge.plugins import PluginHost
    from massgen_bridge.verdicts import AnswerVerdict, ToolVerdict

__all__ = ["Decisions"]

T = TypeVar("T")


class Decisions:
    """The decision hooks of a host, awaitable; without an implementation they cost nothing."""

    def __init__(self, host: PluginHost) -> None:
        self._host = host
        self.judges_tools = host.has("bridge_tool_call")
        self._prepares = host.has("bridge_turn_prepare")
        self._judges_answers = host.has("bridge_answer")
        self._breaks_ties = host.has("bridge_tie_break")

    async def prepare_turn(self, turn: Turn) -> Turn:
        """The turn as the plugins leave it.

        Raises:
            HookFailed: One of them raised.
            AgentError: One of them refused the turn.
        """
        if not self._prepares:
            return turn
        return await _in_thread(lambda: self._host.prepare_turn(turn))

    async def tool_verdict(self, turn: Turn, call: ToolCall) -> ToolVerdict:
        """What the plugins together say to a tool call."""
        return await _in_thread(lambda: self._host.tool_verdict(turn, call))

    async def answer_verdict(self, turn: Turn, text: str) -> AnswerVerdict | None:
        """The first rejection of an answer, None where nobody objects."""
        if not self._judges_answers:
            return None
        verdict = await _in_thread(lambda: self._host.answer_verdict(turn, text))
        return None if verdict.accept else verdict

    async def tie_break(
        self, question: str, candidates: Sequence[AnswerInfo]
    ) -> tuple[AnswerInfo, str]:
        """The winner among equals and who decided; the order of the configuration at last."""
        if self._breaks_ties:
            decision = await _in_thread(lambda: self._host.tie_break(question, candidates))
            if decision is not None:
                chosen = next(c for c in candidates if c.label == decision.label)
                return chosen, decision.by
        return candidates[0], "order"


async def _in_thread(decide: Callable[[], T]) -> T:
    # A hook that never returns is left behind when the run is cancelled.
    return await to_thread.run_sync(decide, abandon_on_cancel=True)
