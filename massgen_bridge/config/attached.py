"""The pictures and other files that a configuration gives to its agents with every task.

Reading the configuration does not touch them; what is wrong with them is told all at once, before
anything is called.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from massgen_bridge.config.problems import Problems
from massgen_bridge.errors import MediaError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_bridge.agent import InputKind
    from massgen_bridge.config.models import RunConfig, UploadFile
    from massgen_bridge.config.source import KeyPath
    from massgen_bridge.messages import MediaPart

__all__ = ["Attached", "load_attached"]


@dataclass(frozen=True, kw_only=True)
class Attached:
    """What goes along with every task.

    Attributes:
        images: For all agents.
        agents: What single ones get beside that, by agent id.
    """

    images: tuple[MediaPart, ...] = ()
    agents: Mapping[str, tuple[MediaPart, ...]] = field(default_factory=dict)


def load_attached(config: RunConfig) -> Attached:
    """Read the files that a configuration names; those of teams within are not among them.

    Raises:
        InvalidConfig: Some cannot be read, or are not what they should be.
    """
    if not config.images and not any(agent.backend.upload_files for agent in config.agents):
        return Attached()
    reading = _Reading(config)
    images = [reading.part(one, "image", ("images", n)) for n, one in enumerate(config.images)]
    agents = {
        agent.id: [
            reading.upload(one, ("agents", position, "backend", "upload_files", n))
            for n, one in enumerate(agent.backend.upload_files)
        ]
        for position, agent in enumerate(config.agents)
        if agent.backend.upload_files
    }
    reading.problems.raise_any()
    return Attached(
        images=tuple(one for one in images if one),
        agents={name: tuple(one for one in parts if one) for name, parts in agents.items()},
    )


class _Reading:
    def __init__(self, config: RunConfig) -> None:
        self._base_dir = config.base_dir
        self.problems = Problems(config.source)

    def part(self, given: str, kind: InputKind | None, path: KeyPath) -> MediaPart | None:
        """What is given, as a part; None where there is a problem with it."""
        from massgen_bridge.media.given import part_of  # noqa: PLC0415 - most have none

        try:
            return part_of(given, kind=kind, base_dir=self._base_dir)
        except MediaError as error:
            self.problems.add(path, error.message)
            return None

    def upload(self, upload: UploadFile, path: KeyPath) -> MediaPart | None:
        """The same for a file of one agent."""
        from massgen_bridge.media.given import is_address  # noqa: PLC0415 - as above

        if upload.file_path is not None:
            return self.part(upload.file_path, None, (*path, "file_path"))
        if upload.image_path is not None:
            return self.part(upload.image_path, "image", (*path, "image_path"))
        address = upload.url or ""
        if not is_address(address):
            message = f"{address!r} is no address; the path of a picture stands under 'image_path'"
            self.problems.add((*path, "url"), message)
            return None
        return self.part(address, "image", (*path, "url"))
