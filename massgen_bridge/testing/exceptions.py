"""The exception classes of a framework or an SDK, so that none is forgotten, and what they become.

import openai

for kind in exceptions_of("openai"):
    ...
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from massgen_bridge.errors import (
    AgentError,
    AuthFailed,
    BadRequest,
    NetworkFailed,
    NotFound,
    PermissionDenied,
    RateLimited,
    ServerFailed,
    TimedOut,
)
from massgen_bridge.models.sdk_errors import model_call_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["STATUS_KINDS", "errors_of", "exceptions_of"]

_STATUS_KINDS: dict[int, type[AgentError]] = {
    400: BadRequest,
    401: AuthFailed,
    402: PermissionDenied,
    403: PermissionDenied,
    404: NotFound,
    405: BadRequest,
    408: TimedOut,
    409: ServerFailed,
    412: BadRequest,
    413: BadRequest,
    415: BadRequest,
    422: BadRequest,
    425: ServerFailed,
    429: RateLimited,
    431: BadRequest,
    499: NetworkFailed,
    500: ServerFailed,
    501: ServerFailed,
    502: ServerFailed,
    503: ServerFailed,
    504: ServerFailed,
    529: ServerFailed,
}
STATUS_KINDS: Final[Mapping[int, type[AgentError]]] = MappingProxyType(_STATUS_KINDS)
"""What HTTP statuses mean that model providers answer with."""


def errors_of(classes: Iterable[type[Exception]], *, sdk: str) -> dict[str, AgentError]:
    """What exceptions that come out of a model call are told as, by the names of their classes.

    They know nothing but their class, whose name is all that they can say.

    Args:
        classes: The SDK's exception classes.
        sdk: The SDK's package.
    """
    return {
        one.__name__: model_call_error(one.__new__(one), where="'here'", agent_id="agent", sdk=sdk)
        for one in classes
    }


def exceptions_of(*modules: str) -> tuple[type[Exception], ...]:
    """Every exception class that is defined in the modules, as far as they are imported, by name.

    Warnings are none.

    Args:
        modules: Names of modules or packages; a package stands for all that is in it.
    """
    found: set[type[Exception]] = set()
    waiting: list[type[Exception]] = [Exception]
    while waiting:
        for one in waiting.pop().__subclasses__():
            if one not in found and not issubclass(one, Warning):
                found.add(one)
                waiting.append(one)
    within = tuple(f"{module}." for module in modules)
    own = (one for one in found if f"{one.__module__}.".startswith(within))
    return tuple(sorted(own, key=lambda one: (one.__name__, one.__module__)))
