"""Model calls whose errors say what helps: which models there are, where no server answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from massgen_bridge.errors import AuthFailed, NetworkFailed, NotFound
from massgen_bridge.models.addresses import is_loopback, origin_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from massgen_bridge.agent import Emit
    from massgen_bridge.connection import Connection, ModelCaller

__all__ = ["ExplainedCalls", "no_key_advice"]

T = TypeVar("T")

# Of httpx and its kin, which every SDK is built on.
_ONCE_CONNECTED = frozenset({"ReadError", "RemoteProtocolError"})


class ExplainedCalls:
    """Makes model calls; a `ModelCaller`.

    Args:
        calls: Makes them.
        connection: Whose server is asked for its models when it does not know the one called.
    """

    def __init__(self, calls: ModelCaller, connection: Connection) -> None:
        self._calls = calls
        self._connection = connection

    async def __call__(self, attempt: Callable[[], Awaitable[T]], emit: Emit) -> T:
        """Make a model call.

        Args:
            attempt: Sends one request.
            emit: Takes what the retry policy tells.

        Raises:
            AgentError: As the calls raise it; that of a missing model names those that are there,
                that of the network where the server was looked for, that of a missing key how to
                give one.
        """
        try:
            return await self._calls(attempt, emit)
        except NotFound as error:
            from massgen_bridge.models.listing import with_offered  # noqa: PLC0415 - imports HTTP

            raise await with_offered(error, self._connection) from error
        except AuthFailed as error:
            if self._connection.api_key is not None:
                raise
            hint = no_key_advice(self._connection)
            raise AuthFailed(f"{error} ({hint})", agent_id=error.agent_id) from error
        except NetworkFailed as error:
            raise NetworkFailed(
                f"{error} ({_where(self._connection, is_silent=not _broke_off(error))})",
                agent_id=error.agent_id,
                retry_after_s=error.retry_after_s,
            ) from error


def no_key_advice(connection: Connection) -> str:
    """Why a server was sent no key, and how to give it one."""
    return (
        "no key was sent: the usual variable of a provider is for its own host alone; "
        f"'api_key_env' of the connection names the one for {origin_of(connection.base_url)}"
    )


def _broke_off(error: NetworkFailed) -> bool:
    """Whether somebody had answered, or begun to."""
    from massgen_bridge.models.sdk_errors import causes  # noqa: PLC0415 - needed for errors alone

    return any(type(cause).__name__ in _ONCE_CONNECTED for cause in causes(error))


def _where(connection: Connection, *, is_silent: bool) -> str:
    url = connection.base_url
    hint = ", on this machine: is a server running there?"
    return f"the address is {origin_of(url)}{hint if is_silent and is_loopback(url) else ''}"
