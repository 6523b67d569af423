"""The pictures and the like of answers: what an agent made is saved, what it cites is found.

An answer cites a picture by a link to a file, or by the path of one, in the folders of the run; or
by the name of a picture that its author was shown. Nothing outside of these folders is read.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from anyio import to_thread

from massgen_bridge.errors import MediaError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from massgen_bridge.agent import Turn
    from massgen_bridge.messages import MediaPart
    from massgen_bridge.runtime.workspaces import Workspaces

__all__ = ["Brought", "Gallery"]

_FOLDER = "media"
_MOST_CITED = 10
_MOST_TRIED = 100
_LINK = re.compile(
    r"\[[^\]\n]{0,300}\]\(\s{0,3}<?([^()<>\n]{1,400}?)>?(?:\s{1,3}\"[^\"\n]{0,300}\")?\)"
)
_PATH = re.compile(r"[^\s()\[\]<>\"'`|*]{1,400}?\.(?:png|jpe?g|gif|webp)\b", re.IGNORECASE)
_logger = logging.getLogger("massgen_bridge.runtime")


class Brought(NamedTuple):
    """What belongs to an answer, and what there is to say of it."""

    media: tuple[MediaPart, ...] = ()
    notes: tuple[str, ...] = ()


class Gallery:
    """Takes care of what answers bring along.

    Args:
        workspaces: The agents' folders.
    """

    def __init__(self, workspaces: Workspaces) -> None:
        self._workspaces = workspaces

    async def brought(
        self, turn: Turn, label: str, text: str, made: tuple[MediaPart, ...]
    ) -> Brought:
        """What belongs to an answer.

        Args:
            turn: The turn that gave it.
            label: Its author's label.
            text: Its text.
            made: What the agent made for it.
        """
        cited = tuple(_cited(text))
        if not made and not cited:
            return Brought()
        return await to_thread.run_sync(self._take, turn, label, cited, made)

    def _take(
        self, turn: Turn, label: str, cited: tuple[str, ...], made: tuple[MediaPart, ...]
    ) -> Brought:
        stem = f"{label}.{turn.turn_id.rpartition('.')[2]}"
        media = [self._saved(one, turn, f"{stem}-{n}") for n, one in enumerate(made, 1)]
        notes: list[str] = []
        known = {one.data or one.url for one in media}
        left = _MOST_CITED
        for one in self._found(turn, cited, notes):
            if (one.data or one.url) not in known and left:
                known.add(one.data or one.url)
                media.append(one)
                left -= 1
        return Brought(tuple(media), tuple(notes))

    def _saved(self, part: MediaPart, turn: Turn, stem: str) -> MediaPart:
        """What an agent made, in a file of its own; a team's members have saved theirs already."""
        if part.data is None or part.path is not None:
            return part
        from massgen_bridge.media.types import suffix_of  # noqa: PLC0415 - few answers have any

        name = f"{stem}{suffix_of(part.media_type)}"
        named = part.model_copy(update={"name": name})
        if not self._workspaces.is_kept:
            return named
        file = self._workspaces.path(turn.agent_id) / _FOLDER / name
        fresh = file.with_name(f".{name}")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_bytes(part.data)
            fresh.replace(file)
        except OSError as error:
            # The journal holds it all the same.
            _logger.warning("a file that an agent made cannot be saved: %s", error)
            return named
        return named.model_copy(update={"path": str(file)})

    def _found(self, turn: Turn, cited: Iterable[str], notes: list[str]) -> Iterator[MediaPart]:
        shown = {part.name: part for one in turn.shown for part in one.media if part.name}
        for target in cited:
            if target in shown:
                yield shown[target]
                continue
            file = self._file(turn.agent_id, target)
            if file is None:
                continue
            from massgen_bridge.media.files import part_of_file  # noqa: PLC0415 - as above

            try:
                part = part_of_file(file, kind="image")
            except MediaError as error:
                notes.append(f"the answer cites what is no picture for the others: {error.message}")
                continue
            yield part.model_copy(update={"path": str(file)} if self._workspaces.is_kept else {})

    def _file(self, agent_id: str, target: str) -> Path | None:
        """A file that is cited, where it is one of the run's."""
        root = self._workspaces.root
        if root is None:
            return None
        plain = target.removeprefix("file://")
        for base in (self._workspaces.path(agent_id), root):
            for one in dict.fromkeys((plain, unquote(plain))):
                try:
                    # Links are followed first: they may lead out.
                    file = (base / one).resolve(strict=True)
                    if file.is_relative_to(root.resolve()) and file.is_file():
                        return file
                except (OSError, RuntimeError, ValueError):
                    continue
        return None


def _cited(text: str) -> Iterator[str]:
    """What may be a link to a picture, or its path, each once and in order."""
    seen: dict[str, None] = {}
    for match in sorted((*_LINK.finditer(text), *_PATH.finditer(text)), key=lambda m: m.start()):
        target = match.group(match.lastindex or 0).strip()
        if len(seen) < _MOST_TRIED:
            seen[target] = None
    return iter(seen)
