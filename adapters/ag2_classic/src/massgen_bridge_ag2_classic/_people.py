"""Asking a person in the place of AG2's console."""

from __future__ import annotations

from collections.abc import Sequence

from massgen_bridge import (
    Asking,
    Chosen,
    PersonAsked,
    PersonReplied,
    Question,
    Reply,
    Written,
)
from massgen_bridge_ag2_classic._running import Running

__all__ = ["NobodyToAsk", "Person"]

_EXIT = "exit"


class NobodyToAsk(Exception):
    """Somebody's input is wanted, and nobody gives it."""


class Person:
    """Whoever is asked in one turn. Its methods are called in the thread in which AG2 works.

    Args:
        asking: Asks; None where nobody can be asked.
        running: The turn.
    """

    def __init__(self, asking: Asking | None, running: Running) -> None:
        self._asking = asking
        self._running = running

    def line(self, prompt: str) -> str:
        """A line of text; AG2's word for the end of the conversation where none comes.

        Raises:
            NobodyToAsk: There is nobody.
        """
        reply = self._running.do(self._ask, prompt, (), "the conversation ends")
        return reply.text if isinstance(reply, Written) else _EXIT

    def line_or_end(self, prompt: str) -> str:
        """A line of text, where nothing may go on without one.

        Raises:
            NobodyToAsk: There is nobody, or no reply came.
        """
        reply = self._running.do(self._ask, prompt, (), "the conversation ends")
        if not isinstance(reply, Written):
            raise NobodyToAsk(prompt)
        return reply.text

    def choice(self, wish: str, choices: Sequence[str], *, default: str) -> str | None:
        """One of the choices; None where the person takes none.

        Args:
            wish: What is to be done, in words.
            choices: What there is to choose from.
            default: What happens without a reply, in words.

        Raises:
            NobodyToAsk: There is nobody.
        """
        reply = self._running.do(self._ask, wish, tuple(choices), default)
        return reply.label if isinstance(reply, Chosen) and reply.label in choices else None

    async def _ask(self, wish: str, choices: tuple[str, ...], default: str) -> Reply | None:
        if self._asking is None:
            raise NobodyToAsk(wish)
        turn = self._running.turn
        await self._running.emit(PersonAsked(default=default))
        reply = await self._asking(
            Question(
                run_id=turn.run_id,
                turn_id=turn.turn_id,
                agent_id=turn.agent_id,
                kind="choice" if choices else "answer",
                wish=wish,
                task=turn.task,
                shown=turn.shown,
                choices=choices,
                default=default,
            )
        )
        await self._running.emit(
            PersonReplied(by_default=reply is None, reason="" if reply else "no reply came")
        )
        return reply
