"""The page of the JSON that `runs export` writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from massgen_bridge.export import RunExport
from pages.markdown import docstring
from pages.types import fields, models_in

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["page"]

_TOP = """\
# The form of an exported run

What `massgen-bridge runs export ID --format json` writes: one object, made from the records of a
run. Times are seconds since the start of the run, money is US dollars. Texts are as the journal has
them, without secrets, and otherwise as agents wrote them: escape them for where you show them.

`v` is the version of the form. Fields may be added within a version; one that changes its meaning
or goes away raises it. How to use it: [export a run](../how-to/export-a-run.md).

## RunExport

{text}

{fields}
"""


def page() -> str:
    """The page."""
    parts = [_TOP.format(text=docstring(RunExport).text, fields=fields(RunExport, in_json=True))]
    found: list[type[BaseModel]] = []
    pending = models_in(RunExport, in_json=True)
    while pending:
        model = pending.pop(0)
        if model not in found:
            found.append(model)
            pending += models_in(model, in_json=True)
    parts += [
        f"## {one.__name__}\n\n{docstring(one).text}\n\n{fields(one, in_json=True)}"
        for one in found
    ]
    return "\n\n".join(part.strip() for part in parts)
