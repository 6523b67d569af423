"""The agent: what a turn asks for goes to the framework, what the framework says comes back."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from massgen_bridge import Emit, TextDelta, Turn, TurnResult, assistant

from massgen_bridge_your_name._options import CAPABILITIES, FirstWordsOptions

__all__ = ["FirstWordsAgent"]


class FirstWordsAgent:
    """One agent of a run. It serves many turns, also at the same time: it keeps nothing of them."""

    def __init__(self, options: FirstWordsOptions) -> None:
        # Make the framework's client here. This runs in a thread, so it may take its time.
        self._options = options

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        """Do one turn.

        An exception of the framework becomes one of massgen-bridge's, such as `RateLimited` or
        `NetworkFailed`; any other one is reported as a crash. Cancellation must pass through.
        """
        CAPABILITIES.check(turn)
        pieces: list[str] = []
        async with aclosing(self._ask(turn.question)) as answer:
            async for piece in answer:
                await emit(TextDelta(text=piece))
                pieces.append(piece)
        message = assistant("".join(pieces))
        return TurnResult(message=message, new_messages=(message,))

    async def aclose(self) -> None:
        """Close the framework's client; called once no turn runs any more."""

    async def _ask(self, question: str) -> AsyncGenerator[str]:
        # Your framework comes here. This stands in for it.
        for number, word in enumerate(question.split()[: self._options.most_words]):
            yield f" {word}" if number else word
