"""A user's own functions, which make what an agent works with."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from anyio import to_thread

from massgen_bridge.errors import AgentCrashed, ConfigError

__all__ = ["OwnFactory", "own_code"]

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@contextmanager
def own_code(option: str) -> Iterator[None]:
    """Tell of whatever a user's own code raises.

    Args:
        option: The option that named it, with its import path, such as `graph: app.py:make`.

    Raises:
        AgentCrashed: It raised.
    """
    try:
        yield
    except Exception as error:  # the user's own code may raise anything
        raise AgentCrashed(f"`{option}` raised {type(error).__name__}: {error}") from error


class OwnFactory:
    """A user's function, or class, that makes something, given what it asks for by name.

    Args:
        found: What the import path leads to.
        option: The option with the import path, such as `graph: app.py:make`.
        expected: What it should be, for errors.
        makes: What it makes, for errors.
        takes: What such a function may ask for, by parameter name.
        offered: Those of them that there are. The others are there where the agent has a model.

    Attributes:
        asked: The parameters by which it asks for something that there is.

    Raises:
        ConfigError: It cannot be called, or needs something that there is not.
    """

    def __init__(
        self,
        found: object,
        *,
        option: str,
        expected: str,
        makes: str,
        takes: Collection[str] = (),
        offered: Collection[str] = (),
    ) -> None:
        if not callable(found):
            raise ConfigError(f"`{option}` is a {type(found).__name__!r}; expected {expected}")
        self._function: Callable[..., Any] = found
        self._option = option
        try:
            parameters = inspect.signature(found).parameters.values()
        except (TypeError, ValueError) as error:
            raise ConfigError(f"`{option}` cannot be called: {error}") from error
        self.asked = tuple(
            one.name
            for one in parameters
            if one.name in offered and one.kind is not one.POSITIONAL_ONLY
        )
        for one in parameters:
            is_needed = one.default is one.empty and one.kind not in _VARIADIC
            if is_needed and one.name not in self.asked:
                raise ConfigError(f"`{option}` needs {one.name!r}; {_remedy(one, makes, takes)}")

    def make(self, offers: Mapping[str, Callable[[], Any]] | None = None) -> Any:
        """What it makes; blocks as long as the function does.

        Args:
            offers: Makes what it may ask for.

        Raises:
            AgentCrashed: It raised.
        """
        given = {name: (offers or {})[name]() for name in self.asked}
        with own_code(self._option):
            return self._function(**given)

    async def make_in_thread(self, offers: Mapping[str, Callable[[], Any]] | None = None) -> Any:
        """What it makes, async or not; in a thread, as making clients and the like may block.

        Args:
            offers: Makes what it may ask for.

        Raises:
            AgentCrashed: It raised.
        """
        made = await to_thread.run_sync(self.make, offers)
        if not inspect.isawaitable(made):
            return made
        with own_code(self._option):
            return await made


def _remedy(needed: inspect.Parameter, makes: str, takes: Collection[str]) -> str:
    if needed.name in takes:
        return "give the agent a model by `model`"
    what = ", ".join(takes) or "no arguments"
    return f"a function that makes {makes} can take {what}"
