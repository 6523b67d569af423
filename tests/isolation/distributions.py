"""Small distributions, put where this process finds them as an installer would put them there."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["write_adapter", "write_distribution"]

_ADAPTER = """\
from massgen_bridge import AdapterSpec, NoOptions, TurnResult, assistant, hookimpl

class Options(NoOptions):
    redirected: bool = False

class Agent:
    async def run(self, turn, emit):
        import fancy_framework
        return TurnResult(message=assistant("fancy " + fancy_framework.VERSION))

    async def aclose(self):
        pass

def create(context):
    return Agent()

@hookimpl
def bridge_adapters():
    return [
        AdapterSpec(
            kind={kind!r},
            summary="For tests.",
            factory=create,
            options=Options,
            requires={requires!r},
            framework={framework!r},
            own_process={own_process!r},
            redirects=lambda options: options.redirected,
        )
    ]
"""


def write_distribution(
    folder: Path, name: str, version: str | None, *requires: str, entry_points: str = ""
) -> None:
    """Write the metadata of a distribution that holds nothing else."""
    metadata = folder / f"{name.replace('-', '_')}-{version or 0}.dist-info"
    metadata.mkdir()
    lines = ["Metadata-Version: 2.1", f"Name: {name}"]
    lines += [f"Version: {version}"] if version else []
    lines += [f"Requires-Dist: {one}" for one in requires]
    (metadata / "METADATA").write_text("\n".join(lines) + "\n")
    if entry_points:
        (metadata / "entry_points.txt").write_text(f"[massgen_bridge]\n{entry_points}\n")


def write_adapter(
    folder: Path, kind: str, *requires: str, framework: str | None = None, own_process: bool = False
) -> None:
    """Write an adapter that is no part of the project, with its metadata.

    Args:
        folder: A folder on the path.
        kind: The kind that it offers; its package is `bridge_KIND`.
        requires: What its framework is.
        framework: The distribution whose version is the framework's.
        own_process: Whether its agents usually run in a process of their own.
    """
    package = folder / f"bridge_{kind}"
    package.mkdir()
    (package / "__init__.py").write_text(
        _ADAPTER.format(
            kind=kind,
            package=package.name,
            requires=requires,
            framework=framework,
            own_process=own_process,
        )
    )
    write_distribution(folder, f"bridge-{kind}", "1.0", entry_points=f"{kind} = {package.name}")
