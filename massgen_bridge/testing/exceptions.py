"""The exception classes of a framework or an SDK, so that none is forgotten.

import openai

for kind in exceptions_of("openai"):
    ...
"""

from __future__ import annotations

__all__ = ["exceptions_of"]


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
