"""New plugin projects: the folder `templates` beside this package, under another name.

What all kinds of plugins share is in `templates/common`, the rest in a folder of the kind's name
(`model_adapter` for an adapter with a model).
The files hold placeholders that are names or words themselves, so that they can be read and
formatted like any others.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import massgen_bridge
from massgen_bridge.ballots import VOTE_TOOL
from massgen_bridge.cli._output import BadUsage
from massgen_bridge.plugins import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from massgen_bridge.plugins import ExtensionInfo, PluginHost

__all__ = ["DETAILS", "TEMPLATES", "Kind", "Project", "check_free", "check_name", "write"]

TEMPLATES = Path(__file__).parents[1] / "templates"

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LONGEST_NAME = 30
_PORT = 8765  # of the model server that examples are shown with
_PREFIXES = re.compile(r"^massgen[-_]?bridge[-_]")
# In YAML, or in older readers of it, these are no names.
_NO_NAMES = frozenset({"false", "no", "null", "off", "on", "true", "yes"})
_MAY_BE_THERE = frozenset({".git"})


class Kind(StrEnum):
    """What a plugin adds."""

    ADAPTER = "adapter"
    HOOK = "hook"
    TOOL = "tool"
    STRATEGY = "strategy"
    SINK = "sink"
    PROVIDER = "provider"


class Details(NamedTuple):
    """What differs between templates within a file that all of them have."""

    summary: str
    requires: tuple[str, ...] = ()
    test_extras: str = "testing"
    question: str = "Why learn Python?"
    address: str = ""  # the environment variable by which the example finds a model


DETAILS: Mapping[str, Details] = {
    "adapter": Details(
        "massgen-bridge adapter: agents of the kind {name}.",
        requires=("pydantic>=2.11",),
        question="Why is the sky blue?",
    ),
    "model_adapter": Details(
        "massgen-bridge adapter: agents of the kind {name}, each a model behind an SDK.",
        requires=("openai>=2.30",),
        address="MODEL_URL",
    ),
    "hook": Details("massgen-bridge hook: refuses answers that are too long."),
    "tool": Details("massgen-bridge tool: agents may call {name}.", question="How many words?"),
    "strategy": Details("massgen-bridge strategy: teams decide by {name}."),
    "sink": Details(
        "massgen-bridge sink: the records of runs go to {name}.", requires=("pydantic>=2.11",)
    ),
    "provider": Details(
        "massgen-bridge provider: models named {name}/….",
        test_extras="openai,testing",
        address="{NAME}_URL",
    ),
}
"""The templates by the names of their folders."""

_NOUNS = {Kind.ADAPTER: "agent kind", Kind.HOOK: "plugin"}


class Project(NamedTuple):
    """A project to be written."""

    template: str
    name: str
    author: str

    @property
    def distribution(self) -> str:
        """What pip calls it."""
        return f"massgen-bridge-{self.name.replace('_', '-')}"

    @property
    def example(self) -> tuple[str, ...]:
        """What to type to see its example; one that needs a model is given a server that echoes."""
        details = DETAILS[self.template]
        run = f'massgen-bridge run example.yaml "{details.question}"'
        if not details.address:
            return (run,)
        return (
            f"python -m massgen_bridge.testing.servers --port {_PORT} &",
            f"export {details.address.format(NAME=self.name.upper())}=http://127.0.0.1:{_PORT}/v1",
            run,
        )


def check_name(name: str) -> None:
    """Refuse a name that cannot stand for a module, a distribution and a key in YAML at once.

    Raises:
        BadUsage: It cannot; the nearest name that can is told.
    """
    if name in _NO_NAMES:
        raise BadUsage(f"the name {name!r} cannot be used: YAML does not take it for a name")
    if _NAME.fullmatch(name) and len(name) <= _LONGEST_NAME:
        return
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()
    words = re.sub(r"[^a-z0-9]+", "_", words).strip("_")
    nearest = _PREFIXES.sub("", words).lstrip("0123456789_")[:_LONGEST_NAME].rstrip("_")
    raise BadUsage(
        f"the name {name!r} cannot be used: expected lower-case letters, digits and single `_`, "
        f"beginning with a letter, at most {_LONGEST_NAME} characters"
        + (f"; for example {nearest!r}" if nearest else "")
    )


def check_free(kind: Kind, name: str, host: PluginHost) -> None:
    """Refuse a name that something else has already.

    Raises:
        BadUsage: An installed plugin or massgen-bridge itself has it, or will have it.
    """
    distribution = Project(kind, name, "").distribution
    noun = _NOUNS.get(kind, kind)
    for known in _known(kind, host):
        if known.name != name:
            continue
        if known.state == "planned":
            raise BadUsage(
                f"the {noun} {name!r} is planned by massgen-bridge itself: choose another"
            )
        whose = known.distribution or "massgen-bridge"
        told = "can be installed from" if known.state == "installable" else "is installed from"
        raise BadUsage(f"the {noun} {name!r} {told} {whose!r} already: choose another name")
    if distribution in {entry.distribution for entry in catalogue().values()}:
        raise BadUsage(f"{distribution!r} is massgen-bridge's own: choose another name")
    if kind is Kind.TOOL and name == VOTE_TOOL:
        raise BadUsage(f"the tool {name!r} is the one that agents vote by: choose another name")
    for plugin in host.plugins():
        if plugin.name == name:
            whose = plugin.distribution or plugin.target
            raise BadUsage(
                f"a plugin {name!r} is installed from {whose!r} already: choose another name"
            )


def _known(kind: Kind, host: PluginHost) -> tuple[ExtensionInfo, ...]:
    match kind:
        case Kind.ADAPTER:
            return host.adapters()
        case Kind.TOOL:
            return host.tools()
        case Kind.STRATEGY:
            return host.strategies()
        case Kind.SINK:
            return host.sinks()
        case Kind.PROVIDER:
            return host.providers()
        case Kind.HOOK:
            return ()


def write(project: Project, folder: Path) -> tuple[Path, ...]:
    """Write a project.

    Args:
        project: What to write.
        folder: Where to; it must not exist, or be empty but for a `.git`.

    Returns:
        The files, relative to the folder, sorted.

    Raises:
        BadUsage: The folder cannot be used. Nothing is overwritten.
    """
    values = _values(project)
    placeholders = re.compile("|".join(map(re.escape, values)))

    def filled(text: str) -> str:
        # All at once: what stands for one placeholder may hold the name of another.
        return placeholders.sub(lambda found: values[found[0]], text)

    files = {filled(path): filled(text) for path, text in _files(project.template)}
    try:
        if folder.exists() and {path.name for path in folder.iterdir()} - _MAY_BE_THERE:
            raise BadUsage(
                f"{str(folder)!r} is not empty, and nothing is overwritten: choose another"
            )
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        at = error.filename or folder
        raise BadUsage(f"cannot write to {str(at)!r}: {error.strerror}") from error
    return tuple(sorted(map(Path, files)))


def _files(template: str) -> Iterator[tuple[str, str]]:
    """Path and text of each file of a template, with its placeholders."""
    for root in (TEMPLATES / "common", TEMPLATES / template):
        for path in sorted(root.rglob("*")):
            # An installer may have compiled the modules among them.
            if path.is_file() and path.suffix != ".pyc":
                yield path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")


def _values(project: Project) -> Mapping[str, str]:
    """What each placeholder stands for."""
    details = DETAILS[project.template]
    core = _core_range(massgen_bridge.__version__)
    return {
        "your_name": project.name,
        "your-name": project.name.replace("_", "-"),
        "YOUR_NAME": project.name.upper(),
        "PLUGIN_SUMMARY": details.summary.format(name=project.name),
        "PLUGIN_EXAMPLE": "\n".join(f"$ {line}" for line in project.example),
        "PLUGIN_DEPENDENCIES": _strings([f"massgen-bridge{core}", *details.requires]),
        "PLUGIN_TEST_DEPENDENCIES": _strings([f"massgen-bridge[{details.test_extras}]"]),
        '"PLUGIN_AUTHOR"': json.dumps(project.author, ensure_ascii=False),
        "PLUGIN_AUTHOR": project.author,
        "PLUGIN_YEAR": str(datetime.now(tz=UTC).year),
    }


def _strings(values: Iterable[str]) -> str:
    return ", ".join(f'"{value}"' for value in values)


def _core_range(version: str) -> str:
    """The releases that a plugin written today can be expected to work with."""
    major, minor = (int(part) for part in version.split(".")[:2])
    ceiling = f"0.{minor + 1}" if major == 0 else str(major + 1)
    return f">={major}.{minor},<{ceiling}"
