"""Wrong ways with a provider's SDK."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from testing.planted_bugs.faithful import Faithful

from massgen_bridge import AgentCrashed, AgentError, ServerFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from massgen_bridge import Agent, AgentContext, Connection, Emit, Turn, TurnResult

__all__ = ["WRONG"]


class MakesAClientForEachTurn(Faithful):
    """Gives its client back before each turn, and makes another."""

    caught_by = ("test_agents_of_one_connection_share_its_client",)

    def __init__(self, context: AgentContext, factory: Callable[[AgentContext], Agent]) -> None:
        super().__init__(context, factory)
        self._again = partial(factory, context)

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        """Do the turn."""
        await self.inner.aclose()
        self.inner = self._again()
        return await super().run(turn, emit)


class EndsForGood(Faithful):
    """Cannot be used any more once it was closed."""

    caught_by = ("test_a_closed_agent_can_be_used_again",)
    _ended = False

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        """Do the turn."""
        if self._ended:
            raise AgentCrashed("the client has been closed")
        return await super().run(turn, emit)

    async def aclose(self) -> None:
        """Close the real agent."""
        self._ended = True
        await super().aclose()


class KnowsOneEventLoop(Faithful):
    """Keeps what belongs to the first event loop for all of them."""

    caught_by = ("test_each_event_loop_has_clients_of_its_own",)
    _loops: ClassVar[list[object]] = []

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        """Do the turn."""
        self._loops.append(asyncio.get_running_loop())
        if self._loops[0] is not self._loops[-1]:
            raise AgentCrashed("the client is bound to a different event loop")
        return await super().run(turn, emit)


class ReadsTheEnvironment(Faithful):
    """Sends what a variable holds, as SDKs do that nobody keeps from it."""

    caught_by = ("test_nothing_of_the_environment_reaches_the_server[key]",)

    def connection(self, connection: Connection) -> Connection:
        """The connection that the real agent gets."""
        headers = {**connection.headers, "X-Own": os.environ.get("AMBIENT", "")}
        return connection.model_copy(update={"headers": headers})


class DropsTheHeaders(Faithful):
    """Sends the SDK's headers alone."""

    caught_by = ("test_a_header_of_the_connection_comes_first[key]",)

    def connection(self, connection: Connection) -> Connection:
        """The connection that the real agent gets."""
        return connection.model_copy(update={"headers": {}})


class _Retells(Faithful):
    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        """Do the turn."""
        try:
            return await super().run(turn, emit)
        except AgentError as error:
            raise self.retold(error) from error

    def retold(self, error: AgentError) -> AgentError:
        """What is told in place of an error."""
        raise NotImplementedError


class BlamesTheServer(_Retells):
    """Every failure is the server's."""

    caught_by = ("test_each_status_has_its_kind",)

    def retold(self, error: AgentError) -> AgentError:
        """What is told in place of an error."""
        return ServerFailed(str(error), agent_id=error.agent_id)


class GivesEveryErrorAStatus(_Retells):
    """Says that the provider refused the call where its stream broke off."""

    caught_by = ("test_an_error_within_a_stream_has_a_kind_and_no_status",)

    def retold(self, error: AgentError) -> AgentError:
        """What is told in place of an error."""
        where, _, said = str(error).partition("): ")
        return type(error)(f"{where}): HTTP 500: {said}", agent_id=error.agent_id)


class ShowsTheJson(_Retells):
    """Shows a person what the provider meant for a program."""

    caught_by = ("test_what_the_provider_says_tells_more_than_its_status",)

    def retold(self, error: AgentError) -> AgentError:
        """What is told in place of an error."""
        return type(error)(f"{{'error': {str(error)!r}}}", agent_id=error.agent_id)


WRONG: tuple[type[Faithful], ...] = (
    MakesAClientForEachTurn,
    EndsForGood,
    KnowsOneEventLoop,
    ReadsTheEnvironment,
    DropsTheHeaders,
    BlamesTheServer,
    GivesEveryErrorAStatus,
    ShowsTheJson,
)
