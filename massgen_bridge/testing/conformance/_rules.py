"""Rules for the adapter's specification, and for the tests of this suite."""

# ruff: noqa: S101 - tests assert

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from typing import Any

import pytest
from pydantic import ValidationError

from massgen_bridge.testing.conformance._base import ConformanceBase

__all__ = ["RuleTests"]

_SUITE = __name__.rpartition(".")[0]
_IMPORT = """
import json, sys
module = __import__(sys.argv[1], fromlist=["bridge_adapters"])
list(getattr(module, "bridge_adapters", tuple)())
print(json.dumps(sorted(sys.modules.keys() & set(json.loads(sys.argv[2])))))
"""


class RuleTests(ConformanceBase):
    """An adapter says truly what it is."""

    def test_the_specification_is_well_formed(self) -> None:
        """The kind is a plain name, and what the framework needs has floors."""
        spec = self.adapter()
        assert re.fullmatch(r"[a-z][a-z0-9_-]*", spec.kind), spec.kind
        assert spec.summary.strip()
        assert "\n" not in spec.summary
        assert spec.protocols, "this suite is for agents that use a model"
        for requirement in spec.requires:
            assert ">=" in requirement, f"{requirement!r} has no floor: it resolves to any age"

    def test_the_options_forbid_what_they_do_not_know(self) -> None:
        """A misspelt key is an error, and every key is explained."""
        options = self.adapter().options
        options.model_validate(self.options())
        with pytest.raises(ValidationError):
            options.model_validate({**self.options(), "no_such_option": 1})
        schema = options.model_json_schema()
        assert schema["additionalProperties"] is False
        bare = [
            name
            for name, described in schema.get("properties", {}).items()
            if not described.get("description")
        ]
        assert bare == [], "give these a description"

    def test_options_that_import_code_are_named(self) -> None:
        """Trust is asked for where, and only where, options hold import paths."""
        spec = self.adapter()
        assert set(spec.imports_code) <= spec.options.model_fields.keys()

    def test_importing_the_adapter_does_not_import_its_framework(self) -> None:
        """A listing of all kinds must not take seconds."""
        spec = self.adapter()
        wanted = {_normal(re.split(r"[^A-Za-z0-9._-]", one)[0]) for one in spec.requires}
        framework = [
            package
            for package, names in packages_distributions().items()
            if wanted & {_normal(name) for name in names}
        ]
        assert bool(framework) == bool(wanted), f"{wanted} is not installed"
        package = spec.factory.__module__.partition(".")[0]
        arguments = [package, json.dumps(framework)]
        done = subprocess.run(  # noqa: S603 - our own code by the running interpreter
            [sys.executable, "-c", _IMPORT, *arguments], capture_output=True, text=True, check=True
        )
        assert json.loads(done.stdout.splitlines()[-1]) == []

    def test_no_test_of_the_suite_is_weakened(self) -> None:
        """A test fails as expected and for a reason, or it is left as it is."""
        for name, reason in self.expected_failures().items():
            assert _in_suite(type(self), name.partition("[")[0]), f"there is no {name}"
            assert reason.strip(), f"say why {name} is expected to fail"
        for one in type(self).__mro__:
            if one.__module__.startswith(_SUITE):
                continue
            marks = {mark.name for mark in _marks(one.__dict__.get("pytestmark", ()))}
            weak = marks & {"skip", "skipif", "xfail"}
            assert not weak, f"{one.__name__} is marked with {weak}: mark single tests"
            for name, test in one.__dict__.items():
                if name.startswith("test_") and _in_suite(type(self), name):
                    assert _expects_failure(test), f"{name} is overridden without xfail(reason=…)"


def _expects_failure(test: object) -> bool:
    marks = _marks(getattr(test, "pytestmark", ()))
    reasons = [mark.kwargs.get("reason") for mark in marks if mark.name == "xfail"]
    return any(reasons) and not any(mark.name.startswith("skip") for mark in marks)


def _in_suite(suite: type, name: str) -> bool:
    return any(name in one.__dict__ for one in suite.__mro__ if one.__module__.startswith(_SUITE))


def _marks(marks: Any) -> list[pytest.Mark]:
    """What `pytestmark` holds: one mark or several, with or without its decorator."""
    found = marks if isinstance(marks, list | tuple) else [marks]
    return [mark.mark if isinstance(mark, pytest.MarkDecorator) else mark for mark in found]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
