"""What the headers of an answer say of the quota that is left, as a wait before the next call.

Quotas fill up steadily, and their reset is when they are full again (OpenAI, Azure OpenAI, Groq,
Cerebras, xAI and Anthropic have it so), so that a part of that time is enough for one more call.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["quota_wait_s"]

_LONGEST_S: Final = 60.0
# What a call is likely to need: one that needs more is refused with a Retry-After of its own.
_CALL_TOKENS: Final = 2000.0
_MARK: Final = b"ratelimit-"
_NAMES: Final = (
    re.compile(r"x-ratelimit-(?P<what>limit|remaining|reset)-(?P<of>(?:requests|tokens)[a-z_-]*)"),
    re.compile(r"anthropic-ratelimit-(?P<of>[a-z-]+)-(?P<what>limit|remaining|reset)"),
)
_DURATION: Final = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|[dhms]))+")
_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|[dhms])")
_UNITS: Final[Mapping[str, float]] = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_NUMBER: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]+)?")


def quota_wait_s(headers: Iterable[tuple[bytes, bytes]]) -> float:
    """Seconds until a provider is likely to have room for one more call.

    Args:
        headers: Those of its answer, in any case of letters.

    Returns:
        0 where something is left, and where they say nothing, or nothing that can be understood;
        so it is for waits of more than a minute, which the provider's own refusal tells of.
    """
    quotas: dict[str, dict[str, str]] = {}
    date = ""
    for raw, value in headers:
        name = raw.lower()
        if name == b"date":
            date = value.decode("latin-1")
        elif _MARK in name:
            _sort(name.decode("latin-1"), value.decode("latin-1").strip(), quotas)
    spent = {of: told for of, told in quotas.items() if _number(told.get("remaining", "")) == 0}
    waits = [_wait_s(of, told, date) for of, told in spent.items()]
    return max((wait for wait in waits if wait <= _LONGEST_S), default=0.0)


def _sort(name: str, value: str, quotas: dict[str, dict[str, str]]) -> None:
    for form in _NAMES:
        if match := form.fullmatch(name):
            quotas.setdefault(match["of"], {})[match["what"]] = value


def _wait_s(of: str, told: Mapping[str, str], date: str) -> float:
    full_s = _seconds(told.get("reset", ""), date)
    most = _number(told.get("limit", ""))
    if full_s is None or most == 0:  # a quota of nothing is none
        return 0.0
    needed = _CALL_TOKENS if "tokens" in of else 1.0
    return full_s if most is None else full_s * min(1.0, needed / most)


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def _seconds(reset: str, date: str) -> float | None:
    """Seconds until a reset: a duration, or a moment by the provider's own clock."""
    if (number := _number(reset)) is not None:
        return number
    if _DURATION.fullmatch(reset):
        return sum(float(count) * _UNITS[unit] for count, unit in _PART.findall(reset))
    try:
        moment = datetime.fromisoformat(reset)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, moment.timestamp() - _now(date))


def _now(date: str) -> float:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return time.time()
