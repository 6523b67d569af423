"""The page of data sets, from the models that check them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, get_args

from massgen_bridge.evaluation import Graded, Question, Report, builtin_datasets, read_dataset
from massgen_bridge.evaluation.graders import RULES
from pages.markdown import docstring, table
from pages.types import fields, models_in

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["page"]

_TOP = """\
# Data sets

The questions of `massgen-bridge eval`: a JSONL file in UTF-8, one JSON object a line. Empty lines
do not count; an unknown key, an unknown grader or an answer that does not fit its grader is an
error, told with file and line. How to use them:
[does the team beat its best agent?](../how-to/find-out-whether-a-team-pays.md)

```json
{"question": "What is the capital of Japan?", "expected": "Tokyo", "grader": "contains"}
```
"""

_GRADERS = """\
## Graders

`"grader": "number"` is short for `"grader": {"type": "number"}`; the options stand beside `type`.
Graders see the text of an answer alone. They do not understand it: `contains` finds *Tokyo* in *not
Tokyo*, too.
"""

_EXPECTED = {
    "exact": "a text, or a list of texts of which one is enough",
    "contains": "a text, or a list of texts of which one is enough",
    "number": "a number",
    "choice": "a capital letter",
    "regex": "a pattern of Python's `re`",
    "json": "any value",
}
_NOTES = {
    "exact": "Forms of Unicode, case, runs of white space, and quotation marks, asterisks, "
    "brackets and punctuation around the whole do not count.",
    "contains": "Case does not count, and words are whole: *May* is not in *Maybe*.",
    "number": "Numbers are read as English writes them: `-1,234.5`, `2e3`; signs of currency and "
    "units around them do not matter, and digits within a word, as in *H2O*, are no number.",
    "choice": "Taken in this order: the letter after *the answer is*, *option* or *choice* (the "
    "last one); a last or first line that is a letter alone; a letter that begins a line, as in "
    "`B) …`; the only one of the `choices` whose text is in the answer.",
    "regex": "It is looked for anywhere in the answer.",
    "json": "The whole answer, a fenced block in it, or its first object or list. `true` is not 1; "
    "the order of keys does not count, that of lists does.",
}

_RESULTS = """\
## Results

What `--save FILE` writes and `--output jsonl` prints: a line for each answer. The file also has a
first line that says what is evaluated (`"type": "evaluation"`), and one before each run
(`"type": "begun"`). Texts are as the journal has them, without secrets.

### Graded

{graded}

## The report

What `--output json` prints, and `--output jsonl` at the end.

### Report

{report}
"""


def page() -> str:
    """The page."""
    rows = [(f"`{name}`", _field(name)) for name in Question.model_fields]
    parts = [_TOP, table(("key", "meaning"), rows), _GRADERS, *_graders(), *_builtin()]
    parts.append(_RESULTS.format(graded=fields(Graded), report=fields(Report)))
    parts += [
        f"### {model.__name__}\n\n{docstring(model).text}\n\n{fields(model)}"
        for model in models_in(Report)
    ]
    return "\n\n".join(part.strip() for part in parts)


def _field(name: str) -> str:
    field = Question.model_fields[name]
    need = "Required. " if field.is_required() else ""
    return f"{need}{field.description}"


def _graders() -> Iterator[str]:
    for rule in get_args(RULES):
        name = rule.model_fields["type"].default
        options = [
            f"`{option}` ({json.dumps(field.default)} by default)"
            for option, field in rule.model_fields.items()
            if option != "type"
        ]
        said = f"`expected`: {_EXPECTED[name]}."
        said += f" Options: {', '.join(options)}." if options else ""
        yield f"### {name}\n\n{docstring(rule).text}\n\n{said}\n\n{_NOTES[name]}"


def _builtin() -> Iterator[str]:
    yield "## Built in"
    rows = []
    for name in builtin_datasets():
        questions = read_dataset(name).questions
        tags = sorted({tag for question in questions for tag in question.tags})
        rows.append((f"`{name}`", str(len(questions)), ", ".join(tags)))
    yield table(("name", "questions", "tags"), rows)
    yield "Their files are in `massgen_bridge/evaluation/data/`."
