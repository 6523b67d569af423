"""Every error that massgen-bridge raises.

.. code-block:: text

    BridgeError
    ├── ConfigError                 the YAML (or a call from Python) asks for something impossible
    │   ├── CassetteError           a cassette cannot be read, made, or used for this run
    │   ├── MediaError              a picture or another file cannot be read, fetched or prepared
    │   └── TrustRequired           the YAML imports code that nobody has allowed yet
    ├── PluginError                 a plugin cannot be used
    │   ├── AdapterMissing          an agent kind is known, but not installed or broken
    │   ├── DuplicateName           two plugins register one name
    │   └── HookFailed              a decision hook raised
    ├── LocalModelError             the built-in model cannot be fetched or served
    ├── EnvironmentFailed           an agent's own environment is missing or cannot be built
    ├── JournalError                a run cannot be written or read
    ├── ReplayDiverged              a replayed run asks for what its cassette does not hold
    ├── RunFailed                   no answer came out of a run
    └── AgentError                  a turn failed; `kind` is one of ErrorKind
        ├── AuthFailed              the key is missing, wrong or expired
        ├── PermissionDenied        the key is right, but this is not allowed
        ├── NotFound                no such model or endpoint
        ├── BadRequest              the provider refused the request as it stands
        │   └── ContextOverflow     the request is larger than the model's context window
        ├── RateLimited             too many requests; `retry_after_s` where the provider said so
        ├── ServerFailed            the provider failed (5xx, overloaded)
        ├── NetworkFailed           no connection, or it broke
        ├── TimedOut                no answer, or no progress, within the limit
        ├── ProtocolFailed          the answer is not what the protocol promises
        │   └── Truncated           a stream ended without its end marker
        ├── UnsupportedContent      the agent cannot carry a part of the message
        ├── ToolFailed              a tool broke in a way that the model cannot mend
        ├── LimitReached            a limit of the turn is used up
        └── AgentCrashed            the agent's own code raised something unforeseen
            └── WorkerCrashed       the agent's own process ended in the middle of a turn

Cancellation is no error of ours: it is anyio's own exception and always passes through.
"""

from __future__ import annotations

from typing import ClassVar, Literal, get_args

__all__ = [
    "ERROR_KINDS",
    "AdapterMissing",
    "AgentCrashed",
    "AgentError",
    "AuthFailed",
    "BadRequest",
    "BridgeError",
    "CassetteError",
    "ConfigError",
    "ContextOverflow",
    "DuplicateName",
    "EnvironmentFailed",
    "ErrorKind",
    "HookFailed",
    "JournalError",
    "LimitReached",
    "LocalModelError",
    "MediaError",
    "NetworkFailed",
    "NotFound",
    "PermissionDenied",
    "PluginError",
    "ProtocolFailed",
    "RateLimited",
    "ReplayDiverged",
    "RunFailed",
    "ServerFailed",
    "TimedOut",
    "ToolFailed",
    "Truncated",
    "TrustRequired",
    "UnsupportedContent",
    "WorkerCrashed",
    "error_of_kind",
    "error_words",
]

ErrorKind = Literal[
    "auth",
    "permission",
    "not_found",
    "bad_request",
    "context",
    "rate_limit",
    "server",
    "network",
    "timeout",
    "protocol",
    "truncated",
    "unsupported",
    "tool",
    "limit",
    "crash",
    "worker_crashed",
]
ERROR_KINDS: tuple[ErrorKind, ...] = get_args(ErrorKind)


class BridgeError(Exception):
    """Anything that massgen-bridge raises on purpose; its text is one line for a person."""


class ConfigError(BridgeError):
    """The configuration is wrong.

    Args:
        message: What is wrong, what was expected and what to do.
        file: The file it stands in, where there is one.
        line: Line in that file, from 1.
        column: Column in that line, from 1.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        place = ":".join(str(part) for part in (file, line, column) if part is not None)
        super().__init__(f"{place}: {message}" if place else message)
        self.message = message
        self.file = file
        self.line = line
        self.column = column


class CassetteError(ConfigError):
    """A cassette cannot be read or made, or is of another team or question."""


class MediaError(ConfigError):
    """A picture, sound, film or document cannot be read, fetched or prepared."""


class TrustRequired(ConfigError):
    """The configuration imports code, and its content is not among the trusted ones."""


class PluginError(BridgeError):
    """A plugin cannot be used."""


class AdapterMissing(PluginError):
    """The agent kind is known, but its adapter is not installed, or is broken."""


class DuplicateName(PluginError):
    """Two plugins register one name; the text names both distributions."""


class HookFailed(PluginError):
    """A decision hook raised, so that no decision was made."""


class LocalModelError(BridgeError):
    """The built-in model cannot be fetched or served."""


class EnvironmentFailed(BridgeError):
    """An agent's own environment is missing, cannot be built, or no worker starts in it."""


class JournalError(BridgeError):
    """A run cannot be written or read."""


class ReplayDiverged(BridgeError):
    """A replayed run asks a model for what its cassette does not hold."""


class RunFailed(BridgeError):
    """A run ended without an answer."""


class AgentError(BridgeError):
    """A turn failed.

    Args:
        message: What happened, in one line.
        agent_id: The agent it happened to, where it is known.
        retry_after_s: Seconds that the provider asks to wait, where it does.
    """

    kind: ClassVar[ErrorKind] = "crash"
    retryable: ClassVar[bool] = False

    def __init__(
        self, message: str, *, agent_id: str | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.agent_id = agent_id
        self.retry_after_s = retry_after_s


class AuthFailed(AgentError):
    """The key is missing, wrong or expired."""

    kind: ClassVar[ErrorKind] = "auth"


class PermissionDenied(AgentError):
    """The key is right, but what was asked is not allowed."""

    kind: ClassVar[ErrorKind] = "permission"


class NotFound(AgentError):
    """There is no such model or endpoint."""

    kind: ClassVar[ErrorKind] = "not_found"


class BadRequest(AgentError):
    """The provider refused the request as it stands."""

    kind: ClassVar[ErrorKind] = "bad_request"


class ContextOverflow(BadRequest):
    """The request is larger than the model's context window."""

    kind: ClassVar[ErrorKind] = "context"


class RateLimited(AgentError):
    """Too many requests or tokens; `retry_after_s` holds the provider's word, if any."""

    kind: ClassVar[ErrorKind] = "rate_limit"
    retryable = True


class ServerFailed(AgentError):
    """The provider failed (5xx, overloaded)."""

    kind: ClassVar[ErrorKind] = "server"
    retryable = True


class NetworkFailed(AgentError):
    """There is no connection, or it broke."""

    kind: ClassVar[ErrorKind] = "network"
    retryable = True


class TimedOut(AgentError):
    """There was no answer, or no progress, within the limit."""

    kind: ClassVar[ErrorKind] = "timeout"
    retryable = True


class ProtocolFailed(AgentError):
    """The answer is not what the protocol promises."""

    kind: ClassVar[ErrorKind] = "protocol"
    retryable = True


class Truncated(ProtocolFailed):
    """A stream ended without its end marker."""

    kind: ClassVar[ErrorKind] = "truncated"


class UnsupportedContent(AgentError):
    """The agent cannot carry a part of the message; raised before any model call."""

    kind: ClassVar[ErrorKind] = "unsupported"


class ToolFailed(AgentError):
    """A tool broke in a way that the model cannot mend."""

    kind: ClassVar[ErrorKind] = "tool"


class LimitReached(AgentError):
    """A limit of the turn (model calls, tool calls, tokens) is used up."""

    kind: ClassVar[ErrorKind] = "limit"


class AgentCrashed(AgentError):
    """The agent's own code raised something that its adapter did not foresee."""

    kind: ClassVar[ErrorKind] = "crash"


class WorkerCrashed(AgentCrashed):
    """The process that the agent runs in ended, or was killed, in the middle of a turn."""

    kind: ClassVar[ErrorKind] = "worker_crashed"
    retryable = True


_BY_KIND: dict[ErrorKind, type[AgentError]] = {
    error.kind: error
    for error in (
        AuthFailed,
        PermissionDenied,
        NotFound,
        BadRequest,
        ContextOverflow,
        RateLimited,
        ServerFailed,
        NetworkFailed,
        TimedOut,
        ProtocolFailed,
        Truncated,
        UnsupportedContent,
        ToolFailed,
        LimitReached,
        AgentCrashed,
        WorkerCrashed,
    )
}


def error_of_kind(kind: ErrorKind) -> type[AgentError]:
    """The class that stands for `kind`: what a journal or a wire names is raised again by it."""
    return _BY_KIND[kind]


def error_words(error: BaseException) -> str:
    """What an exception says; nothing where it is foreign code that fails to say it."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - its own words must not hide that it was raised
        return ""
