"""Writes down what is public, at a release: `nox -s record_api`.

From then on a test compares what is public with this record. The record of a version that is out
never changes: until then it may be written as often as the version grows.
"""

from __future__ import annotations

import sys
from pathlib import Path

from public_api.listing import listed, read, written

__all__ = ["DECLARED", "NOTHING", "RECORD", "main", "record"]

RECORD = Path(__file__).parent / "released.json"
DECLARED = Path(__file__).parent / "breaks.toml"

NOTHING = """\
# What is meant to break since the version in released.json; see docs/explanation/versioning.md.
# Each also stands in the change log, under Unreleased.
#
# [[break]]
# path = "massgen_bridge.run(config)"
# version = "0.2.0"
# reason = "It takes several configurations now."
"""


def record(folder: Path, changelog: str) -> str:
    """Write the record, and declare nothing as broken.

    Args:
        folder: Where both files are.
        changelog: The change log, which says what is out.

    Returns:
        What was done, or why not, in a line.
    """
    now, file = listed(), folder / RECORD.name
    if f"## [{now.version}]" in changelog and file.exists():
        before = read(file.read_text(encoding="utf-8"))
        if before.version == now.version and before != now:
            return f"refused: {now.version} is out; raise the version first"
    file.write_text(written(now), encoding="utf-8")
    (folder / DECLARED.name).write_text(NOTHING, encoding="utf-8")
    return f"recorded {len(now.entries)} entries of {now.version}"


def main() -> int:
    """Write the record of this checkout."""
    changelog = RECORD.parents[2] / "CHANGELOG.md"
    said = record(RECORD.parent, changelog.read_text(encoding="utf-8"))
    sys.stdout.write(f"{said}\n")
    return 1 if said.startswith("refused") else 0


if __name__ == "__main__":
    sys.exit(main())
