"""What is public breaks only where that was declared; see docs/explanation/versioning.md."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from public_api.comparing import Break, Declared, breaks, declared, problems, unreleased
from public_api.entry import Entry
from public_api.listing import MODULES, Entries, Listing, listed, read, written
from public_api.record import DECLARED, NOTHING, RECORD, record

ROOT = Path(__file__).parents[2]
IMPORTED = re.compile(r"^ *(?:from|import) (massgen_bridge(?:\.[\w.]+)?)(?= |$)", re.MULTILINE)
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()


@pytest.fixture(scope="module")
def now() -> Entries:
    return listed().entries


def test_nothing_public_breaks_without_being_declared(now: Entries) -> None:
    """Keep the old way beside the new one for two releases, or declare the break."""
    released = read(RECORD.read_text())
    meant = declared(DECLARED.read_text())
    left = problems(breaks(released.entries, now), meant, released, unreleased(CHANGELOG))
    assert left == [], f"see the top of {DECLARED.relative_to(ROOT)}; before a first release of "
    "these names, `nox -s record_api` is enough"


def test_everything_public_is_listed(now: Entries) -> None:
    for module in MODULES:
        names = __import__(module, fromlist=["__all__"]).__all__
        assert [name for name in names if f"{module}.{name}" not in now] == []
    words = {path.partition(" ")[0].partition(".")[0] for path in now}
    assert words >= {"command", "entry", "exit", "extra", "hook", "json", "massgen_bridge", "yaml"}


def test_what_adapters_and_templates_import_is_public() -> None:
    folders = (ROOT / "adapters", ROOT / "massgen_bridge" / "templates", ROOT / "examples")
    files = [
        file
        for folder in folders
        for file in folder.rglob("*.py")
        if not any(part.startswith(".") for part in file.relative_to(folder).parts)
    ]
    imported = {name for file in files for name in re.findall(IMPORTED, file.read_text())}
    assert len(imported) > 5
    assert imported <= set(MODULES)


def test_the_policy_names_the_public_modules() -> None:
    policy = (ROOT / "docs" / "explanation" / "versioning.md").read_text()
    assert [module for module in MODULES if f"`{module}`" not in policy] == []


# --- a copy of the package with planted changes --------------------------------------------------


class Plant(NamedTuple):
    """A change of one file, and the breaks that it is: none where it harms nobody."""

    file: str
    before: str
    after: str
    found: tuple[str, ...] = ()


SUITES = "massgen_bridge.testing.conformance"
PLANTS = {
    "a name that is gone": Plant(
        "massgen_bridge/__init__.py",
        '    "NoOptions",\n',
        "",
        ("massgen_bridge.NoOptions: the class is gone",),
    ),
    "a renamed field": Plant(
        "massgen_bridge/specs.py",
        "default_provider: str",
        "usual_provider: str",
        ("massgen_bridge.AdapterSpec.default_provider: the field is gone",),
    ),
    "another default": Plant(
        "massgen_bridge/agent.py",
        "default=16",
        "default=8",
        (
            "massgen_bridge.Limits.max_model_calls: was 16 by default, is 8",
            "yaml.agents[].limits.max_model_calls: was 16 by default, is 8",
        ),
    ),
    "a new argument that has to be given": Plant(
        "massgen_bridge/api.py",
        "    on_record: Callable[[Record], None] | None = None,\n"
        ') -> RunResult:\n    """Run a configuration on a question.\n',
        "    place: str,\n"
        "    on_record: Callable[[Record], None] | None = None,\n"
        ') -> RunResult:\n    """Run a configuration on a question.\n',
        ("massgen_bridge.arun(place): a new parameter that has to be given",),
    ),
    "an argument that may be left out": Plant(
        "massgen_bridge/api.py",
        "    create_environments: bool = False,\n) -> AsyncIterator[Record]:\n",
        '    create_environments: bool = False,\n    at: str = "",\n) -> AsyncIterator[Record]:\n',
    ),
    "a narrower argument": Plant(
        "massgen_bridge/testing/agents.py",
        "server: ModelServer | ModelServerProcess | str",
        "server: ModelServer | str",
        (
            (
                "massgen_bridge.testing.agents.connection_to(server): "
                "no longer takes ModelServerProcess"
            ),
        ),
    ),
    "a word less": Plant(
        "massgen_bridge/agent.py",
        '"tool", "refusal"]',
        '"tool"]',
        ("massgen_bridge.StopReason: no longer takes 'refusal'",),
    ),
    "a word more": Plant(
        "massgen_bridge/agent.py", '"video", "document"]', '"video", "document", "x"]'
    ),
    "an argument that a hook no longer has": Plant(
        "massgen_bridge/hookspecs.py",
        "def bridge_tool_call(turn: Turn, call: ToolCall)",
        "def bridge_tool_call(call: ToolCall)",
        ("hook bridge_tool_call(turn): the hook argument is gone",),
    ),
    "a further argument of a hook": Plant(
        "massgen_bridge/hookspecs.py",
        "def bridge_classify_error(kind: str,",
        "def bridge_classify_error(agent_id: str, kind: str,",
    ),
    "a method that agents lack": Plant(
        "massgen_bridge/agent.py",
        "    async def aclose(self) -> Any:\n",
        "    async def pause(self) -> None:\n"
        '        """Wait."""\n\n'
        "    async def aclose(self) -> Any:\n",
        ("massgen_bridge.Agent.pause: a new coroutine function that implementations lack",),
    ),
    "an error that is another": Plant(
        "massgen_bridge/errors.py",
        "class ContextOverflow(BadRequest)",
        "class ContextOverflow(AgentError)",
        ("massgen_bridge.ContextOverflow is a BadRequest: the base is gone",),
    ),
    "a result that may be missing": Plant(
        "massgen_bridge/events/_runs.py",
        "def require_answer(self) -> str:",
        "def require_answer(self) -> str | None:",
        ("massgen_bridge.RunResult.require_answer ->: may now be None",),
    ),
    "what has to be awaited no longer": Plant(
        "massgen_bridge/agent.py",
        "    async def __call__(self, call: ToolCall)",
        "    def __call__(self, call: ToolCall)",
        (
            (
                "massgen_bridge.ToolCaller.__call__: "
                "was a given coroutine function, is a given function"
            ),
        ),
    ),
    "a renamed option": Plant(
        "massgen_bridge/cli/run.py",
        '"--no-journal"',
        '"--forget"',
        ("command run --no-journal: the option is gone",),
    ),
    "a renamed key": Plant(
        "massgen_bridge/config/models.py",
        "orchestrator_timeout_seconds: Annotated",
        "seconds: Annotated",
        (
            "yaml.timeout_settings.orchestrator_timeout_seconds: the key is gone",
            "yaml.agents[].backend(team).timeout_settings.orchestrator_timeout_seconds: the key is gone",  # noqa: E501 - as it is told
        ),
    ),
    "a tighter bound": Plant(
        "massgen_bridge/agent.py",
        "max_tool_calls: int = Field(default=64, ge=0",
        "max_tool_calls: int = Field(default=64, ge=1",
        ("yaml.agents[].limits.max_tool_calls minimum 1: a bound that was not there",),
    ),
    "another exit code": Plant(
        "massgen_bridge/cli/__init__.py",
        "130 interrupted",
        "131 interrupted",
        ("exit code 130 interrupted: the exit code is gone",),
    ),
    "a renamed test of the suite": Plant(
        "massgen_bridge/testing/conformance/_turns.py",
        "def test_it_is_an_agent(",
        "def test_it_is_one(",
        (
            f"{SUITES}.AgentConformance.test_it_is_an_agent: the test is gone",
            f"{SUITES}.ModelAgentConformance.test_it_is_an_agent: the test is gone",
        ),
    ),
    "an extra that is gone": Plant(
        "pyproject.toml", "\nlocal = [", "\nown = [", ("extra local: the extra is gone",)
    ),
}


@pytest.fixture(scope="module")
def planted(now: Entries, tmp_path_factory: pytest.TempPathFactory) -> list[Break]:
    """The breaks of a copy of the package with every plant at once."""
    folder = tmp_path_factory.mktemp("copy")
    hidden = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "massgen_bridge", folder / "massgen_bridge", ignore=hidden)
    shutil.copy(ROOT / "pyproject.toml", folder)
    for plant in PLANTS.values():
        file = folder / plant.file
        text = file.read_text()
        assert text.count(plant.before) == 1, f"{plant.before!r} is not once in {plant.file}"
        file.write_text(text.replace(plant.before, plant.after))
    path = os.pathsep.join([str(folder), str(ROOT / "tests")])
    done = subprocess.run(
        [sys.executable, "-m", "public_api.listing"],
        env={**os.environ, "PYTHONPATH": path},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return breaks(now, read(done.stdout).entries)


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_change_is_found(name: str, planted: list[Break]) -> None:
    told = {str(one) for one in planted}
    assert set(PLANTS[name].found) <= told, told


def test_nothing_else_is_found(planted: list[Break]) -> None:
    assert {str(one) for one in planted} == {
        one for plant in PLANTS.values() for one in plant.found
    }


# --- entries -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("was", "now", "what"),
    [
        (Entry("parameter 1", "str", "''"), Entry("parameter 1", "str"), "has to be given now"),
        (Entry("parameter 1", "str"), Entry("parameter 1", "str", "''"), None),
        (Entry("parameter 1", "str"), Entry("parameter 2", "str"), "was a parameter 1"),
        (Entry("parameter 1", "str"), Entry("parameter by name", "str"), "was a parameter 1"),
        (Entry("parameter by name", "str"), Entry("parameter 1", "str"), None),
        (Entry("parameter 1", "str"), Entry("parameter 1", "str | int"), None),
        (Entry("result", "str"), Entry("result", "str | int"), "may now be int"),
        (Entry("result", "str | int"), Entry("result", "str"), None),
        (Entry("field", "str"), Entry("field", "str | None"), "may now be None"),
        (Entry("field", "A"), Entry("field", "A | B"), None),
        (Entry("field", "A | B"), Entry("field", "A"), "no longer takes B"),
        (Entry("hook argument", "A"), Entry("hook argument", "A | None"), "may now be None"),
        (Entry("hook result", "A | None"), Entry("hook result", "A"), "no longer takes None"),
        (Entry("option", "Literal['a', 'b']"), Entry("option", "Literal['a']"), "no longer takes"),
        (Entry("json field", '"a"'), Entry("json field", '"a" | "b"'), None),
        (Entry("json field", "1", "1"), Entry("json field", "2", "2"), "may now be 2"),
        (Entry("json field", "A | B"), Entry("json field", "A | B | C"), None),
        (Entry("json field", "string"), Entry("json field", "string | null"), "may now be null"),
        (Entry("constant", "", "1"), Entry("constant", "", "2"), "was 1 by default, is 2"),
        (Entry("hook"), Entry("hook (the first result counts)"), "was a hook"),
        (Entry("bound"), None, None),
        (Entry("class"), None, "the class is gone"),
    ],
)
def test_what_breaks_somebody(was: Entry, now: Entry | None, what: str | None) -> None:
    found = [one.what for one in breaks({"x": was}, {"x": now} if now else {})]
    assert len(found) == (1 if what else 0), found
    assert what is None or found[0].startswith(what)


def test_what_is_new_breaks_nobody_unless_it_is_asked_of_them() -> None:
    whole = {"m.f": Entry("function"), "m.f(x)": Entry("parameter 1", "str")}
    assert breaks({}, whole) == []
    assert breaks({"m.f": whole["m.f"]}, whole) == [
        Break("m.f(x)", "a new parameter that has to be given")
    ]


def test_a_further_variant_asks_nothing_of_those_that_were_there() -> None:
    old = {"yaml.x": Entry("key", "object")}
    key = {"yaml.x(new).model": Entry("key", "string")}
    assert breaks(old, old | key | {"yaml.x(new)": Entry("variant")}) == []
    variant = {"yaml.x(new)": Entry("variant")}
    assert breaks(old | variant, old | variant | key) == [
        Break("yaml.x(new).model", "a new key that has to be given")
    ]


def test_what_was_in_something_that_is_gone_is_not_listed_again() -> None:
    old = {"m.C": Entry("class"), "m.C.f": Entry("function"), "m.C.f(x)": Entry("parameter 1")}
    assert breaks(old, {}) == [Break("m.C", "the class is gone")]


# --- declarations and the record -----------------------------------------------------------------

RELEASED = Listing("0.2.0", {})
GONE = Break("massgen_bridge.run(config)", "the parameter is gone")
TOML = '[[break]]\npath = "massgen_bridge.run(config)"\nversion = "0.3.0"\nreason = "Merged."\n'


def test_a_break_that_is_declared_and_told_is_no_problem() -> None:
    notes = unreleased("## [Unreleased]\n- `config` of `run` went.\n\n## [0.2.0]\n- other\n")
    assert problems([GONE], declared(TOML), RELEASED, notes) == []
    assert problems([], [], RELEASED, "") == []


@pytest.mark.parametrize(
    ("found", "meant", "notes", "problem"),
    [
        ([GONE], [], "config", "the parameter is gone"),
        ([], declared(TOML), "config", "declared as broken, but it is not"),
        ([GONE], declared(TOML), "## nothing", "'config' is not in the change log"),
        ([GONE], [Declared(GONE.path, "0.2.0", "x")], "config", "0.2.0 is not after 0.2.0"),
        ([GONE], [Declared(GONE.path, "0.10.0", " ")], "config", "say why"),
    ],
)
def test_any_other_break_is_a_problem(
    found: list[Break], meant: list[Declared], notes: str, problem: str
) -> None:
    (told,) = problems(found, meant, RELEASED, notes)
    assert told.startswith("massgen_bridge.run(config): ")
    assert problem in told


def test_a_record_says_the_same_when_it_is_read() -> None:
    entries = {"m.f": Entry("function"), "m.f(x)": Entry("parameter 1", "str", "''")}
    assert read(written(Listing("1.2.3", entries))) == Listing("1.2.3", entries)


def test_a_record_follows_until_its_version_is_out(tmp_path: Path) -> None:
    version = listed().version
    (tmp_path / DECLARED.name).write_text(TOML)
    assert re.fullmatch(rf"recorded \d+ entries of {version}", record(tmp_path, "# Changes\n"))
    assert (tmp_path / DECLARED.name).read_text() == NOTHING
    assert declared(NOTHING) == []
    file = tmp_path / RECORD.name
    file.write_text(written(Listing(version, {"m.f": Entry("function")})))
    assert record(tmp_path, f"## [{version}] - 2026-01-01\n").startswith("refused: ")
    assert "m.f" in read(file.read_text()).entries
    file.write_text(written(Listing("0.0.1", {})))
    assert record(tmp_path, f"## [{version}] - 2026-01-01\n").startswith("recorded ")
