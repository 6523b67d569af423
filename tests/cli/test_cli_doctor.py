"""`massgen-bridge doctor`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from extension_package.installing import install

if TYPE_CHECKING:
    from pathlib import Path

    from cli.conftest import Shell


def checks(shell: Shell, **env: str) -> dict[tuple[str, str], dict[str, Any]]:
    found = json.loads(shell("doctor", "--json", **env).stdout)["checks"]
    return {(one["group"], one["name"]): one for one in found}


def test_where_all_is_well_it_says_so(shell: Shell) -> None:
    done = shell("doctor")
    assert done.returncode == 0
    assert done.stdout.endswith("\nnothing is broken\n")
    assert "scripted" in done.stdout


def test_a_broken_plugin_is_found(shell: Shell, tmp_path: Path) -> None:
    install(tmp_path, "broken", "misspelt")
    done = shell("doctor", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stdout.endswith("\n2 broken, see !! above\n")
    found = checks(shell, PYTHONPATH=str(tmp_path))
    assert found["plugins", "broken"]["state"] == "broken"
    assert "bridge-misspelt 1.2.3" in found["plugins", "misspelt"]["detail"]


def test_keys_are_told_of_and_never_shown(shell: Shell) -> None:
    done = shell("doctor", OPENAI_API_KEY="sk-very-secret", HTTPS_PROXY="http://me:word@proxy")
    assert "OPENAI_API_KEY is set" in done.stdout
    assert "HTTPS_PROXY" in done.stdout
    assert "very-secret" not in done.stdout
    assert "word" not in done.stdout


def test_certificates_that_are_not_there_are_broken(shell: Shell) -> None:
    found = checks(shell, SSL_CERT_FILE="/nowhere/ca.pem")
    assert found["network", "SSL_CERT_FILE"]["state"] == "broken"


def test_a_folder_that_is_none_is_broken(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = checks(shell, MASSGEN_BRIDGE_DATA=str(tmp_path / "file"))
    assert found["folders", "runs"]["state"] == "broken"


def test_weights_of_ones_own_that_are_not_there_are_broken(shell: Shell) -> None:
    found = checks(shell, MASSGEN_BRIDGE_LOCAL_GGUF="/nowhere/model.gguf")
    assert found["local model", "weights"]["state"] == "broken"
