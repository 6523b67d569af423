"""Lengths of time as options take them."""

from __future__ import annotations

import re
from datetime import timedelta

from massgen_bridge.cli._output import BadUsage

__all__ = ["duration"]

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def duration(text: str, option: str) -> timedelta:
    """Read a length of time such as `30d`.

    Args:
        text: What was given.
        option: The option that it was given to.

    Raises:
        BadUsage: It is none.
    """
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise BadUsage(
            f"{option}: expected a number with s, m, h, d or w, such as 30d; found {text!r}"
        )
    try:
        return timedelta(**{_UNITS[found[2]]: float(found[1])})
    except OverflowError:
        raise BadUsage(f"{option}: {text!r} is too long ago") from None
