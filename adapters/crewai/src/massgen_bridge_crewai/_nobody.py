"""Who is asked where a crew asks a person: nobody can be."""

from __future__ import annotations

from typing import Any, NoReturn

from crewai.core.providers.human_input import SyncHumanInputProvider

from massgen_bridge import AgentCrashed
from massgen_bridge_crewai._running import Running, TurnOver

__all__ = ["Nobody"]


class Nobody(SyncHumanInputProvider):
    """Fails the turn where CrewAI would wait for somebody at the terminal.

    Args:
        running: The turn.
    """

    def __init__(self, running: Running) -> None:
        self._running = running

    def handle_feedback(self, formatted_answer: Any, context: Any) -> Any:  # noqa: ARG002 - CrewAI's signature
        """Fail the turn."""
        self._fail()

    async def handle_feedback_async(self, formatted_answer: Any, context: Any) -> Any:  # noqa: ARG002 - CrewAI's signature
        """Fail the turn."""
        self._fail()

    def _fail(self) -> NoReturn:
        self._running.fail(
            AgentCrashed(
                "the crew asks a person for feedback, but no person takes part in a turn; run it "
                "without `human_input`"
            )
        )
        raise TurnOver
