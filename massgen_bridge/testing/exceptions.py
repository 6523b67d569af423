"""The exception classes of a framework or an SDK, so that none is forgotten.

import openai

for kind in exceptions_of("openai"):
    ...
"""

from __future__ import annotations

__all__ = ["exceptions_of"]


def exceptions_of(*packages: str) -> tuple[type[Exception], ...]:
    """Every exception class that the packages define in the modules imported so far, by name.

    Warnings are none.

    Args:
        packages: Names of top-level packages.
    """
    found: set[type[Exception]] = set()
    waiting: list[type[Exception]] = [Exception]
    while waiting:
        for one in waiting.pop().__subclasses__():
            if one not in found and not issubclass(one, Warning):
                found.add(one)
                waiting.append(one)
    own = (one for one in found if one.__module__.partition(".")[0] in packages)
    return tuple(sorted(own, key=lambda one: (one.__name__, one.__module__)))
