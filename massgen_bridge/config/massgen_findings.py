"""What is to be told of one of MassGen's files: each sort once, with the lines that it is about."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from massgen_bridge.config.source import dotted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from massgen_bridge.config.problems import Problems
    from massgen_bridge.config.source import KeyPath, Source

__all__ = ["Findings"]


@dataclass
class Findings:
    """What was found in a file.

    Attributes:
        problems: Gets what is wrong with it.
        source: The file.
        dropped: Paths of keys that have no meaning here.
        passed: Paths of keys that go to the model's server as they are.
        retired: Paths of search parameters that xAI no longer takes.
        later: Paths of what is known and cannot be read yet.
    """

    problems: Problems
    source: Source
    dropped: list[KeyPath] = field(default_factory=list)
    passed: list[KeyPath] = field(default_factory=list)
    retired: list[KeyPath] = field(default_factory=list)
    later: list[KeyPath] = field(default_factory=list)

    def refuse(self) -> None:
        """Raise what is wrong, with all that cannot be read yet as one problem.

        Raises:
            InvalidConfig: There is something.
        """
        if self.later:
            self.problems.add(
                self.later[0],
                f"this MassGen file has what cannot be read yet: {self._listed(self.later)}; take "
                "it out, or write the agents as those of a configuration with 'version: 1', whose "
                "kinds 'massgen-bridge adapters' lists",
                at_key=True,
            )
        self.problems.raise_any()

    def warnings(self) -> Iterator[str]:
        """What a user should know of how the file is read, one text for each sort."""
        label = self.source.label or "the configuration"
        begin = f"{label}: read as a MassGen file, since it has no 'version: 1';"
        if self.dropped:
            where = self._listed(self.dropped)
            yield f"{begin} without a meaning here, and left out: {where}"
        if self.passed:
            where = self._listed(self.passed)
            yield f"{begin} not known here, and sent to the model's server as they are: {where}"
        if self.retired:
            where = self._listed(self.retired)
            yield (
                f"{begin} xAI takes no search parameters any more, so its own tool 'web_search' "
                f"stands in for them: {where}"
            )

    def _listed(self, paths: Iterable[KeyPath]) -> str:
        """The keys; one that several agents have is named once, with all its lines."""
        same: dict[str, list[KeyPath]] = {}
        for path in paths:
            within = path[2:] if path[0] == "agents" else path
            same.setdefault(dotted(within) + self._value(path), []).append(path)
        return ", ".join(self._told(name, found) for name, found in same.items())

    def _told(self, name: str, paths: list[KeyPath]) -> str:
        named = f"{name} of {len(paths)} agents"
        if len(paths) == 1:
            named = dotted(paths[0]) + self._value(paths[0])
        lines = [str(place.line) for path in paths if (place := self.source.keys.get(path))]
        where = f" (line{'s' if len(lines) > 1 else ''} {', '.join(lines)})" if lines else ""
        return named + where

    def _value(self, path: KeyPath) -> str:
        """What stands there, where the key alone tells nothing."""
        if path[-1] not in {"api_type", "type"}:
            return ""
        value: Any = self.source.data
        for part in path:
            value = value[part]
        return f" {value!r}"
