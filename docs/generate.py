"""Writes what follows from the code: `python docs/generate.py`.

These are pages of docs/reference and, on other pages, the files that they show whole. With
`--check` it writes nothing and fails where a page is not what the code says; so does a test.
"""  # noqa: INP001 - a script beside the pages that it writes, no package

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pages import (
    backends,
    cli,
    configuration,
    contract,
    datasets,
    errors,
    events,
    export,
    group_chats,
    hooks,
    kinds,
    providers,
    python,
    servers,
    shown,
    wrong_agents,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["PAGES", "fresh", "main"]

DOCS = Path(__file__).parent
FOLDER = DOCS / "reference"

PAGES: Mapping[str, Callable[[], str]] = {
    **{f"backend-{kind}.md": partial(backends.page, kind) for kind in backends.KINDS},
    "cli.md": cli.page,
    "contract.md": contract.page,
    "data-sets.md": datasets.page,
    "errors.md": errors.page,
    "events.md": events.page,
    "export.md": export.page,
    "group-chats.md": group_chats.page,
    "hooks.md": hooks.page,
    "kinds.md": kinds.page,
    "model-servers.md": servers.page,
    "providers.md": providers.page,
    "python.md": python.page,
    "wrong-agents.md": wrong_agents.page,
    "yaml.md": configuration.page,
}

# Two lines apart, so that no reader of the page takes it for a comment on what follows.
HEADER = "<!-- Written by docs/generate.py from the code: change it there. -->\n\n"


def fresh(name: str) -> str:
    """The text that a page should have."""
    return HEADER + PAGES[name]().strip() + "\n"


def main(arguments: list[str]) -> int:
    """Write the pages, or with `--check` only compare them.

    Returns:
        The exit code: 1 if a page is not fresh.
    """
    stale = [(file, text) for file, text in _pages() if _read(file) != text]
    for file, text in stale:
        if "--check" in arguments:
            name = file.relative_to(DOCS.parent).as_posix()
            sys.stderr.write(f"{name} is stale: run `python docs/generate.py`\n")
        else:
            file.write_text(text, encoding="utf-8")
    return 1 if stale and "--check" in arguments else 0


def _pages() -> Iterator[tuple[Path, str]]:
    """Every page that is written, and the text that it should have."""
    written = {FOLDER / name for name in PAGES}
    for file in written:
        yield file, fresh(file.name)
    for file in set(DOCS.rglob("*.md")) - written:
        yield file, shown.with_files(file.read_text(encoding="utf-8"), DOCS.parent)


def _read(file: Path) -> str | None:
    return file.read_text(encoding="utf-8") if file.exists() else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
