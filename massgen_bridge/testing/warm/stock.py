"""The processes that this one has workers forked from, one for each adapter; they end with it."""

from __future__ import annotations

import atexit
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from massgen_bridge.errors import EnvironmentFailed
from massgen_bridge.isolation.environments import Environments
from massgen_bridge.isolation.launching import launch_of
from massgen_bridge.isolation.locking import request_of
from massgen_bridge.isolation.surroundings import Surroundings
from massgen_bridge.testing.apart import place_apart
from massgen_bridge.testing.warm.front import SOCKET
from massgen_bridge.testing.warm.origin import READY, THREADED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_bridge.isolation.launching import Launching
    from massgen_bridge.isolation.placement import Placement
    from massgen_bridge.isolation.process import Launch
    from massgen_bridge.specs import AdapterSpec
    from massgen_bridge.testing.apart import Apart

__all__ = ["warm_launching"]

_HERE: Final = Path(__file__).parent
# Libraries for sums start threads where they are imported, and no fork takes those along.
_ONE_THREAD: Final = dict.fromkeys(
    ("MKL_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"
)
_pythons: Final[dict[tuple[str, str], str | None]] = {}
_making: Final = threading.Lock()


def warm_launching(spec: AdapterSpec, isolation: Apart = "process") -> Launching:
    """How workers are started that have an adapter imported; the first call waits for the import.

    Where the import starts threads, or the system is not Linux, a fork would not be safe: workers
    start cold then.

    Args:
        spec: The adapter; its module is imported, and all that is below it.
        isolation: Whether it is imported from this process's packages, or from an environment of
            its own, which is built where it is not there yet.

    Returns:
        Does what `launch_of` does.

    Raises:
        EnvironmentFailed: The environment cannot be built, or the adapter not be imported.
    """
    where = place_apart(spec, None, isolation)
    key = (where.module, isolation)
    with _making:
        if key not in _pythons:
            if isolation == "environment":
                Environments().ensure(request_of(where))
            _pythons[key] = _forking(where, spec.kind)
        python = _pythons[key]
    if python is None:
        return launch_of

    def launching(place: Placement, kind: str, variables: Mapping[str, str]) -> Launch:
        launch = launch_of(place, kind, variables)
        is_ours = (place.module, place.mode) == key
        return replace(launch, python=python) if is_ours else launch

    return launching


def _forking(place: Placement, kind: str) -> str | None:
    """What stands for the interpreter of workers that are forked; None where that is not safe."""
    if sys.platform != "linux":  # elsewhere the system's own libraries take no fork
        return None
    around = Surroundings(kind)
    launch = launch_of(place, kind, {**around.variables, **_ONE_THREAD})
    words = (str(around.private / SOCKET), place.module, *launch.paths)
    process = subprocess.Popen(  # noqa: S603 - it is an interpreter of ours, and code of this kit
        [launch.python, "-P", str(_HERE / "origin.py"), *words],
        stdin=subprocess.PIPE,  # its end is the end of this process
        stdout=subprocess.PIPE,
        env=dict(launch.variables),
        start_new_session=True,
    )
    atexit.register(_end, process)
    assert process.stdout is not None  # noqa: S101 - narrows: it is a pipe
    told = process.stdout.readline()
    if told not in {READY, THREADED}:
        raise EnvironmentFailed(
            f"the adapter {place.module!r} cannot be imported in another process: stderr says why"
        )
    return _front(around.private) if told == READY else None


def _front(folder: Path) -> str:
    """Write a program that is started in the place of Python; the socket is beside it."""
    # The line that names an interpreter takes no spaces, and a shell adds variables.
    interpreter, path = folder / "interpreter", folder / "python"
    interpreter.symlink_to(sys.executable)
    path.write_text(f"#!{interpreter} -IS\n{(_HERE / 'front.py').read_text()}")
    path.chmod(0o700)
    return str(path)


def _end(process: subprocess.Popen[bytes]) -> None:
    with process:  # closes its pipes, and waits
        pass
