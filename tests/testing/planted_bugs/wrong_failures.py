"""Agents that hide, rename or repeat failures."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import anyio
from testing.planted_bugs.faithful import Faithful, Speech

from massgen_bridge import (
    AgentError,
    RateLimited,
    ServerFailed,
    TimedOut,
    Truncated,
    TurnResult,
    assistant,
)
from massgen_bridge.connection import RetryPolicy
from massgen_bridge.testing.agents import TEST_KEY

if TYPE_CHECKING:
    from massgen_bridge import Connection, Emit, Turn, TurnEvent

__all__ = ["WRONG"]

_KINDS = "test_each_fault_has_its_kind"


class TakesHalfAStreamForSuccess(Faithful):
    """Returns what came when a stream ends early. Both SDKs, LangChain, AG2 and CrewAI return
    "Hello from" as if it were the answer.
    """

    caught_by = (
        "test_a_cut_stream_is_no_success",
        f"{_KINDS}[ends-midway]",
        "test_each_kind_of_failure_reaches_the_host[truncated]",
    )

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        speech = Speech()

        async def listen(event: TurnEvent, /) -> None:
            speech.hear(event)
            await emit(event)

        try:
            return await super().run(turn, listen)
        except Truncated:
            message = assistant("".join(speech.said))
            return TurnResult(message=message, new_messages=(message,))


class ReturnsErrorsAsAnswers(Faithful):
    """Says in the answer what went wrong, and the host counts it as an answer."""

    caught_by = (f"{_KINDS}[500]", "test_nobody_there_is_a_network_failure")

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        try:
            return await super().run(turn, emit)
        except AgentError as error:
            message = assistant(f"Error: {error}")
            return TurnResult(message=message, new_messages=(message,))


class HasOneErrorForAll(Faithful):
    """Makes one kind of all errors. MassGen reports a wrong key as a failure to use its workflow
    tools.
    """

    caught_by = (f"{_KINDS}[401]", "test_each_kind_of_failure_reaches_the_host[auth]")

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        try:
            return await super().run(turn, emit)
        except AgentError as error:
            raise ServerFailed(str(error)) from error


class LetsForeignErrorsOut(Faithful):
    """Raises whatever the SDK raises. AG2 and CrewAI hand on the SDK's exceptions."""

    caught_by = (f"{_KINDS}[429]", "test_each_kind_of_failure_reaches_the_host[rate_limit]")

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        try:
            return await super().run(turn, emit)
        except AgentError as error:
            raise RuntimeError(str(error)) from error


class TellsTheKey(Faithful):
    """Puts the request's headers into the text of an error."""

    caught_by = (
        "test_a_key_does_not_get_out_with_an_error",
        "test_each_kind_of_failure_reaches_the_host[auth]",
    )

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        try:
            return await super().run(turn, emit)
        except AgentError as error:
            raise type(error)(f"{error} with {TEST_KEY}") from error


class ForgetsTheTimeToWait(Faithful):
    """Loses what the provider asked for in Retry-After."""

    caught_by = ("test_the_time_to_wait_is_handed_on[2]",)

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        try:
            return await super().run(turn, emit)
        except AgentError as error:
            raise type(error)(str(error)) from error


class RetriesBesideOurs(Faithful):
    """Tries again by itself. CrewAI made three requests on a 429 with `max_retries=0`; the SDKs
    try twice more unless they are told not to.
    """

    caught_by = (
        f"{_KINDS}[500]",
        "test_attempts_are_used_up_to_the_last",
        "test_what_cannot_pass_is_not_tried_again[400]",
    )

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        try:
            return await super().run(turn, emit)
        except AgentError:
            return await super().run(turn, emit)


class MakesTheWholeTurnAgain(Faithful):
    """Starts the turn from its beginning when a model call fails: tools run twice."""

    caught_by = ("test_a_tool_that_ran_is_not_run_again",)

    def connection(self, connection: Connection) -> Connection:
        return connection.model_copy(update={"retry": RetryPolicy(attempts=1)})

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        try:
            return await super().run(turn, emit)
        except ServerFailed:
            return await super().run(turn, emit)


class HidesItsRetries(Faithful):
    """Tells nobody that a call is made again."""

    caught_by = ("test_a_call_that_is_made_again_is_told_once[server]",)

    async def tell(self, event: TurnEvent, emit: Emit) -> None:
        if event.type != "model_retried":
            await emit(event)


class WaitsThroughCancellation(Faithful):
    """Sees its waits and its next attempt through, cancelled or not."""

    caught_by = ("test_a_cancelled_wait_makes_no_further_call",)

    def connection(self, connection: Connection) -> Connection:
        return connection.model_copy(update={"retry": RetryPolicy(attempts=1)})

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        try:
            return await super().run(turn, emit)
        except RateLimited:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.5)
                return await super().run(turn, emit)
            raise


class LimitsTheWholeAnswer(Faithful):
    """Takes the time that one wait may last for the time of the whole answer."""

    caught_by = ("test_a_slow_answer_is_no_silence",)
    patience_s = 0.0

    def connection(self, connection: Connection) -> Connection:
        self.patience_s = connection.timeout_s
        return connection

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        with anyio.move_on_after(self.patience_s):
            return await super().run(turn, emit)
        raise TimedOut("the answer took too long")


class FailsForGood(Faithful):
    """Does nothing more once it has failed. A failed member of an AG2 network leaves its channel
    open, and everybody waits.
    """

    caught_by = ("test_an_agent_survives_its_failures",)
    broken = False

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        if self.broken:
            raise ServerFailed("the session is broken")
        try:
            return await super().run(turn, emit)
        except AgentError:
            self.broken = True
            raise


class IgnoresTheProxy(Faithful):
    """Goes past the proxy that the environment names."""

    caught_by = ("test_the_proxy_of_the_environment_is_used",)

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        os.environ["NO_PROXY"] = "*"
        try:
            return await super().run(turn, emit)
        finally:
            del os.environ["NO_PROXY"]


class WaitsTooLong(Faithful):
    """Waits for a silent server longer than the connection says."""

    caught_by = ("test_silence_beyond_the_time_limit_is_told_as_such[midway]",)

    def connection(self, connection: Connection) -> Connection:
        return connection.model_copy(update={"timeout_s": connection.timeout_s + 2.2})


WRONG: tuple[type[Faithful], ...] = (
    TakesHalfAStreamForSuccess,
    ReturnsErrorsAsAnswers,
    HasOneErrorForAll,
    LetsForeignErrorsOut,
    TellsTheKey,
    ForgetsTheTimeToWait,
    RetriesBesideOurs,
    MakesTheWholeTurnAgain,
    HidesItsRetries,
    WaitsThroughCancellation,
    LimitsTheWholeAnswer,
    FailsForGood,
    IgnoresTheProxy,
    WaitsTooLong,
)
