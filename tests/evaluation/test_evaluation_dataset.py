from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pictures import png

from massgen_bridge.config import InvalidConfig
from massgen_bridge.errors import ConfigError
from massgen_bridge.evaluation import builtin_datasets, read_dataset
from massgen_bridge.evaluation.graders import grader_names
from massgen_bridge.messages import ImagePart


def _file(folder: Path, *lines: str | dict[str, Any]) -> str:
    path = folder / "questions.jsonl"
    texts = (one if isinstance(one, str) else json.dumps(one) for one in lines)
    path.write_text("\n".join(texts), encoding="utf-8")
    return str(path)


GOOD = {"question": "2 + 2?", "expected": 4, "grader": "number"}


def test_a_question_without_id_is_called_by_its_line(tmp_path: Path) -> None:
    found = read_dataset(_file(tmp_path, "\ufeff", GOOD, "", {**GOOD, "id": "four"}))
    assert [one.key for one in found.questions] == ["2", "four"]


def test_choices_are_put_below_the_question(tmp_path: Path) -> None:
    line = {"question": "Which?", "expected": "B", "grader": "choice", "choices": ["x", "y"]}
    (question,) = read_dataset(_file(tmp_path, line)).questions
    assert question.asked == "Which?\nA) x\nB) y\nAnswer with the letter alone."


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ({"question": "?", "expected": 1}, "the key 'grader' is missing"),
        ({**GOOD, "expectd": 1}, "unknown key; did you mean 'expected'?"),
        ({**GOOD, "grader": "nunber"}, "unknown grader 'nunber'; did you mean 'number'?"),
        ({**GOOD, "grader": {"tolerance": 1}}, "unknown grader None"),
        ({**GOOD, "grader": {"type": "number", "tolerance": -1}}, "grader.tolerance: expected"),
        ({**GOOD, "grader": {"type": "number", "tolerance": 1, "relative": 1}}, "cannot both"),
        ({**GOOD, "expected": "4"}, "expected a number, found '4'"),
        ({**GOOD, "grader": "exact"}, "expected a text"),
        ({**GOOD, "grader": "contains", "expected": "!!"}, "more than punctuation"),
        ({**GOOD, "grader": "regex", "expected": "("}, "expected a pattern"),
        ({**GOOD, "grader": "choice", "expected": "b"}, "one letter from A to Z"),
        (
            {**GOOD, "grader": "choice", "expected": "C", "choices": ["x", "y"]},
            "there are 2 choices, so 'C' is none of them",
        ),
        ({**GOOD, "choices": ["x", "y"]}, "belong to the grader 'choice'"),
        ({**GOOD, "question": ""}, "question: expected a longer text"),
        ("[1]", "expected an object"),
        ("{nope}", "not JSON"),
        ('{"question": NaN}', "expected a finite number"),
    ],
)
def test_a_mistake_is_told_with_file_and_line(
    tmp_path: Path, line: str | dict[str, Any], told: str
) -> None:
    file = _file(tmp_path, GOOD, line)
    with pytest.raises(InvalidConfig) as caught:
        read_dataset(file)
    (problem,) = caught.value.problems
    assert (problem.file, problem.line) == (file, 2)
    assert told in problem.message


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    file = _file(tmp_path, {**GOOD, "id": "a"}, "{", {**GOOD, "id": "a"}, {**GOOD, "tags": 1})
    with pytest.raises(InvalidConfig) as caught:
        read_dataset(file)
    assert [one.line for one in caught.value.problems] == [2, 3, 4]


@pytest.mark.parametrize("name", ["nowhere.jsonl", "builtin:nothing", "."])
def test_a_data_set_that_cannot_be_had_is_told(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        read_dataset(name)


def test_an_empty_file_is_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no question"):
        read_dataset(_file(tmp_path, "", " "))


def test_more_questions_hold_the_fewer_ones() -> None:
    found = read_dataset("builtin:small")
    few, more = found.chosen(5, 3), found.chosen(9, 3)
    assert more[:5] == few
    assert few != found.chosen(5, None) == found.questions[:5]
    assert found.chosen(None, 3) != found.chosen(None, 4)


@pytest.mark.parametrize("name", builtin_datasets())
def test_a_data_set_that_comes_along_is_sound(name: str) -> None:
    found = read_dataset(name)
    graders = Counter(one.grader.type for one in found.questions)
    assert 20 <= len(found.questions) <= 40
    assert set(graders) == set(grader_names())
    letters = Counter(str(one.expected) for one in found.questions if one.choices)
    assert max(letters.values()) <= sum(letters.values()) / 2  # no letter is a good guess
    for question in found.questions:
        assert question.tags
        expected = question.expected
        text = expected if isinstance(expected, str) else json.dumps(expected)
        if question.grader.type in {"exact", "number", "choice", "json"}:
            assert question.is_right(text)
        assert not question.is_right("I do not know.")


def test_pictures_belong_to_their_questions(tmp_path: Path) -> None:
    (tmp_path / "red.png").write_bytes(png())
    file = _file(tmp_path, {**GOOD, "images": ["red.png", "https://example.com/cat.png"]})
    found = read_dataset(file)
    (question,) = found.questions
    text, red, cat = question.message().parts
    assert isinstance(red, ImagePart)
    assert isinstance(cat, ImagePart)
    assert (text.type, red.data, cat.url) == ("text", png(), "https://example.com/cat.png")

    (tmp_path / "red.png").write_bytes(png(0, 0, 200))
    assert read_dataset(file).digest != found.digest
    (tmp_path / "red.png").unlink()
    with pytest.raises(ConfigError, match=r"images: cannot read '.*red.png'"):
        read_dataset(file)
