"""First-party adapters whose sources come with the core, for where they are not installed.

A wheel holds them in a folder of its own; in a checkout they are where they are developed. They
are found after everything that is installed.
"""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["bundled_source", "offer_bundled"]

_CORE = Path(__file__).parents[1]
_IN_WHEEL = _CORE / "_bundled"
_IN_CHECKOUT = _CORE.parent / "adapters"


def bundled_source(package: str) -> Path | None:
    """The folder that holds the sources of a first-party adapter.

    Args:
        package: The adapter's import package, such as `massgen_bridge_openai`.

    Returns:
        The package's parent folder; None where the core came without it.
    """
    kind = package.removeprefix("massgen_bridge_")
    for folder in (_IN_WHEEL, _IN_CHECKOUT / kind / "src"):
        if (folder / package / "__init__.py").is_file():
            return folder
    return None


def offer_bundled(package: str) -> bool:
    """Let a first-party adapter be imported, after all that is installed.

    Returns:
        Whether there is such an adapter.
    """
    folder = bundled_source(package)
    if folder is None:
        return False
    if str(folder) not in sys.path:
        # Workers get the same path, and so the same adapters.
        sys.path.append(str(folder))
    return True
