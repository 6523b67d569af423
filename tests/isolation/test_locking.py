from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from massgen_bridge.errors import ConfigError, EnvironmentFailed
from massgen_bridge.isolation.environments import Environments
from massgen_bridge.isolation.locking import lock_file, read_lock, request_of, with_lock
from massgen_bridge.isolation.placement import Placement
from massgen_bridge.isolation.requirements import EnvironmentRequest
from massgen_bridge.isolation.resolving import estimate, write_lock

if TYPE_CHECKING:
    from tiny_wheels import MakeWheel


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the lock of a configuration is."""
    return lock_file(tmp_path / "my.team.yaml", "redfish")


def _place(*requirements: str, lock: Path | None = None) -> Placement:
    return Placement(
        mode="environment",
        module="m",
        requirements=requirements,
        lock=None if lock is None else str(lock),
    )


def _lock(path: Path, *requirements: str) -> None:
    write_lock(EnvironmentRequest.of(requirements), path)


def test_a_lock_lies_beside_its_configuration_under_a_standard_name(path: Path) -> None:
    assert path.name == "pylock.my-team-redfish.toml"
    config = path.with_name("my.team.yaml")
    place = _place("redfish>=1")
    assert with_lock(place, config, "redfish") == place
    path.write_text("")
    assert with_lock(place, config, "redfish").lock == str(path)
    assert with_lock(place, config, "bluefish").lock is None
    assert with_lock(place, None, "redfish").lock is None
    assert with_lock(Placement(mode="process"), config, "redfish").lock is None


def test_what_is_locked_stays_as_it_is_when_newer_versions_come(
    make_wheel: MakeWheel, path: Path, environments: Environments
) -> None:
    make_wheel("redfish", needs=("bluefish>=2",))
    make_wheel("bluefish", "2.1")
    _lock(path, "redfish>=1")
    make_wheel("bluefish", "2.2")

    request = request_of(_place("redfish>=1", lock=path))

    assert request.key != request_of(_place("redfish>=1")).key
    installed = environments.build(request).installed
    assert {"redfish": "1.0", "bluefish": "2.1"}.items() <= installed.items()
    assert environments.find(request) is not None


def test_a_lock_that_pip_wrote_is_for_this_system_and_says_so_elsewhere(
    make_wheel: MakeWheel,
    path: Path,
    environments: Environments,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MASSGEN_BRIDGE_INSTALLER", "pip")
    make_wheel("redfish", needs=("bluefish>=2",))
    make_wheel("bluefish", "2.1")
    _lock(path, "redfish>=1")
    make_wheel("bluefish", "2.2")
    place = _place("redfish>=1", lock=path)
    monkeypatch.setenv("MASSGEN_BRIDGE_INSTALLER", "uv")  # which can use it as well
    assert environments.build(request_of(place)).installed["bluefish"] == "2.1"
    path.write_text(path.read_text().replace("python_version == '3.", "python_version == '2."))
    with pytest.raises(ConfigError, match="made for another system or Python: sys_platform == "):
        request_of(place)


def test_a_lock_is_in_the_standard_form_and_says_what_it_is_for(
    make_wheel: MakeWheel, path: Path
) -> None:
    make_wheel("redfish", needs=("bluefish>=2 ; python_version >= '3.12'",))
    make_wheel("bluefish", "2.1")
    _lock(path, "RedFish>=1")
    said = tomllib.loads(path.read_text())
    assert said["lock-version"] == "1.0"
    assert said["tool"]["massgen-bridge"] == {"python": ">=3.11", "requirements": ["redfish>=1"]}
    packages = {one["name"]: one for one in said["packages"]}
    assert packages["redfish"]["version"] == "1.0"
    assert len(packages["redfish"]["wheels"][0]["hashes"]["sha256"]) == 64
    # It holds for other Pythons than this one, too.
    assert packages["bluefish"]["marker"] == "python_full_version >= '3.12'"
    assert path.read_text().startswith("# Written by `massgen-bridge env lock`")


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_package_of_another_content_than_the_lock_says_is_refused(
    installer: str,
    make_wheel: MakeWheel,
    path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_wheel("redfish")
    _lock(path, "redfish>=1")
    make_wheel("redfish", needs=("bluefish",))
    monkeypatch.setenv("MASSGEN_BRIDGE_INSTALLER", installer)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "other"))  # it remembers the right one
    with pytest.raises(EnvironmentFailed, match="run `massgen-bridge env lock` again"):
        Environments().build(request_of(_place("redfish>=1", lock=path)))
    assert Environments().list() == ()


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        (("redfish>=2",), "'redfish>=2' is required, and it has redfish ==1.0"),
        (("redfish>=1", "greenfish>=1"), "'greenfish>=1' is required, and it has no 'greenfish'"),
        (("redfish[more]>=1",), r"it was not made for 'redfish\[more\]>=1'"),
    ],
)
def test_a_lock_that_does_not_fit_any_more_is_an_error_that_says_so(
    asked: tuple[str, ...], problem: str, make_wheel: MakeWheel, path: Path
) -> None:
    make_wheel("redfish")
    _lock(path, "redfish>=1")
    with pytest.raises(ConfigError, match=f"does not fit any more: {problem}; run") as caught:
        request_of(_place(*asked, lock=path))
    assert caught.value.file == str(path)
    # A higher floor that the locked version meets is no reason to lock anew.
    assert request_of(_place("redfish>=0.9", lock=path)).pins


_HEAD = 'lock-version = "1.0"\ncreated-by = "x"\n'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no lock in the format of pylock.toml"),
        ("{", "no lock in the format of pylock.toml"),
        ('lock-version = "2.0"\npackages = []\n', "has version '2.0', and 1.0 is known"),
        (f"{_HEAD}packages = [1]\n", "no lock in the format of pylock.toml"),
        (f'{_HEAD}[[packages]]\nname = "redfish"\n', "'redfish' has no sha256"),
        (
            f'{_HEAD}[[packages]]\nname = "r"\nvcs = {{ type = "git", url = "u" }}\n',
            "'r' has no sha256",
        ),
    ],
)
def test_what_is_no_lock_is_refused(text: str, problem: str, path: Path) -> None:
    path.write_text(text)
    with pytest.raises(ConfigError, match=problem) as caught:
        request_of(_place("redfish>=1", lock=path))
    assert caught.value.file == str(path)


def test_a_lock_that_is_gone_is_an_error(path: Path) -> None:
    with pytest.raises(ConfigError, match="this lock cannot be read"):
        read_lock(path)


def test_a_lock_of_another_tool_will_do(path: Path) -> None:
    path.write_text(
        f'{_HEAD}[[packages]]\nname = "Red_Fish"\nversion = "1.5"\n'
        f'[[packages.wheels]]\nurl = "https://x/r-1.5-py3-none-any.whl"\nsize = 700\n'
        f'hashes = {{ sha256 = "aa" }}\n'
        f'[[packages.wheels]]\nurl = "https://x/r-1.5-cp27-cp27m-win32.whl"\nsize = 90\n'
        f'hashes = {{ sha256 = "bb" }}\n'
    )
    request = request_of(_place("red-fish>=1", lock=path))
    assert request.pins == ("red-fish==1.5 --hash=sha256:aa --hash=sha256:bb",)


def test_requirements_of_one_package_by_system_are_each_locked(path: Path) -> None:
    path.write_text(
        f"{_HEAD}"
        '[[packages]]\nname = "redfish"\nversion = "1"\nmarker = "python_version < \'3\'"\n'
        'sdist = { url = "https://x/r-1.tar.gz", hashes = { sha256 = "aa" } }\n'
        '[[packages]]\nname = "redfish"\nversion = "2"\nmarker = "python_version >= \'3\'"\n'
        'sdist = { url = "https://x/r-2.tar.gz", hashes = { sha256 = "bb" } }\n'
    )
    assert len(request_of(_place("redfish>=2", lock=path)).pins) == 2
    with pytest.raises(ConfigError, match="it has redfish ==2"):
        request_of(_place("redfish>=1,<2", lock=path))


def test_requirements_without_a_lowest_version_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"'redfish' has no lowest version.*'redfish>=1\.2'"):
        request_of(_place("redfish", "bluefish>=1"))


def test_versions_that_are_not_there_cannot_be_locked(make_wheel: MakeWheel, path: Path) -> None:
    make_wheel("redfish")
    _lock(path, "redfish>=1")
    before = path.read_bytes()
    with pytest.raises(
        EnvironmentFailed, match=r"^redfish>=2 cannot be locked: uv said: "
    ) as caught:
        _lock(path, "redfish>=2")
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before
    assert sorted(one.name for one in path.parent.glob("*pylock*")) == [path.name]


def test_the_size_of_a_download_is_known_where_files_have_sizes(path: Path) -> None:
    path.write_text(
        f'{_HEAD}[[packages]]\nname = "redfish"\nversion = "1.5"\n'
        'wheels = [{ url = "https://x/redfish-1.5-py3-none-any.whl", size = 700,'
        ' hashes = { sha256 = "aa" } }, { url = "https://x/redfish-1.5-cp27-cp27m-win32.whl",'
        ' size = 90, hashes = { sha256 = "bb" } }]\n'
        '[[packages]]\nname = "bluefish"\nversion = "1"\nmarker = "python_version < \'3\'"\n'
        'wheels = [{ url = "https://x/bluefish-1-py3-none-any.whl", size = 5000,'
        ' hashes = { sha256 = "aa" } }]\n'
    )
    assert estimate(request_of(_place("redfish>=1", lock=path))) == 700


def test_the_size_of_a_download_is_not_made_up(make_wheel: MakeWheel) -> None:
    make_wheel("redfish")
    assert estimate(request_of(_place("redfish>=1"))) is None


@pytest.mark.usefixtures("links")
def test_a_cache_that_cannot_be_written_is_a_clear_error(cache: Path, path: Path) -> None:
    cache.write_text("no folder")
    with pytest.raises(EnvironmentFailed, match="set MASSGEN_BRIDGE_CACHE to one that is"):
        _lock(path, "redfish>=1")


def test_a_folder_that_cannot_be_written_is_a_clear_error(
    make_wheel: MakeWheel, tmp_path: Path
) -> None:
    make_wheel("redfish")
    with pytest.raises(EnvironmentFailed, match="the lock cannot be written to"):
        _lock(tmp_path / "nowhere" / "pylock.a.toml", "redfish>=1")
