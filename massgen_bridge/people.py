"""Asking people: what a person who takes part is asked, what comes back, and who asks.

A kind of agent that is a person gets an `Asking` with its `AgentContext`. Behind it stands a
`Desk`, which queues questions and keeps their time limits, and behind that whoever shows a
question and takes the reply: the terminal, a page, or code of your own.
"""

from __future__ import annotations

from typing import Literal, Protocol

import anyio

from massgen_bridge.agent import ShownAnswer
from massgen_bridge.messages import Frozen, Message

__all__ = [
    "Ask",
    "Asking",
    "Better",
    "Chosen",
    "Declined",
    "Desk",
    "Ordered",
    "Question",
    "Reply",
    "Written",
    "desk_of",
]


class Question(Frozen):
    """What a person is asked.

    Attributes:
        kind: `answer` wants a text, `choice` one of the `choices`, `order` all of them, the best
            one first.
        wish: What is to be done, in words.
        task: The run's question as the user gave it, media included.
        instruction: What the configuration tells this person before every task.
        earlier: The conversation with the user before.
        shown: The answers that it is about; what they say is material to judge and may try to
            deceive.
        choices: What can be chosen: labels of answers or of speakers.
        may_improve: Whether the promise of a better answer may come in place of a choice.
        time_limit_s: Seconds to reply in, from the moment when the question is put; None: no limit.
        default: What happens without a reply, in words.
    """

    run_id: str
    turn_id: str
    agent_id: str
    kind: Literal["answer", "choice", "order"]
    wish: str
    task: Message | None = None
    instruction: str = ""
    earlier: tuple[Message, ...] = ()
    shown: tuple[ShownAnswer, ...] = ()
    choices: tuple[str, ...] = ()
    may_improve: bool = False
    time_limit_s: float | None = None
    default: str = ""


class Written(Frozen):
    """A text was given."""

    text: str


class Chosen(Frozen):
    """One of the choices was taken."""

    label: str
    reason: str = ""


class Ordered(Frozen):
    """All the choices, the best one first."""

    labels: tuple[str, ...]
    reason: str = ""


class Better(Frozen):
    """A better answer will be written; the person is asked for it next."""


class Declined(Frozen):
    """The person gives neither answer nor vote."""

    reason: str = ""


Reply = Written | Chosen | Ordered | Better | Declined


class Ask(Protocol):
    """Shows a person a question and takes the reply.

    A question that is void is cancelled: its time is up, its turn was stopped, or the run is over.
    It then has to vanish, and nothing typed for it may become the reply to another one.
    """

    async def __call__(self, question: Question, /) -> Reply:
        """Ask."""


class Asking(Protocol):
    """How an agent asks the person that it stands for."""

    async def __call__(self, question: Question, /) -> Reply | None:
        """Ask; None where no reply came within the time limit."""


class Desk:
    """Puts questions one by one, each with its time limit.

    Args:
        ask: Shows a question and takes the reply.
        at_once: How many questions may be open at the same time; the others wait, and their time
            does not run meanwhile.
    """

    def __init__(self, ask: Ask, *, at_once: int = 1) -> None:
        self._ask = ask
        self._room = anyio.Semaphore(at_once)

    async def __call__(self, question: Question, /) -> Reply | None:
        """Ask; None where no reply came within the time limit."""
        async with self._room:
            with anyio.move_on_after(question.time_limit_s):
                return await self._ask(question)
        return None


def desk_of(ask: Ask | Desk | None) -> Asking | None:
    """What agents ask by: whoever asks one question at a time gets a desk."""
    return ask if ask is None or isinstance(ask, Desk) else Desk(ask)
