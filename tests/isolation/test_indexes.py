"""The user's settings for pip and uv, as the installers get them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from massgen_bridge.isolation.indexes import installer_environ, without_index

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def pip_conf(tmp_path: Path) -> Path:
    """A user's settings for pip."""
    path = tmp_path / "pip.conf"
    path.write_text(
        "[global]\nindex-url = https://me:word@pip.example/simple\n"
        "extra-index-url =\n    https://one.example/simple\n    https://two.example/simple\n"
        "find-links = /wheels\ntrusted-host = pip.example\ncert = /ca.pem\n"
        "[install]\nno-index = true\n[list]\nformat = columns\n"
    )
    return path


def _environ(**more: str) -> dict[str, str]:
    return {"UV_CONFIG_FILE": os.devnull, "PIP_CONFIG_FILE": os.devnull, "PATH": "/bin", **more}


def test_uv_gets_the_settings_of_pip_in_its_own_words(pip_conf: Path) -> None:
    given = installer_environ(_environ(PIP_CONFIG_FILE=str(pip_conf)))
    assert given["UV_DEFAULT_INDEX"] == "https://me:word@pip.example/simple"
    assert given["UV_INDEX"] == "https://one.example/simple https://two.example/simple"
    assert given["UV_INDEX_STRATEGY"] == "unsafe-best-match"
    assert given["UV_FIND_LINKS"] == "/wheels"
    assert given["UV_INSECURE_HOST"] == "pip.example"
    assert given["SSL_CERT_FILE"] == "/ca.pem"
    assert without_index(_environ(PIP_CONFIG_FILE=str(pip_conf)))


def test_a_variable_of_pip_wins_over_its_file(pip_conf: Path) -> None:
    environ = _environ(
        PIP_CONFIG_FILE=str(pip_conf), PIP_INDEX_URL="https://other.example", PIP_NO_INDEX="0"
    )
    assert installer_environ(environ)["UV_DEFAULT_INDEX"] == "https://other.example"
    assert not without_index(environ)


def test_uv_keeps_to_its_own_settings_where_it_has_some(pip_conf: Path, tmp_path: Path) -> None:
    pip = {"PIP_CONFIG_FILE": str(pip_conf)}
    of_variable = installer_environ(_environ(**pip, UV_DEFAULT_INDEX="https://uv.example"))
    assert of_variable["UV_DEFAULT_INDEX"] == "https://uv.example"
    assert "UV_FIND_LINKS" not in of_variable
    uv_toml = tmp_path / "uv.toml"
    uv_toml.write_text('[[index]]\nurl = "https://uv.example"\n')
    assert "UV_DEFAULT_INDEX" not in installer_environ(_environ(**pip, UV_CONFIG_FILE=str(uv_toml)))
    assert not without_index(_environ(**pip, UV_CONFIG_FILE=str(uv_toml)))


def test_without_settings_nothing_is_set() -> None:
    given = installer_environ(_environ())
    assert [name for name in given if name.startswith("UV_")] == ["UV_CONFIG_FILE"]


def test_a_file_of_pip_that_cannot_be_read_is_left_to_pip(tmp_path: Path) -> None:
    path = tmp_path / "pip.conf"
    path.write_text("no section\n")
    assert installer_environ(_environ(PIP_CONFIG_FILE=str(path)))["PATH"] == "/bin"


@pytest.mark.parametrize(
    "name", ["PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PIP_TARGET", "PIP_PREFIX", "UV_PYTHON"]
)
def test_what_would_send_packages_elsewhere_is_left_out(name: str) -> None:
    given = installer_environ(_environ(**{name: "/elsewhere"}, PIP_USER="1"))
    assert name not in given
    assert given["PIP_USER"] == "0"
    assert given["PATH"] == "/bin"
