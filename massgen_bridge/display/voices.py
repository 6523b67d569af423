"""What an agent writes and, where it is a group, what each of its members does."""

from __future__ import annotations

from dataclasses import dataclass, field

from massgen_bridge.display.text import TextLog, one_line

__all__ = ["Voices"]


@dataclass(kw_only=True)
class _Part:
    """What one voice said in one go."""

    source: str | None
    log: TextLog = field(default_factory=TextLog)

    def tail(self, limit: int) -> str:
        return f"{self.name}{self.log.tail(limit)}"

    @property
    def name(self) -> str:
        return "" if self.source is None else f"[{one_line(self.source)}] "


class Voices:
    """Text that grows piece by piece, each by a voice: a member's name, None for the agent itself.

    What a member says in one model call stays together, however that of others comes in between.
    Of a member whose calls are not told, what it says in one go does.
    """

    def __init__(self) -> None:
        self._parts: list[_Part] = []
        self._calling: dict[str, _Part | None] = {}
        self._marked = 0

    @property
    def length(self) -> int:
        """How much there is."""
        return sum(part.log.length for part in self._parts)

    @property
    def text(self) -> str:
        """All of it, one voice a line."""
        return "\n".join(f"{part.name}{part.log.text}" for part in self._parts)

    def add(self, piece: str, source: str | None) -> None:
        """Append a piece."""
        self._part(source).log.add(piece)

    def begin(self, source: str | None) -> None:
        """A model call of a voice begins."""
        if source is not None:
            self._calling[source] = None
            return
        self._marked = len(self._parts)
        if self._parts:
            self._parts[-1].log.mark()

    def void(self, source: str | None) -> None:
        """What it said in its model call does not count."""
        if source is None:
            del self._parts[self._marked :]
            if self._parts:
                self._parts[-1].log.rewind()
            return
        part = self._calling.get(source)
        if part is not None:
            self._parts.remove(part)
            self._calling[source] = None

    def end(self, source: str | None) -> None:
        """Its model call has ended."""
        if source is not None:
            self._calling.pop(source, None)

    def tail(self, limit: int) -> str:
        """The end: at least `limit` characters; those who speak at the same time share it."""
        speaking = [part for part in self._calling.values() if part is not None]
        if len(speaking) > 1:
            share = max(1, limit // len(speaking))
            return "\n".join(part.tail(share) for part in speaking)
        kept: list[str] = []
        for part in reversed(self._parts):
            if limit <= 0:
                break
            kept.append(part.tail(limit))
            limit -= part.log.length
        return "\n".join(reversed(kept))

    def _part(self, source: str | None) -> _Part:
        if source is not None and source in self._calling:
            part = self._calling[source]
            if part is None:
                part = self._calling[source] = self._new(source)
            return part
        last = self._parts[-1] if self._parts else None
        return last if last is not None and last.source == source else self._new(source)

    def _new(self, source: str | None) -> _Part:
        self._parts.append(_Part(source=source))
        return self._parts[-1]
