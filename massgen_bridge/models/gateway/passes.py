"""Who may ask for what: tokens, and the turns that they are good for."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from massgen_bridge.errors import AuthFailed, PermissionDenied

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence
    from contextvars import Context

    from anyio.abc import TaskGroup

    from massgen_bridge.agent import Emit, Limits
    from massgen_bridge.connection import Connection, ModelCaller, ModelTraits

__all__ = ["Fallback", "Pass", "Passes", "Policy", "Reservation"]


@dataclass(frozen=True, kw_only=True)
class Fallback:
    """Another way to a model.

    Attributes:
        name: Of the connection.
        connect: Gives it, ready for use.
        call_model: Its retry policy.
        traits: What its model can do; calls that need more do not go there.
    """

    name: str
    connect: Callable[[], Awaitable[Connection]]
    call_model: ModelCaller
    traits: ModelTraits


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What holds for the model calls of one turn.

    Attributes:
        call_model: The retry policy.
        emit: Takes the events of the calls.
        limits: Of the turn.
        fallbacks: What is asked, in order, where a call has failed for good.
    """

    call_model: ModelCaller
    emit: Emit
    limits: Limits
    fallbacks: Sequence[Fallback] = ()


@dataclass(eq=False, kw_only=True)
class Pass:
    """The way of one turn to its model, as long as the turn lasts.

    Attributes:
        agent_id: The agent.
        turn_id: Its turn.
        connection: The real one.
        policy: None for an agent in this process, which has its own.
        tasks: Gives the tasks that its requests are made in; they end with it.
        context: What they run in: whose turn it is, and on which tape.
        reservation: The one whose token is good for this turn, too.
        calls: Model calls so far.
        is_open: Whether the turn still runs.
    """

    agent_id: str
    turn_id: str
    connection: Connection
    policy: Policy | None
    tasks: Callable[[], TaskGroup]
    context: Context
    reservation: Reservation | None = None
    calls: int = 0
    is_open: bool = True

    def start(self, make: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Begin a task of this turn."""
        self.context.run(self.tasks().start_soon, make)


@dataclass(frozen=True, eq=False, kw_only=True)
class Reservation:
    """A token for an agent whose models were made by the user, and read the environment.

    It is good while a turn of the agent is open.

    Attributes:
        agent_id: The agent.
        url: Where the gateway is, without a path.
        token: What the agent's clients show as their key.
    """

    agent_id: str
    url: str
    token: str = field(repr=False)

    def environ(self) -> dict[str, str]:
        """The variables by which clients made without an address or a key find the gateway."""
        return {
            "OPENAI_API_BASE": f"{self.url}/v1",
            "OPENAI_API_KEY": self.token,
            "OPENAI_BASE_URL": f"{self.url}/v1",
            "ANTHROPIC_API_BASE": self.url,
            "ANTHROPIC_API_KEY": self.token,
            "ANTHROPIC_API_URL": self.url,
            "ANTHROPIC_BASE_URL": self.url,
        }


class Passes:
    """All tokens of one gateway.

    Args:
        known: Takes every token: it is a secret.
    """

    def __init__(self, known: set[str]) -> None:
        self._known = known
        self._holders: dict[bytes, tuple[str, Pass | Reservation | None]] = {}
        self._open: list[Pass] = []

    def new_token(self) -> str:
        """A token; it looks like a key, for some clients look at theirs."""
        token = f"sk-{secrets.token_hex(24)}"
        self._known.add(token)
        return token

    def issue(self, token: str, holder: Pass | Reservation) -> None:
        """Let a token be good."""
        self._holders[_key(token)] = token, holder
        if isinstance(holder, Pass):
            self._open.append(holder)

    def end(self, token: str, holder: Pass) -> None:
        """Let a token be good no more; whoever shows it is told why."""
        holder.is_open = False
        self._open.remove(holder)
        self._holders[_key(token)] = token, None

    def find(self, token: str) -> Pass:
        """The turn that a token is good for.

        Raises:
            AuthFailed: There is no such token.
            PermissionDenied: Its turn is over.
        """
        # By its hash, so that the time that this takes tells nothing of the tokens there are.
        known, holder = self._holders.get(_key(token), ("", None))
        if not token or not hmac.compare_digest(known.encode(), token.encode()):
            raise AuthFailed(
                "this key is not one that the gateway gave out: expected the one of the agent's"
                " turn"
            )
        found = self._turn_of(holder) if isinstance(holder, Reservation) else holder
        if found is None:
            raise PermissionDenied(
                "the turn is over: the agent may make no more model calls until its next one"
            )
        return found

    def _turn_of(self, reservation: Reservation) -> Pass | None:
        """The latest turn that a reservation is for; else the latest of its agent."""
        turns = [one for one in self._open if one.agent_id == reservation.agent_id]
        bound = [one for one in turns if one.reservation is reservation]
        free = [one for one in turns if one.reservation is None]
        return next(reversed(bound or free), None)


def _key(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogateescape")).digest()
