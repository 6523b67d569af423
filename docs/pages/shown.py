"""Pages that show whole files: what stands below `<!-- from: PATH -->` is that file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["with_files"]

_SHOWN = re.compile(
    r"(?P<mark>^<!-- from: (?P<path>\S+) -->\n)```(?P<language>\w*)\n.*?^```$",
    re.DOTALL | re.MULTILINE,
)
_LANGUAGES = {".py": "python", ".yaml": "yaml", ".toml": "toml"}


def with_files(page: str, root: Path) -> str:
    """A page with the present text of each file that it shows.

    Args:
        page: The page's Markdown.
        root: The folder that the paths are relative to.
    """

    def shown(match: re.Match[str]) -> str:
        file = root / match["path"]
        text = file.read_text(encoding="utf-8")
        return f"{match['mark']}```{_LANGUAGES[file.suffix]}\n{text}```"

    return _SHOWN.sub(shown, page)
