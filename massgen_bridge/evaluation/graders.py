"""Graders: whether an answer, written as free text, is the right one."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from massgen_bridge.messages import JsonValue
from massgen_bridge.plugins.records import nearest

__all__ = [
    "RULES",
    "ChoiceGrader",
    "ContainsGrader",
    "ExactGrader",
    "Grader",
    "JsonGrader",
    "NumberGrader",
    "RegexGrader",
    "grade",
    "grader_names",
    "mistake",
]

_EDGES = " \t\n\"'`*_.,;:!?()[]{}«»„“”‘’"  # noqa: RUF001 - quotation marks as people write them
_NUMBER = re.compile(r"[-+]?(?=\.?\d)(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)?(?:\.\d+)?(?:[eE][-+]?\d+)?")
_NAMED = re.compile(
    r"\b(?:(?i:answer(?:\s+is\b|\s+is:|\s*[:=]))|(?i:option|choice))\s*:?[\s(\[\"'`*]*([A-Z])\b(?!')"
)
_ALONE = re.compile(r"[(\[\"'`*]*([A-Za-z])[)\]\"'`*]*[.):]*")
_LEADING = re.compile(r"[(\[\"'`*]*([A-Z])[\"'`*]*(?:[.):\]]|\s*[-–—]\s)")  # noqa: RUF001 - dashes
_FENCED = re.compile(r"```[a-zA-Z]*\n(.*?)```", re.DOTALL)


class _Grader(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ExactGrader(_Grader):
    """The answer is the expected text, but for case, white space and marks around it."""

    type: Literal["exact"] = "exact"


class ContainsGrader(_Grader):
    """The expected text stands in the answer, as whole words; `all`: each of several texts."""

    type: Literal["contains"] = "contains"
    all: bool = False


class NumberGrader(_Grader):
    """A number of the answer is the expected one.

    `tolerance` is the largest difference; `relative`, the largest as a share of the expected
    number. `pick` says which number of the answer counts.
    """

    type: Literal["number"] = "number"
    tolerance: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    relative: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    pick: Literal["first", "last"] = "last"

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if self.tolerance and self.relative:
            raise ValueError("'tolerance' and 'relative' cannot both be given")
        return self


class ChoiceGrader(_Grader):
    """The answer names the expected letter."""

    type: Literal["choice"] = "choice"


class RegexGrader(_Grader):
    """The expected pattern is found in the answer; `ignore_case` is usual."""

    type: Literal["regex"] = "regex"
    ignore_case: bool = True


class JsonGrader(_Grader):
    """The answer is, or holds, JSON of the expected value; `subset`: of at least these keys."""

    type: Literal["json"] = "json"
    subset: bool = False


RULES = ExactGrader | ContainsGrader | NumberGrader | ChoiceGrader | RegexGrader | JsonGrader
"""Every grader there is."""


def _by_name(given: Any) -> Any:
    """A grader's name alone stands for the grader without options."""
    if isinstance(given, BaseModel):
        return given
    name = given.get("type") if isinstance(given, dict) else given
    if name not in grader_names():
        known = ", ".join(grader_names())
        near = nearest(name, grader_names()) if isinstance(name, str) else ""
        raise ValueError(f"unknown grader {name!r}{near} (known: {known})")
    return {"type": given} if isinstance(given, str) else given


Grader = Annotated[RULES, Field(discriminator="type"), BeforeValidator(_by_name)]
"""A grader with its options; in a data set, its name alone, or a mapping with `type`."""


def grader_names() -> tuple[str, ...]:
    """The names of all graders."""
    return tuple(one.model_fields["type"].default for one in get_args(RULES))


def mistake(grader: Grader, expected: JsonValue, choices: int) -> str | None:
    """What is wrong with the expected answer for a grader; None where nothing is.

    Args:
        grader: The grader.
        expected: The expected answer.
        choices: How many choices the question offers; 0 where it lists none.
    """
    match grader:
        case ExactGrader() | ContainsGrader():
            texts = _texts(expected)
            if texts is None or not all(_plain(one) for one in texts):
                return "expected a text, or a list of texts, that hold more than punctuation"
        case RegexGrader():
            return _bad_pattern(expected)
        case NumberGrader():
            if isinstance(expected, bool) or not isinstance(expected, int | float):
                return f"expected a number, found {expected!r}"
        case ChoiceGrader():
            if not isinstance(expected, str) or not re.fullmatch("[A-Z]", expected):
                return f"expected one letter from A to Z, found {expected!r}"
            if choices and ord(expected) - ord("A") >= choices:
                return f"there are {choices} choices, so {expected!r} is none of them"
        case JsonGrader():
            pass
    return None


def _bad_pattern(expected: JsonValue) -> str | None:
    if not isinstance(expected, str) or not expected:
        return f"expected a pattern, found {expected!r}"
    try:
        re.compile(expected)
    except re.error as error:
        return f"expected a pattern; {expected!r} is none: {error}"
    return None


def grade(grader: Grader, expected: JsonValue, answer: str, choices: tuple[str, ...] = ()) -> bool:
    """Whether an answer is right.

    Args:
        grader: The grader.
        expected: The expected answer, free of any `mistake`.
        answer: What was answered.
        choices: The texts of the choices, where the question lists them.
    """
    match grader:
        case ExactGrader():
            return _plain(answer) in {_plain(one) for one in _texts(expected) or ()}
        case ContainsGrader(all=every):
            said = f" {_words(answer)} "
            found = [f" {_words(one)} " in said for one in _texts(expected) or ()]
            return all(found) if every else any(found)
        case NumberGrader() as rule:
            return _is_number(rule, float(str(expected)), answer)
        case ChoiceGrader():
            return bool(_letter(answer, choices) == expected)
        case RegexGrader(ignore_case=ignored):
            return _pattern(str(expected), ignored).search(answer) is not None
        case JsonGrader(subset=subset):
            agrees = _holds if subset else _same
            return any(agrees(expected, value) for value in _json_values(answer))


# --- texts --------------------------------------------------------------------------------------


def _texts(expected: JsonValue) -> list[str] | None:
    given = expected if isinstance(expected, list) else [expected]
    texts = [one for one in given if isinstance(one, str)]
    return texts if texts and len(texts) == len(given) else None


def _folded(text: str) -> str:
    # Twice: folding the case can undo what normalising did.
    once = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(unicodedata.normalize("NFKC", once).split())


def _plain(text: str) -> str:
    return _folded(text).strip(_EDGES)


def _words(text: str) -> str:
    """The words with single spaces between them; what joins letters to a word stays."""
    spaced = re.sub(r"[^\w.,+#%$€'/-]+", " ", _folded(text).replace("_", " "))
    return " ".join(filter(None, (word.strip(".,'-/") for word in spaced.split())))


@cache
def _pattern(text: str, ignore_case: bool) -> re.Pattern[str]:  # noqa: FBT001 - a key of the cache
    return re.compile(text, re.IGNORECASE if ignore_case else 0)


# --- numbers ------------------------------------------------------------------------------------


def _is_number(rule: NumberGrader, expected: float, answer: str) -> bool:
    found = list(_numbers(answer))
    if not found:
        return False
    number = found[-1] if rule.pick == "last" else found[0]
    bound = max(rule.tolerance, rule.relative * abs(expected))
    return math.isclose(number, expected, rel_tol=1e-9, abs_tol=bound)


def _numbers(text: str) -> Iterator[float]:
    """The numbers of a text, as English writes them: `-1,234.5`."""
    text = unicodedata.normalize("NFKC", text).replace("\u2212", "-")
    for match in _NUMBER.finditer(text):
        digits = match[0]
        before = text[match.start() - 1 : match.start()]
        if before.isalpha() or before == "_":  # the 2 of H2O
            continue
        if digits[0] in "+-" and (before.isdigit() or before == ")"):  # the hyphen of 3-4
            digits = digits[1:]
        yield float(digits.replace(",", ""))


# --- choices ------------------------------------------------------------------------------------


def _letter(answer: str, choices: tuple[str, ...]) -> str | None:
    """The letter that an answer settles on, None where that is not clear."""
    text = unicodedata.normalize("NFKC", answer).strip()
    named: list[str] = _NAMED.findall(text)
    if named:
        return named[-1].upper()
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for line in (*lines[-1:], *lines[:1]):
        alone = _ALONE.fullmatch(line)
        if alone:
            return alone[1].upper()
    leading = {match[1] for line in lines if (match := _LEADING.match(line))}
    if len(leading) == 1:
        return leading.pop()
    said = f" {_words(text)} "
    meant = [n for n, choice in enumerate(choices) if f" {_words(choice)} " in said]
    return chr(ord("A") + meant[0]) if len(meant) == 1 and not leading else None


# --- JSON ---------------------------------------------------------------------------------------


def _json_values(answer: str) -> Iterator[JsonValue]:
    """The whole answer as JSON, else what stands in fences, else the first object or list."""
    fenced = _FENCED.findall(answer)
    for text in (answer, *fenced):
        try:
            yield json.loads(text)
        except (ValueError, RecursionError):
            continue
    start = re.search(r"[{\[]", answer)
    if start and not fenced:
        try:
            yield json.JSONDecoder().raw_decode(answer, start.start())[0]
        except (ValueError, RecursionError):
            return


def _same(expected: JsonValue, value: JsonValue) -> bool:
    return _alike(expected, value, lambda mine, other: mine.keys() == other.keys())


def _holds(expected: JsonValue, value: JsonValue) -> bool:
    return _alike(expected, value, lambda mine, other: mine.keys() <= other.keys())


def _alike(
    expected: JsonValue,
    value: JsonValue,
    keys_fit: Callable[[dict[str, JsonValue], dict[str, JsonValue]], bool],
) -> bool:
    """Equal values; unlike in Python, true is no 1."""
    if isinstance(expected, dict) and isinstance(value, dict):
        return keys_fit(expected, value) and all(
            _alike(one, value[key], keys_fit) for key, one in expected.items()
        )
    if isinstance(expected, list) and isinstance(value, list):
        return len(expected) == len(value) and all(
            _alike(one, other, keys_fit) for one, other in zip(expected, value, strict=True)
        )
    if isinstance(expected, bool) or isinstance(value, bool):
        return expected is value
    return bool(expected == value)
