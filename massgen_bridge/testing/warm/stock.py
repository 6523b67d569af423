"""The origins of this process, one for each adapter; they end with it."""

from __future__ import annotations

import atexit
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from massgen_bridge.errors import EnvironmentFailed
from massgen_bridge.isolation.launching import launch_of
from massgen_bridge.isolation.placement import Placement
from massgen_bridge.isolation.surroundings import Surroundings
from massgen_bridge.testing.apart import module_of
from massgen_bridge.testing.warm.front import SOCKET
from massgen_bridge.testing.warm.origin import READY, THREADED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_bridge.isolation.launching import Launching
    from massgen_bridge.isolation.process import Launch
    from massgen_bridge.specs import AdapterSpec

__all__ = ["warm_launching"]

_HERE: Final = Path(__file__).parent
# Libraries for sums start threads where they are imported, and no fork takes those along.
_ONE_THREAD: Final = dict.fromkeys(
    ("MKL_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"
)
_origins: Final[dict[str, _Origin]] = {}
_making: Final = threading.Lock()


def warm_launching(spec: AdapterSpec) -> Launching:
    """How workers are started that have an adapter imported; the first call waits for the import.

    Where the import starts threads, or the system is not Linux, a fork would not be safe: workers
    start cold then.

    Args:
        spec: The adapter; its module is imported, and all that is below it.

    Returns:
        Does what `launch_of` does.
    """
    if sys.platform != "linux":  # elsewhere the system's own libraries take no fork
        return launch_of
    module = module_of(spec)
    with _making:
        if module not in _origins:
            _origins[module] = _Origin(module, spec.kind)
        python = _origins[module].python

    def launching(place: Placement, kind: str, variables: Mapping[str, str]) -> Launch:
        launch = launch_of(place, kind, variables)
        is_ours = place.mode == "process" and place.module == module
        return replace(launch, python=python) if is_ours else launch

    return launching


class _Origin:
    """A process that has imported an adapter.

    Attributes:
        python: What stands for the interpreter of its workers.
    """

    def __init__(self, module: str, kind: str) -> None:
        around = Surroundings(kind)
        self._private = around.private
        own = {**around.variables, **_ONE_THREAD}
        launch = launch_of(Placement(mode="process", module=module), kind, own)
        address = self._private / SOCKET
        self._process = subprocess.Popen(  # noqa: S603 - it is this Python, and code of this kit
            [launch.python, "-P", str(_HERE / "origin.py"), str(address), module, *launch.paths],
            stdin=subprocess.PIPE,  # its end is the end of this process
            stdout=subprocess.PIPE,
            env=dict(launch.variables),
            start_new_session=True,
        )
        atexit.register(self._end)
        self.python = self._front() if self._is_ready(module) else launch.python

    def _is_ready(self, module: str) -> bool:
        """Wait until it has imported everything; whether it can be forked then."""
        assert self._process.stdout is not None  # noqa: S101 - narrows: it is a pipe
        words = self._process.stdout.readline()
        if words not in {READY, THREADED}:
            raise EnvironmentFailed(
                f"the adapter {module!r} cannot be imported in another process: stderr says why"
            )
        return words == READY

    def _front(self) -> str:
        """Write a program that is started in the place of Python; the socket is beside it."""
        # The line that names an interpreter takes no spaces, and a shell adds variables.
        interpreter, path = self._private / "interpreter", self._private / "python"
        interpreter.symlink_to(sys.executable)
        path.write_text(f"#!{interpreter} -IS\n{(_HERE / 'front.py').read_text()}")
        path.chmod(0o700)
        return str(path)

    def _end(self) -> None:
        with self._process:  # closes its pipes, and waits
            pass
