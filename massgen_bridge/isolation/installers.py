"""uv, or `venv` and pip: making an environment, and what they say when it fails."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

from anyio import from_thread

from massgen_bridge.errors import ConfigError, EnvironmentFailed
from massgen_bridge.isolation.indexes import installer_environ, without_index
from massgen_bridge.isolation.interpreters import find_uv, interpreter_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = [
    "INSTALLER_VARIABLE",
    "Installer",
    "check_cancelled",
    "pause",
    "pip_of",
    "scrubbed",
]

INSTALLER_VARIABLE = "MASSGEN_BRIDGE_INSTALLER"
"""The environment variable that chooses: `uv`, `pip`, or `auto`."""

_WATCH_S = 0.1
_REASON_LENGTH = 700
# The pip that Python brings along is run from its wheel: installing it takes longer than most of
# what it installs, and an environment holds nothing that nobody asked for.
_PIP = """
import ensurepip, pathlib, runpy, sys, sysconfig
own = pathlib.Path(ensurepip.__file__).parent / "_bundled"
places = own, sysconfig.get_config_var("WHEEL_PKG_DIR")
wheels = [one for place in places if place for one in pathlib.Path(place).glob("pip-*.whl")]
if not wheels:
    sys.exit("ERROR: ensurepip of this Python has no pip")
sys.path.insert(0, str(wheels[0]))
sys.argv[0] = "pip"
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""
_SECRET = re.compile(r"(?<=://)[^/@\s]+@")
_FRAME = re.compile(r"^[\s\u00d7\u2500-\u25ff>|]+")
_NOISE = re.compile(r"^(warning|hint:? run `pip|\[notice\]|note: )", re.IGNORECASE)
_BEGINS = re.compile(r"error|no solution|failed", re.IGNORECASE)
_LABEL = re.compile(r"^(error|cause): ", re.IGNORECASE)
_ASIDE = re.compile(r" \(from (versions: [^)]*|[^()]*\(line \d+\))\)")
# What a person wants to know of a build while it goes on.
_STEPS = re.compile(
    r"(Resolved|Prepared|Installed|Downloading|Building|Built|Collecting|Processing|Installing) "
)
_ADVICE = {
    r"hash mismatch|not match the hashes": (
        "the index has other files than the lock names; if that is meant to be, run"
        " `massgen-bridge env lock` again"
    ),
    r"no space|disk quota": "free some disk space, or move the cache with MASSGEN_BRIDGE_CACHE",
    r"no module named venv|ensurepip": (
        "install your system's package for venv (python3-venv), or uv (`pip install uv`)"
    ),
    r"no interpreter found|no download was found": (
        "install such a Python, with `uv python install` for example"
    ),
    r"failed to fetch|connection|dns error|timed out|certificate|retries exceeded|network": (
        "check the network, and the package index and proxy that your pip or uv is told to use"
    ),
    r"no solution|could not find a version|no matching|resolutionimpossible|conflict|not found": (
        "ask for versions that are there and that fit together"
    ),
}


class Installer:
    """Makes environments with uv if it can be found, else with the standard library and pip.

    Raises:
        ConfigError: `MASSGEN_BRIDGE_INSTALLER` asks for something unknown.
        EnvironmentFailed: It asks for uv, which is not there.
    """

    def __init__(self) -> None:
        chosen = os.environ.get(INSTALLER_VARIABLE) or "auto"
        if chosen not in {"auto", "uv", "pip"}:
            raise ConfigError(
                f"{INSTALLER_VARIABLE} is {chosen!r}: expected 'uv', 'pip', or 'auto', which takes"
                " uv if it is there"
            )
        self.uv = None if chosen == "pip" else find_uv()
        if chosen == "uv" and self.uv is None:
            raise EnvironmentFailed(
                f"{INSTALLER_VARIABLE} asks for uv, which was not found: install it"
                " (`pip install uv`), or unset the variable"
            )

    @property
    def name(self) -> Literal["uv", "pip"]:
        """What it uses."""
        return "pip" if self.uv is None else "uv"

    def create(self, venv: Path, python: str, *, log: Path, tell: Callable[[str], object]) -> None:
        """Make an empty environment; blocks.

        Args:
            venv: Its folder, which is not there yet.
            python: Which Python versions will do, as a version specifier.
            log: Gets what the programs say.
            tell: Gets the lines that a person wants to see.

        Raises:
            EnvironmentFailed: There is no such Python, or it cannot be done.
        """
        base = interpreter_for(python, uv=self.uv)
        if self.uv is not None:
            command = [self.uv, "venv", "--no-project", "--python", base, str(venv)]
        else:
            command = [base, "-I", "-m", "venv", "--without-pip", str(venv)]
        self.run(command, log=log, tell=tell)

    def install(
        self,
        python: Path,
        lines: Sequence[str],
        *,
        pinned: bool,
        log: Path,
        tell: Callable[[str], object],
    ) -> None:
        """Install packages; blocks.

        Args:
            python: The environment's own Python.
            lines: Requirements. They go into a file: a command line can be read by others, and
                the address of a package may hold a password.
            pinned: Whether these are all packages, each with its hashes.
            log: Gets what the programs say.
            tell: Gets the lines that a person wants to see.

        Raises:
            EnvironmentFailed: It cannot be done.
        """
        asked = log.with_suffix(".txt")
        asked.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        exactly = ["--require-hashes", "--no-deps"] if pinned else []
        if self.uv is not None:
            offline = ["--no-index"] if without_index() else []
            command = [self.uv, "pip", "install", "--python", str(python), *exactly, *offline]
        else:
            command = [*pip_of(python), "install", "--no-input", "--no-compile", *exactly]
            command += ["--progress-bar", "off"]
        try:
            self.run([*command, "-r", str(asked)], log=log, tell=tell)
        finally:
            asked.unlink(missing_ok=True)

    def run(self, command: Sequence[str], *, log: Path, tell: Callable[[str], object]) -> None:
        """Run a program to its end and raise what it says where it fails; blocks.

        A cancellation of the task that waits for this thread kills the program.

        Raises:
            EnvironmentFailed: It failed, or cannot be started.
        """
        environ = installer_environ()
        with log.open("w+b") as output:
            try:
                process = subprocess.Popen(  # noqa: S603 - uv, pip or a Python, found above
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=log.parent,
                    env=environ,
                    # An interrupt from the terminal is ours to handle.
                    start_new_session=True,
                )
            except OSError as error:
                raise EnvironmentFailed(f"{command[0]!r} cannot be started: {error}") from error
            try:
                _watch(process, log, tell)
            except BaseException:  # stopped, too: no installer may outlive its wait
                _kill(process)
                raise
        if process.returncode:
            raise EnvironmentFailed(_failure(log.read_text("utf-8", "replace"), self.name))


def pip_of(python: Path) -> list[str]:
    """The command that runs pip for a Python, whether or not it has one installed."""
    return [str(python), "-I", "-c", _PIP, "--disable-pip-version-check"]


def pause() -> None:
    """Wait for a moment, in which a cancellation arrives."""
    check_cancelled()
    time.sleep(_WATCH_S)


def check_cancelled() -> None:
    """Raise the cancellation of the task that waits for this thread, if there is one."""
    with suppress(RuntimeError):  # no task waits for this thread
        from_thread.check_cancelled()


def scrubbed(text: str) -> str:
    """Text without the passwords that stand in addresses."""
    return _SECRET.sub("****@", text)


def _watch(process: subprocess.Popen[bytes], log: Path, tell: Callable[[str], object]) -> None:
    with log.open(encoding="utf-8", errors="replace") as said:
        ended = False
        while not ended:
            check_cancelled()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_WATCH_S)
            ended = process.returncode is not None
            for line in said:
                if _STEPS.match(words := line.strip()):
                    tell(scrubbed(_ASIDE.sub("", words)))


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a program and what it has started: pip builds packages in programs of their own."""
    if sys.platform == "win32":
        process.kill()
    else:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _failure(output: str, name: str) -> str:
    reason = _reason(scrubbed(output))
    advice = next(
        (words for signs, words in _ADVICE.items() if re.search(signs, reason, re.IGNORECASE)),
        f"change what {name} complains of",
    )
    return f"{name} said: {reason}; {advice}"


def _reason(output: str) -> str:
    """What the installer says went wrong, as one line."""
    lines = [_FRAME.sub("", line).strip() for line in output.splitlines()]
    lines = [line for line in lines if line and not _NOISE.match(line)]
    first = next(
        (number for number, line in enumerate(lines) if _BEGINS.match(line)),
        max(len(lines) - 3, 0),
    )
    told = [_ASIDE.sub("", _LABEL.sub("", line)) for line in lines[first:]]
    words = ": ".join(told).rstrip(".") or "nothing"
    return words if len(words) <= _REASON_LENGTH else f"{words[:_REASON_LENGTH]}…"
