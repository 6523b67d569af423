"""Writes the pages of docs/reference that follow from the code: `python docs/generate.py`.

With `--check` it writes nothing and fails where a page is not what the code says; so does a test.
"""  # noqa: INP001 - a script beside the pages that it writes, no package

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pages import cli, configuration, contract, errors, events, hooks, providers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["PAGES", "fresh", "main"]

FOLDER = Path(__file__).parent / "reference"

PAGES: Mapping[str, Callable[[], str]] = {
    "cli.md": cli.page,
    "contract.md": contract.page,
    "errors.md": errors.page,
    "events.md": events.page,
    "hooks.md": hooks.page,
    "providers.md": providers.page,
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
    stale = []
    for name in PAGES:
        file = FOLDER / name
        text = fresh(name)
        if "--check" not in arguments:
            file.write_text(text, encoding="utf-8")
        elif not file.exists() or file.read_text(encoding="utf-8") != text:
            stale.append(name)
    for name in stale:
        sys.stderr.write(f"docs/reference/{name} is stale: run `python docs/generate.py`\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
