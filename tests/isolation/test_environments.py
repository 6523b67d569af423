from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio import to_thread

from massgen_bridge.errors import ConfigError, EnvironmentFailed
from massgen_bridge.isolation.environments import Environment, Environments
from massgen_bridge.isolation.requirements import (
    EnvironmentRequest,
    core_requirements,
    without_floor,
)

if TYPE_CHECKING:
    from isolation.conftest import SilentIndex
    from tiny_wheels import MakeWheel

pytestmark = pytest.mark.anyio

BUILD = """
import sys
from massgen_bridge.isolation.environments import Environments
from massgen_bridge.isolation.requirements import EnvironmentRequest
request = EnvironmentRequest.of(sys.argv[1:])
print(Environments().build(request, progress=lambda line: print(line, flush=True)).path)
"""


def _request(*requirements: str, python: str = ">=3.11") -> EnvironmentRequest:
    return EnvironmentRequest.of(requirements, python=python)


def _said(environment: Environment, code: str) -> str:
    command = [str(environment.python), "-I", "-c", code]
    return subprocess.check_output(command, text=True).strip()


def _package(environment: Environment, name: str) -> Path:
    (found,) = environment.path.glob(f"lib/python3*/site-packages/{name}")
    return found


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_an_environment_is_built_found_again_and_holds_what_was_asked_for(
    installer: str,
    make_wheel: MakeWheel,
    environments: Environments,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MASSGEN_BRIDGE_INSTALLER", installer)
    # What the host can import is no concern of an environment.
    monkeypatch.setenv("PYTHONPATH", str(Path(pytest.__file__).parents[1]))
    make_wheel("redfish", needs=("bluefish>=2",))
    make_wheel("bluefish", "2.1")
    request = _request("redfish>=1")
    assert environments.find(request) is None
    told: list[str] = []

    built = environments.build(request, progress=told.append)

    assert told[0] == f"making an environment with {installer}"
    assert built == environments.find(request)
    assert built.damage is None
    assert {"redfish": "1.0", "bluefish": "2.1"}.items() <= built.installed.items()
    assert built.installer == installer
    assert _said(built, "import redfish, bluefish; print(bluefish.VERSION)") == "2.1"
    assert _said(built, "import platform; print(platform.python_version())") == built.python_version
    assert built.size == sum(
        path.lstat().st_size for path in built.path.rglob("*") if not path.is_dir()
    ) or any(path.is_symlink() for path in built.path.rglob("*"))


def test_an_environment_that_is_there_is_not_built_again(
    make_wheel: MakeWheel, environments: Environments
) -> None:
    make_wheel("redfish")
    first = environments.build(_request("redfish>=1"))
    told: list[str] = []
    assert environments.build(_request("RedFish >= 1"), progress=told.append).path == first.path
    assert environments.ensure(_request("redfish>=1"), progress=told.append).path == first.path
    assert told == []


def test_two_processes_build_one_environment_once(make_wheel: MakeWheel) -> None:
    make_wheel("redfish")
    builders = [
        subprocess.Popen(
            [sys.executable, "-c", BUILD, "redfish>=1"], stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    said = [builder.communicate(timeout=50)[0].splitlines() for builder in builders]
    assert [builder.returncode for builder in builders] == [0, 0]
    assert said[0][-1] == said[1][-1]
    assert sum("making an environment with uv" in lines for lines in said) == 1


def test_what_a_killed_build_left_is_never_seen_and_goes_with_the_next_one(
    make_wheel: MakeWheel,
    silent_index: SilentIndex,
    environments: Environments,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request = _request("redfish>=1")
    with subprocess.Popen([sys.executable, "-c", BUILD, "redfish>=1"]) as builder:
        assert silent_index.asked.wait(50)
        builder.send_signal(signal.SIGKILL)
    silent_index.close()
    folder = environments.root / request.key
    (left,) = folder.glob("venv-*")
    assert environments.find(request) is None
    assert environments.list() == ()

    monkeypatch.delenv("UV_DEFAULT_INDEX")
    make_wheel("redfish")
    built = environments.build(request)

    assert built.damage is None
    assert not left.exists()
    assert sorted(path.name for path in folder.iterdir()) == ["environment.json", built.path.name]


async def test_a_cancelled_build_ends_at_once_and_leaves_nothing(
    silent_index: SilentIndex, environments: Environments
) -> None:
    request = _request("redfish>=1")
    async with anyio.create_task_group() as group:
        group.start_soon(_build, environments, request)
        assert await to_thread.run_sync(silent_index.asked.wait, 50)
        began = time.monotonic()
        group.cancel_scope.cancel()
    assert time.monotonic() - began < 30
    assert not (environments.root / request.key).exists()


async def _build(environments: Environments, request: EnvironmentRequest) -> None:
    await to_thread.run_sync(environments.build, request)


def _delete_python(environment: Environment) -> None:
    environment.python.unlink()
    environment.python.symlink_to("/nowhere/python3")


def _delete_package(environment: Environment) -> None:
    shutil.rmtree(_package(environment, "redfish"))


def _delete_record(environment: Environment) -> None:
    (environment.path.parent / "environment.json").write_text("{")


@pytest.mark.parametrize("break_it", [_delete_python, _delete_package, _delete_record])
def test_a_broken_environment_is_not_found_and_is_built_again(
    break_it: object, make_wheel: MakeWheel, environments: Environments
) -> None:
    make_wheel("redfish")
    request = _request("redfish>=1")
    first = environments.build(request)
    assert callable(break_it)
    break_it(first)
    assert environments.find(request) is None
    again = environments.build(request)
    assert again.path != first.path
    assert not first.path.exists()
    assert environments.find(request) == again
    assert _said(again, "import redfish; print(redfish.VERSION)") == "1.0"


@pytest.mark.parametrize("content", [None, "", "VERSION = 1000\n"])
def test_a_close_look_finds_a_file_that_is_gone_or_changed(
    content: str | None, make_wheel: MakeWheel, environments: Environments
) -> None:
    make_wheel("redfish")
    request = _request("redfish>=1")
    first = environments.build(request)
    file = _package(first, "redfish") / "__init__.py"
    file.unlink()  # it may be one with the installer's own copy
    if content is not None:
        file.write_text(content)
    assert first.damage == "1 files are missing or changed, such as 'redfish/__init__.py'"
    assert environments.ensure(request).damage is None
    assert first.damage == "its Python is gone"


def test_a_failure_is_one_line_that_says_what_was_asked_and_what_to_do(
    make_wheel: MakeWheel, environments: Environments
) -> None:
    make_wheel("redfish")
    with pytest.raises(EnvironmentFailed) as caught:
        environments.build(_request("redfish>=2", *core_requirements()))
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith("the environment for redfish>=2 (Python >=3.11) could not be built: uv")
    assert text.endswith("ask for versions that are there and that fit together")
    assert environments.list() == ()
    assert not list(environments.root.glob("*/venv-*"))


def test_no_password_of_an_index_gets_out(
    links: Path, environments: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    del links
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://me:canary-7719@127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    told: list[str] = []
    with pytest.raises(EnvironmentFailed, match="check the network") as caught:
        environments.build(_request("redfish>=1"), progress=told.append)
    assert "canary-7719" not in f"{caught.value}{told}"
    assert all(b"canary-7719" not in path.read_bytes() for path in environments.root.glob("*.*"))


def test_a_python_that_is_nowhere_is_a_clear_error(
    links: Path, environments: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    del links
    monkeypatch.setenv("MASSGEN_BRIDGE_INSTALLER", "pip")
    with pytest.raises(EnvironmentFailed, match=r"no Python >=3\.29 was found: this one is 3\."):
        environments.build(_request("redfish>=1", python=">=3.29"))


def test_another_python_than_the_hosts_is_taken_from_the_path(
    make_wheel: MakeWheel,
    environments: Environments,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """A script stands for one: it says that it is another, and makes environments of this one."""
    make_wheel("redfish")
    other = tmp_path / "bin" / "python3.30"
    other.parent.mkdir()
    other.write_text(
        f'#!/bin/sh\ncase "$*" in *platform*) echo 3.30.1;; *) exec {sys.executable} "$@";; esac\n'
    )
    other.chmod(0o755)
    (other.parent / "python3.29").write_text("#!/bin/sh\nexit 127\n")
    (other.parent / "python3.29").chmod(0o755)
    monkeypatch.setenv("PATH", str(other.parent), prepend=os.pathsep)
    monkeypatch.setenv("MASSGEN_BRIDGE_INSTALLER", "pip")
    built = environments.build(_request("redfish>=1", python=">=3.29"))
    assert built.request.abi == "other"
    assert environments.find(_request("redfish>=1", python=">=3.29")) == built


def test_an_unknown_installer_is_refused(
    environments: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASSGEN_BRIDGE_INSTALLER", "conda")
    with pytest.raises(ConfigError, match="'conda': expected 'uv', 'pip', or 'auto'"):
        environments.build(_request("redfish>=1"))


def test_a_cache_that_cannot_be_written_is_a_clear_error(
    environments: Environments, cache: Path
) -> None:
    cache.write_text("no folder")
    with pytest.raises(EnvironmentFailed, match="set MASSGEN_BRIDGE_CACHE to one that is"):
        environments.build(_request("redfish>=1"))


def test_only_environments_that_nobody_holds_or_used_lately_are_deleted(
    make_wheel: MakeWheel, environments: Environments
) -> None:
    make_wheel("redfish")
    make_wheel("bluefish")
    red = environments.build(_request("redfish>=1"))
    blue = environments.build(_request("bluefish>=1"))
    half = environments.root / "0123456789abcdef" / "venv-half"
    half.mkdir(parents=True)
    assert environments.prune(unused_for_s=3600) == ()
    assert not half.exists()
    with red.hold():
        assert environments.prune() == (blue,)
        assert not blue.path.exists()
        assert environments.list() == (red,)
    assert environments.prune() == (red,)
    with pytest.raises(EnvironmentFailed, match="is gone"):
        red.hold()


def test_a_broken_environment_stays_for_those_who_use_it(
    make_wheel: MakeWheel, environments: Environments
) -> None:
    make_wheel("redfish")
    request = _request("redfish>=1")
    old = environments.build(request)
    with old.hold():
        (_package(old, "redfish") / "__init__.py").unlink()
        new = environments.ensure(request)
        assert new.path != old.path
        assert _said(old, "import platform; print(1)") == "1"
        assert environments.prune() == (new,)
        assert old.path.exists()
    assert environments.prune() == ()
    assert not old.path.parent.exists()


def test_an_environment_that_is_being_built_is_not_deleted(
    make_wheel: MakeWheel, environments: Environments
) -> None:
    make_wheel("redfish")
    request = _request("redfish>=1")
    pruned: list[Environment] = []

    def prune(line: str) -> None:
        del line
        thread = threading.Thread(target=lambda: pruned.extend(environments.prune()))
        thread.start()
        thread.join()

    built = environments.build(request, progress=prune)
    assert pruned == []
    assert built.path.exists()


def test_the_list_begins_with_what_was_used_last(
    make_wheel: MakeWheel, environments: Environments
) -> None:
    make_wheel("redfish")
    make_wheel("bluefish")
    red = environments.build(_request("redfish>=1"))
    blue = environments.build(_request("bluefish>=1"))
    for environment, age in ((red, 50), (blue, 100)):
        moment = time.time() - age
        os.utime(environment.path.parent / "environment.json", (moment, moment))
    assert [one.key for one in environments.list()] == [red.key, blue.key]
    environments.find(blue.request)
    assert [one.key for one in environments.list()] == [blue.key, red.key]


def test_equal_requests_have_one_key_and_others_have_others() -> None:
    one = _request("Some_Package[b,a] >=1, <2", "other>=1")
    assert one.requirements == ("other>=1", "some-package[a,b]<2,>=1")
    assert one.key == _request("other>=1", "some-package[a,b]<2,>=1", "other >= 1").key
    different = [
        _request("other>=1"),
        _request("other>=1", python=">=3.11,<3.99"),
        EnvironmentRequest.of(["other>=1"], pins=["other==1 --hash=sha256:aa"]),
        _request("other>=1").model_copy(update={"system": "plan9-mips"}),
    ]
    assert len({one.key, *(other.key for other in different)}) == 5


@pytest.mark.parametrize("bad", ["crewai>>1", "", "not a requirement"])
def test_what_is_no_requirement_is_refused(bad: str) -> None:
    with pytest.raises(ConfigError, match="is no pip requirement"):
        _request(bad)
    with pytest.raises(ConfigError, match="is no specifier of Python versions"):
        _request(python="3.11 or so")


def test_requirements_that_any_old_version_meets_are_told() -> None:
    asked = ["a", "b<2", "c!=1", "d>=1", "e~=1.0", "f==1", "g @ file:///tmp/g.whl", "h>1,<2"]
    assert without_floor(asked) == ("a", "b<2", "c!=1")


def test_the_cores_own_requirements_have_floors() -> None:
    assert without_floor(core_requirements()) == ()
    assert {one.split(">")[0] for one in core_requirements()} >= {"anyio", "pydantic"}
