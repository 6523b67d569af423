"""The process that runs the suite; see `massgen_bridge.testing.command`."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from massgen_bridge.cli._suite_wire import SuiteDone, SuiteRefused, SuiteRequest
from massgen_bridge.errors import BridgeError
from massgen_bridge.plugins import PluginHost
from massgen_bridge.testing.command.recorder import Recorder
from massgen_bridge.testing.command.target import TARGET, Target

if TYPE_CHECKING:
    from massgen_bridge.cli._suite_wire import SuiteEvent
    from massgen_bridge.specs import AdapterSpec

__all__ = ["main"]

_CHECKS = Path(__file__).with_name("checks.py")
# Nothing of whoever starts it decides how the suite runs: no settings, no conftest, no plugins.
_ARGUMENTS = (
    "--noconftest",
    "--import-mode=importlib",
    "--strict-markers",
    f"--rootdir={_CHECKS.parent}",
    f"--config-file={os.devnull}",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:terminal",
    "-p",
    "anyio.pytest_plugin",
)


class _Channel:
    """Events on what was stdout; whatever else is printed goes to stderr."""

    def __init__(self) -> None:
        # Not inherited: a process that the adapter leaves behind must not hold it open.
        self._file = os.dup(1)
        os.dup2(2, 1)
        self._lock = threading.Lock()

    def send(self, event: SuiteEvent) -> None:
        """Write an event."""
        data = event.model_dump_json().encode(errors="replace") + b"\n"
        with self._lock:
            while data:
                data = data[os.write(self._file, data) :]


def main() -> None:
    """Do what the request on stdin asks for, and end this process."""
    channel = _Channel()
    request = SuiteRequest.model_validate_json(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    for name in [name for name in os.environ if name.startswith("PYTEST_")]:
        del os.environ[name]
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    host = PluginHost()
    try:
        host.load_plugins(request.plugins, Path(request.base_dir))
        spec = host.adapter(request.kind)
    except BridgeError as error:
        channel.send(SuiteRefused(usage=False, message=str(error)))
        code = 1
    else:
        code = _run(request, spec, channel)
    sys.stderr.flush()
    os._exit(code)  # threads that the adapter has left behind are not waited for


def _run(request: SuiteRequest, spec: AdapterSpec, channel: _Channel) -> int:
    """Run the suite; the exit code is 0 if all of it was run, whatever came out."""
    TARGET.set(
        Target(
            spec=spec,
            options=request.options,
            base_dir=Path(request.base_dir),
            question=request.question,
            expected=request.expected,
            isolation=request.isolation,
        )
    )
    recorder = Recorder(request, spec, channel.send)
    suite = "TestModelAgent" if spec.protocols and not request.without_model else "TestAgent"
    code = pytest.main([*_ARGUMENTS, f"{_CHECKS}::{suite}"], plugins=[recorder])
    if code not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
        return 1
    channel.send(SuiteDone())
    return 0


def _end_with_stdin() -> None:
    """The end of stdin is the end of the command that started this process."""
    while sys.stdin.buffer.read(4096):
        pass
    if os.name == "posix" and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)  # with whatever the adapter has started
    os._exit(1)


if __name__ == "__main__":
    main()
