"""Model calls behind which the host's gateway stands: it has the retries and tells of the calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from massgen_bridge.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from massgen_bridge.agent import Emit
    from massgen_bridge.connection import ModelCaller

__all__ = ["CallsBehindGateway"]

T = TypeVar("T")


class CallsBehindGateway:
    """Makes the model calls behind which the host stands, with its retries; a `ModelCaller`.

    The gateway cannot make a call again of whose answer the agent has had a part already; so those
    calls are made again here, and these alone.

    Args:
        calls: Makes them.
        deltas: How many deltas the agent has told of so far, once the host knows of them.
    """

    def __init__(self, calls: ModelCaller, deltas: Callable[[], Awaitable[int]]) -> None:
        self._calls = calls
        self._deltas = deltas

    async def __call__(self, attempt: Callable[[], Awaitable[T]], emit: Emit) -> T:
        """Make a model call.

        Args:
            attempt: Sends one request.
            emit: Takes what the retry policy tells.

        Raises:
            AgentError: As the attempt, or the policy, raises it.
        """

        async def once() -> T:
            before = await self._deltas()
            try:
                return await attempt()
            except AgentError as error:
                if await self._deltas() == before:
                    raise _LastError(error) from error
                raise

        try:
            return await self._calls(once, emit)
        except _LastError as last:
            raise last.error from last.error.__cause__


class _LastError(Exception):
    """An error after which the host has done what there was to do."""

    def __init__(self, error: AgentError) -> None:
        super().__init__(str(error))
        self.error = error
