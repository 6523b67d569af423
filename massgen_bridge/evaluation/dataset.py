"""Data sets: questions with what is expected of their answers, one JSON object a line."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from massgen_bridge.config.problems import Problems, parse
from massgen_bridge.config.source import KeyPath, Place, Source
from massgen_bridge.errors import ConfigError, MediaError
from massgen_bridge.evaluation.graders import ChoiceGrader, Grader, grade, mistake
from massgen_bridge.media.given import is_address, message_of, part_of
from massgen_bridge.messages import JsonValue, Message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Dataset", "Question", "builtin_datasets", "read_dataset"]

_BUILTIN: Final = "builtin:"
_FOLDER = Path(__file__).with_name("data")
_MOST_CHOICES = 26
_LETTER_ALONE = "Answer with the letter alone."


class Question(BaseModel):
    """A line of a data set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="Its name, unique in the file; the number of its line by default.",
    )
    question: str = Field(min_length=1, description="What is asked, word for word.")
    expected: JsonValue = Field(description="The right answer, in the form that the grader takes.")
    grader: Grader = Field(
        description="What compares: a grader's name, or a mapping with `type` and its options."
    )
    choices: tuple[str, ...] = Field(
        default=(),
        max_length=_MOST_CHOICES,
        description="For `choice`: the texts of the choices. They are put below the question as "
        "`A)`, `B)` and so on, with the request to answer with the letter alone.",
    )
    images: tuple[str, ...] = Field(
        default=(),
        description="Pictures that go along with it: files, relative to this one, or addresses.",
    )
    tags: tuple[str, ...] = Field(
        default=(), description="Groups that it belongs to; the report counts each by itself."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.choices and not isinstance(self.grader, ChoiceGrader):
            raise ValueError("'choices' belong to the grader 'choice'")
        if len(self.choices) == 1:
            raise ValueError("'choices' needs at least two texts")
        problem = mistake(self.grader, self.expected, len(self.choices))
        if problem is not None:
            raise ValueError(f"'expected' does not fit the grader {self.grader.type!r}: {problem}")
        return self

    @property
    def key(self) -> str:
        """Its id; every question of a data set that was read has one."""
        return self.id or ""

    @property
    def asked(self) -> str:
        """The whole text that agents get."""
        if not self.choices:
            return self.question
        lines = [f"{chr(ord('A') + n)}) {text}" for n, text in enumerate(self.choices)]
        return "\n".join((self.question, *lines, _LETTER_ALONE))

    def message(self) -> Message:
        """What agents get, with its pictures; reads them, so call it in a thread.

        Raises:
            MediaError: A picture is not there any more.
        """
        return message_of(self.asked, self.images)

    def is_right(self, answer: str | None) -> bool:
        """Whether an answer is right; none at all is wrong."""
        if answer is None:
            return False
        return grade(self.grader, self.expected, answer, self.choices)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Questions, in the order of their file.

    Attributes:
        name: The file, or the name of a built-in data set.
        digest: SHA-256 of the file and of the pictures that it names, in hex.
        questions: All of them.
    """

    name: str
    digest: str
    questions: tuple[Question, ...]

    def chosen(self, limit: int | None, seed: int | None) -> tuple[Question, ...]:
        """The first questions, of the file or in the random order that a seed gives.

        Args:
            limit: How many; None for all. A larger number keeps the questions of a smaller one.
            seed: Of the random order; None for the order of the file.
        """
        questions = list(self.questions)
        if seed is not None:
            random.Random(seed).shuffle(questions)  # noqa: S311 - a sample, no secret
        return tuple(questions[:limit])


def builtin_datasets() -> tuple[str, ...]:
    """The names of the data sets that come along."""
    return tuple(sorted(f"{_BUILTIN}{file.stem}" for file in _FOLDER.glob("*.jsonl")))


def read_dataset(source: str) -> Dataset:
    """Read and check a data set.

    Args:
        source: A JSONL file, or the name of a built-in data set, such as `builtin:small`.

    Raises:
        InvalidConfig: Something is wrong with it; `problems` holds everything, with file and line.
        ConfigError: It cannot be read at all.
    """
    path = _path(source)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read the data set {source!r}: {error.strerror}") from None
    problems = Problems(Source(data=None, base_dir=Path.cwd(), file=source))
    pictures = sha256()
    around = _Pictures(path.parent, pictures.update)
    questions = tuple(_questions(content, source, problems, around))
    problems.raise_any()
    if not questions:
        raise ConfigError(
            "the data set has no question; expected a JSON object a line", file=source
        )
    shown = pictures.digest() if any(question.images for question in questions) else b""
    return Dataset(name=source, digest=sha256(content + shown).hexdigest(), questions=questions)


def _path(source: str) -> Path:
    if not source.startswith(_BUILTIN):
        return Path(source)
    if source not in builtin_datasets():
        known = ", ".join(builtin_datasets())
        raise ConfigError(f"there is no built-in data set {source!r} (known: {known})")
    return _FOLDER / f"{source.removeprefix(_BUILTIN)}.jsonl"


class _Pictures(NamedTuple):
    """Where pictures are, and what takes note of them."""

    folder: Path
    note: Callable[[bytes], None]

    def found(self, question: Question, file: str, line: int) -> Question:
        """The question with the paths of its pictures, which are there."""
        paths = []
        for name in question.images:
            try:
                part = part_of(name, kind="image", base_dir=self.folder)
            except MediaError as error:
                raise ConfigError(f"images: {error.message}", file=file, line=line) from None
            self.note(part.data or b"")
            paths.append(name if is_address(name) else str(self.folder / Path(name).expanduser()))
        return question.model_copy(update={"images": tuple(paths)})


def _questions(
    content: bytes, file: str, problems: Problems, pictures: _Pictures
) -> Iterator[Question]:
    seen: dict[str, int] = {}
    for line, text in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not text.strip():
            continue
        try:
            question = pictures.found(_question(text, file, line), file, line)
        except ConfigError as error:
            problems.take(error)
            continue
        if question.key in seen:
            first = f"{question.key!r} is taken by line {seen[question.key]}"
            problems.take(ConfigError(f"id: {first}; ids are unique", file=file, line=line))
        seen.setdefault(question.key, line)
        yield question


def _question(text: bytes, file: str, line: int) -> Question:
    try:
        data = json.loads(text.decode(), parse_constant=_no_number)
    except UnicodeDecodeError:
        raise ConfigError("the line is not UTF-8", file=file, line=line) from None
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"not JSON: {error.msg}", file=file, line=line, column=error.colno
        ) from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"not JSON: {error}", file=file, line=line) from None
    if not isinstance(data, dict):
        raise ConfigError(
            "expected an object with 'question', 'expected' and 'grader'", file=file, line=line
        )
    place: dict[KeyPath, Place] = {(): Place(line, 1)}
    problems = Problems(Source(data=data, base_dir=Path.cwd(), file=file, keys=place, values=place))
    question = parse(Question, data, (), problems)
    problems.raise_any()
    assert question is not None  # noqa: S101 - else there is a problem
    return question if question.id else question.model_copy(update={"id": str(line)})


def _no_number(name: str) -> Any:
    raise ValueError(f"expected a finite number, found {name}")
