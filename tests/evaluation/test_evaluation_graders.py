from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from massgen_bridge.evaluation.dataset import Question
from massgen_bridge.evaluation.graders import RegexGrader, grader_names


def _right(grader: Any, expected: Any, answer: str, *choices: str) -> bool:
    question = Question.model_validate(
        {"question": "?", "grader": grader, "expected": expected, "choices": choices}
    )
    return question.is_right(answer)


@pytest.mark.parametrize(
    ("expected", "answer", "right"),
    [
        ("Paris", "  **paris**. ", True),
        ("Paris", "“Paris”", True),
        ("straße", "STRASSE", True),
        ("café", "cafe\u0301", True),
        ("New York", "new\n york", True),
        (["colour", "color"], "Color!", True),
        ("Paris", "It is Paris", False),
        ("Paris", "", False),
    ],
)
def test_exact_looks_past_case_space_and_marks(expected: Any, answer: str, right: bool) -> None:  # noqa: FBT001 - a table
    assert _right("exact", expected, answer) is right


@pytest.mark.parametrize(
    ("grader", "expected", "answer", "right"),
    [
        ("contains", "May", "It is *May*, of course.", True),
        ("contains", "May", "Maybe June.", False),
        ("contains", "New York", "in New-York city", False),
        ("contains", "New York", "in new  york, now", True),
        ("contains", ["puppy", "pup"], "a pup", True),
        ("contains", "C++", "C++ is it", True),
        ("contains", "C", "C++ is it", False),
        ("contains", "3.5", "about 3.5.", True),
        ({"type": "contains", "all": True}, ["red", "green"], "Red, amber, green", True),
        ({"type": "contains", "all": True}, ["red", "green"], "Red and amber", False),
    ],
)
def test_contains_finds_whole_words(grader: Any, expected: Any, answer: str, right: bool) -> None:  # noqa: FBT001 - a table
    assert _right(grader, expected, answer) is right


@pytest.mark.parametrize(
    ("grader", "expected", "answer", "right"),
    [
        ("number", 12, "7 + 5 = 12.", True),
        ("number", 12, "12, for 7 and 5", False),
        ({"type": "number", "pick": "first"}, 12, "12, for 7 and 5", True),
        ("number", 1234.5, "It costs $1,234.50.", True),
        ("number", -3, "\u22123 °C", True),
        ("number", -3, "3 °C", False),
        ("number", 4, "The range is 3-4", True),
        ("number", 2, "H2O has 3 atoms, so 2", True),
        ("number", 7, "H7", False),
        ("number", 0.5, ".5", True),
        ("number", 2000, "2e3", True),
        ("number", 3.3333, "3.33", False),
        ({"type": "number", "tolerance": 0.01}, 3.3333, "3.33", True),
        ({"type": "number", "relative": 0.1}, 200, "215", True),
        ({"type": "number", "relative": 0.1}, 200, "225", False),
        ("number", 5, "five", False),
        ("number", 1, "1,2", False),
    ],
)
def test_number_takes_numbers_as_english_writes_them(
    grader: Any,
    expected: Any,
    answer: str,
    right: bool,  # noqa: FBT001 - a table
) -> None:
    assert _right(grader, expected, answer) is right


_PLANETS = ("Mars", "Venus", "Jupiter")


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("C", True),
        ("(c).", True),
        ("**C**", True),
        ("C) Jupiter", True),
        ("The answer is C.", True),
        ("Answer: **C**", True),
        ("At first I thought the answer is A, but the answer is C", True),
        ("Jupiter is by far the largest.", True),
        ("It is a planet: Jupiter", True),
        ("Mars is small.\n\nC", True),
        ("B", False),
        ("Mars is smaller than Jupiter.", False),  # which of the two is meant cannot be told
        ("A) Mars\nB) Venus\nC) Jupiter", False),
        ("I cannot answer a question like that.", False),
        ("", False),
    ],
)
def test_choice_finds_the_letter_that_an_answer_settles_on(answer: str, right: bool) -> None:  # noqa: FBT001 - a table
    assert _right("choice", "C", answer, *_PLANETS) is right


@pytest.mark.parametrize(
    ("grader", "expected", "answer", "right"),
    [
        ("regex", r"\bparis\b", "In Paris!", True),
        ({"type": "regex", "ignore_case": False}, r"\bparis\b", "In Paris!", False),
        ("json", {"a": 1}, '{"a": 1}', True),
        ("json", {"a": 1}, 'Here: {"a": 1.0} as asked', True),
        ("json", {"a": 1}, '```json\n{"a": 1}\n```', True),
        ("json", {"a": 1}, '{"a": true}', False),
        ("json", {"a": 1}, '{"a": 1, "b": 2}', False),
        ({"type": "json", "subset": True}, {"a": 1}, '{"a": 1, "b": 2}', True),
        ("json", [1, 2], "[2, 1]", False),
        ("json", {"a": 1}, "no {json} here", False),
    ],
)
def test_patterns_and_json(grader: Any, expected: Any, answer: str, right: bool) -> None:  # noqa: FBT001 - a table
    assert _right(grader, expected, answer) is right


@example("E0", ("number", 1))
@given(
    answer=st.text(),
    case=st.sampled_from(
        [
            ("exact", "a"),
            ("contains", "a"),
            ("number", 1),
            ("choice", "A"),
            ("regex", "a"),
            ("json", 1),
        ]
    ),
)
def test_no_answer_breaks_a_grader(answer: str, case: tuple[str, Any]) -> None:
    grader, expected = case
    choices = ("one", "two") if grader == "choice" else ()
    assert _right(grader, expected, answer, *choices) in {True, False}


def test_no_answer_at_all_is_wrong() -> None:
    question = Question(question="?", expected=".*", grader=RegexGrader())
    assert not question.is_right(None)


def test_every_grader_is_tried_here() -> None:
    assert grader_names() == ("exact", "contains", "number", "choice", "regex", "json")
