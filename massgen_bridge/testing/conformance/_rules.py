"""Rules for the adapter's specification, and for the tests of this suite."""

# ruff: noqa: D205, S101 - tests assert, and their guarantees take several lines

from __future__ import annotations

import json
import re
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from massgen_bridge.connection import ModelTraits
from massgen_bridge.plugins import source_files
from massgen_bridge.testing.agents import collect, connection_to, turn
from massgen_bridge.testing.conformance._base import ConformanceBase
from massgen_bridge.testing.servers import ModelServer

__all__ = ["RuleTests"]

_SUITE = __name__.rpartition(".")[0]
_IMPORT = """
import json, pathlib, sys
sys.path[:] = json.loads(sys.argv[1])
from massgen_bridge.plugins.importing import load_module
module = load_module(sys.argv[2], pathlib.Path.cwd())
list(getattr(module, "bridge_adapters", tuple)())
print(json.dumps(sorted(sys.modules.keys() & set(json.loads(sys.argv[3])))))
"""


class RuleTests(ConformanceBase):
    """An adapter says truly what it is, and its tests leave nothing out in silence."""

    def test_the_specification_is_well_formed(self) -> None:
        """The kind is a plain name, the summary one line, and each requirement has a floor:
        without one, a resolver falls back to versions that are years old. The framework is one of
        those. What needs a model has a wire protocol to reach it by.
        """
        spec = self.adapter()
        assert re.fullmatch(r"[a-z][a-z0-9_-]*", spec.kind), (
            f"the kind {spec.kind!r} is no plain name: a-z first, then a-z, 0-9, _ and -"
        )
        assert spec.summary.strip(), "the summary is empty: say in one line what the agent is"
        assert "\n" not in spec.summary, "the summary has more than one line"
        assert spec.protocols or not spec.needs_model, "a model is reached by a protocol"
        for requirement in spec.requires:
            assert ">=" in requirement, (
                f"{requirement!r} has no floor, so it resolves to any age: write {requirement}>=…"
            )
        names = [re.split(r"[^\w.-]", one)[0] for one in spec.requires]
        assert spec.framework in {None, *names}, (
            f"the framework {spec.framework!r} is none of the distributions in 'requires'"
        )

    def test_the_options_forbid_what_they_do_not_know(self) -> None:
        """A misspelt option is an error, and every option has a description: both show in the
        JSON Schema of the options.
        """
        options = self.adapter().options
        options.model_validate(self.options())
        schema = options.model_json_schema()
        assert schema.get("additionalProperties") is False, (
            "a misspelt option is taken: derive the options from NoOptions, or give their class "
            'model_config = ConfigDict(extra="forbid")'
        )
        with pytest.raises(ValidationError):
            options.model_validate({**self.options(), "no_such_option": 1})
        bare = [
            name
            for name, described in schema.get("properties", {}).items()
            if not described.get("description")
        ]
        assert bare == [], (
            "these options have no description: give them one by Field(description=...)"
        )

    def test_options_that_import_code_are_named(self) -> None:
        """What `imports_code` names are options; the host asks for trust where they are used."""
        spec = self.adapter()
        assert set(spec.imports_code) <= spec.options.model_fields.keys()

    @pytest.mark.parametrize("model", ["any", "weak", "none"])
    def test_options_and_model_only_narrow_the_capabilities(self, model: str) -> None:
        """The capabilities of a specification are what its agents can do at best: whatever the
        options and the model, no agent claims more.
        """
        spec = self.adapter()
        if spec.refine is None:
            return
        traits = {
            "any": ModelTraits(inputs=frozenset(spec.capabilities.inputs)),
            "weak": ModelTraits(tools=False, structured=False, inputs=frozenset()),
            "none": None,
        }[model]
        able = spec.refine(spec.options.model_validate(self.options()), traits)
        for name in ("streaming", "tools", "structured", "history"):
            best = getattr(spec.capabilities, name)
            assert best or not getattr(able, name), f"{name!r} is claimed by refine alone"
        assert able.inputs <= spec.capabilities.inputs
        assert able.tool_media <= spec.capabilities.tool_media & able.inputs

    async def test_the_suite_is_the_one_for_this_agent(self) -> None:
        """An agent that calls a model belongs into `ModelAgentConformance`; here, one that is
        given a connection makes no use of it.
        """
        spec = self.adapter()
        assert not spec.needs_model, "subclass ModelAgentConformance: this agent needs a model"
        for protocol in spec.protocols:
            with ModelServer() as server:
                connection = connection_to(server.url, protocol=protocol)
                async with self.agent(connection) as agent:
                    await agent.run(turn(self.question()), collect())
                assert server.calls == 0, "subclass ModelAgentConformance: this agent uses a model"

    def test_importing_the_adapter_does_not_import_its_framework(self) -> None:
        """A listing of all kinds must not take seconds: the packages that `requires` names are
        imported when an agent is made, not with the adapter's module.
        """
        spec = self.adapter()
        wanted = {_name_in(one) for one in spec.requires}
        framework = _modules_of(wanted)
        if not framework and self.isolation == "environment":
            return  # it was imported without
        assert bool(framework) == bool(wanted), f"{wanted} is not installed"
        package = _importable(spec.factory.__module__.partition(".")[0])
        arguments = [json.dumps(sys.path), package, json.dumps(framework)]
        done = subprocess.run(  # noqa: S603 - our own code by the running interpreter
            [sys.executable, "-c", _IMPORT, *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{package!r} cannot be imported:\n{done.stderr}"
        assert json.loads(done.stdout.splitlines()[-1]) == [], (
            f"importing {package!r} imports these of its framework; import them where an agent is "
            "made, in the factory"
        )

    def test_no_test_of_the_suite_is_weakened(self) -> None:
        """A test is left as it is, or it fails as expected for a reason that is written down: in
        `expected_failures()`, or as `xfail(reason=...)` on a test that is overridden. Nothing is
        skipped, and an expected failure that passes is an error.
        """
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


def _importable(package: str) -> str:
    """The package, or the file of a plugin that is one and was loaded by its path."""
    return package if source_files(package, Path.cwd()) else str(sys.modules[package].__file__)


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


def _name_in(requirement: str) -> str:
    """The name of the distribution that a requirement is for."""
    return _normal(re.split(r"[^A-Za-z0-9._-]", requirement)[0])


def _modules_of(wanted: set[str]) -> list[str]:
    """The modules of some distributions; one that has none stands for those that it requires."""
    holders: dict[str, set[str]] = {}
    for module, names in packages_distributions().items():
        for name in names:
            holders.setdefault(_normal(name), set()).add(module)
    found: set[str] = set()
    for name in wanted:
        if name not in holders:
            with suppress(PackageNotFoundError):
                found |= {
                    module
                    for one in requires(name) or ()
                    if "extra ==" not in one
                    for module in holders.get(_name_in(one), ())
                }
        found |= holders.get(name, set())
    return sorted(found)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
