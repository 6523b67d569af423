"""What the plugin host tells about plugins: values for commands, reports and error texts.

What can be is a named tuple: Python makes its class in a quarter of the time, at each start.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from massgen_bridge.agent import Capabilities
from massgen_bridge.errors import error_words

__all__ = [
    "AdapterInfo",
    "AdapterOrigin",
    "ExtensionInfo",
    "ExtensionState",
    "HookFailure",
    "PluginInfo",
    "PluginSource",
    "TieDecision",
    "nearest",
    "one_line",
]

PluginSource = Literal["built-in", "bundled", "entry point", "configuration", "code"]

ExtensionState = Literal["installed", "bundled", "broken", "duplicate", "installable", "planned"]

_LONGEST_REASON = 300


class PluginInfo(NamedTuple):
    """A plugin, usable or not.

    Attributes:
        name: Its entry point's name, its module or file, or the name given from code.
        source: Where it came from.
        target: The module, file or class that holds its hooks.
        distribution: The distribution of its entry point.
        version: That distribution's version.
        hooks: The hooks that it implements, sorted.
        problems: Why it, or one of its hooks, cannot be used; empty when all is well.
    """

    name: str
    source: PluginSource
    target: str
    distribution: str | None = None
    version: str | None = None
    hooks: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ExtensionInfo:
    """Something that plugins register by name: an adapter, a tool, a strategy and so on.

    Attributes:
        name: Its name in a configuration.
        summary: One line for people; empty where it is broken.
        state: `installed`: ready. `bundled`: ready too; its code comes with the core, and is loaded
            when it is asked for. `broken` and `duplicate`: see `problem`. `installable`: known, see
            `install`. `planned`: announced, not to be had yet.
        distribution: What it comes from.
        version: The distribution's version, where it is installed.
        problem: Why it cannot be used.
        install: The command that installs it.
    """

    name: str
    summary: str
    state: ExtensionState
    distribution: str | None = None
    version: str | None = None
    problem: str | None = None
    install: str | None = None


@dataclass(frozen=True, kw_only=True)
class AdapterInfo(ExtensionInfo):
    """A kind of agent; what follows is known where it is installed or bundled.

    Attributes:
        source: Where its code comes from; None where it has none.
        capabilities: What its agents can do at best.
        requires: pip requirements of its framework.
        framework: The distribution among them whose version is the framework's.
        python: Which Python versions the framework runs on, as a version specifier.
        own_process: Whether agents usually run in a process of their own.
        aliases: Its other names, each with what is special about it.
    """

    source: PluginSource | None = None
    capabilities: Capabilities | None = None
    requires: tuple[str, ...] = ()
    framework: str | None = None
    python: str = ">=3.11"
    own_process: bool = False
    aliases: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """The value of `backend.type`."""
        return self.name

    @property
    def is_ready(self) -> bool:
        """Whether agents of this kind can be configured here."""
        return self.state in {"installed", "bundled"}


class AdapterOrigin(NamedTuple):
    """Where the code of an adapter comes from.

    Attributes:
        source: Where it was found.
        target: The module, file or class that holds its hooks.
        module: A module that another process can import to get the adapter too; None where there
            is none.
    """

    source: PluginSource
    target: str
    module: str | None


class HookFailure(NamedTuple):
    """A hook that raised or returned something impossible; it cost only itself."""

    plugin: str
    hook: str
    problem: str

    def __str__(self) -> str:
        return f"plugin {self.plugin!r}: {self.hook}: {self.problem}"


class TieDecision(NamedTuple):
    """The label that a plugin chose, and that plugin's name."""

    label: str
    by: str


def nearest(name: str, known: Iterable[str]) -> str:
    """The words `; did you mean 'x'?` for the most similar known name; empty if none is."""
    from difflib import get_close_matches  # noqa: PLC0415 - needed for errors alone

    by_folded = {other.casefold(): other for other in sorted(known)}
    matches = get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.6)
    return f"; did you mean {by_folded[matches[0]]!r}?" if matches else ""


def one_line(error: BaseException) -> str:
    """An exception in one line of bounded length."""
    text = " ".join(error_words(error).split())
    line = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return line if len(line) <= _LONGEST_REASON else f"{line[:_LONGEST_REASON]}…"
