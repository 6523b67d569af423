"""Code that a configuration names runs only when its very content has been allowed."""

from __future__ import annotations

import json
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest
from extension_package.installing import installed

from massgen_bridge.config import (
    CodeReference,
    RunConfig,
    code_references,
    is_trusted,
    load_config,
    open_config,
    require,
    trust,
)
from massgen_bridge.config.trust import trust_file
from massgen_bridge.errors import TrustRequired
from massgen_bridge.plugins import PluginHost

HOST = PluginHost()
TEAM = """\
version: 1
agents:
  - id: ada
    backend: {type: python, function: "mine.py:answer"}
  - id: bob
    backend: {type: scripted}
"""
PLUGIN = """\
from pathlib import Path
from massgen_bridge import AdapterSpec, NoOptions, hookimpl

Path(__file__).with_name("imported").touch()

class Options(NoOptions):
    code: str

@hookimpl
def bridge_adapters():
    return [
        AdapterSpec(
            kind="own", summary="Own.", factory=print, options=Options, imports_code=("code",)
        )
    ]
"""


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "settings"
    monkeypatch.setenv("MASSGEN_BRIDGE_CONFIG", str(folder))
    return folder / "trust.json"


@pytest.fixture
def team(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text("def answer(question): ...\n")
    path = tmp_path / "team.yaml"
    path.write_text(TEAM)
    return path


def _load(path: Path) -> RunConfig:
    return load_config(path, HOST)


def test_a_configuration_without_code_needs_no_trust(team: Path) -> None:
    team.write_text(TEAM.replace('python, function: "mine.py:answer"', "scripted"))
    config = _load(team)
    assert code_references(config, HOST) == ()
    require(config, HOST)


def test_every_place_that_imports_code_is_listed_without_importing_it(team: Path) -> None:
    team.write_text(TEAM.replace("agents:", "plugins: [json, ./hooks.py]\nagents:"))
    (team.parent / "hooks.py").write_text(PLUGIN)
    references = code_references(_load(team), HOST)
    assert [str(one) for one in references] == [
        "plugins[0] imports 'json'",
        "plugins[1] imports './hooks.py'",
        "agents[0].backend.function imports 'mine.py:answer'",
    ]
    assert references[1].files == (team.parent / "hooks.py",)
    assert references[2].files == (team.parent / "mine.py",)
    assert not (team.parent / "imported").exists()


def test_without_leave_the_error_lists_what_would_be_imported_and_how_to_allow_it(
    team: Path,
) -> None:
    with pytest.raises(TrustRequired) as caught:
        require(_load(team), HOST)
    text = str(caught.value)
    assert text.startswith(f"{team}: this configuration imports code")
    assert "agents[0].backend.function imports 'mine.py:answer'" in text
    assert "--trust" in text


def test_leave_given_once_in_a_script_is_not_remembered(team: Path, store: Path) -> None:
    require(_load(team), HOST, trust=True)
    assert not is_trusted(_load(team), HOST)
    assert not store.exists()


def test_a_yes_is_remembered_for_exactly_this_content(team: Path) -> None:
    asked: list[Sequence[CodeReference]] = []

    def ask(references: Sequence[CodeReference]) -> bool:
        asked.append(references)
        return True

    require(_load(team), HOST, ask=ask)
    require(_load(team), HOST, ask=ask)
    assert len(asked) == 1
    assert asked[0] == code_references(_load(team), HOST)


def test_a_no_is_an_error_and_nothing_is_remembered(team: Path, store: Path) -> None:
    with pytest.raises(TrustRequired):
        require(_load(team), HOST, ask=lambda _references: False)
    assert not store.exists()


@pytest.mark.parametrize("changed", ["team.yaml", "mine.py"])
def test_a_change_of_the_file_or_of_its_code_asks_again(changed: str, team: Path) -> None:
    trust(_load(team), HOST)
    assert is_trusted(_load(team), HOST)
    path = team.parent / changed
    path.write_text(f"{path.read_text()}# changed\n")
    assert not is_trusted(_load(team), HOST)


def test_a_change_of_a_module_beside_the_file_asks_again(team: Path) -> None:
    package = team.parent / "trusted_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "agents.py").write_text("def answer(question): ...\n")
    team.write_text(TEAM.replace("mine.py:answer", "trusted_package.agents:answer"))
    trust(_load(team), HOST)
    assert is_trusted(_load(team), HOST)
    (package / "__init__.py").write_text("x = 1\n")
    assert not is_trusted(_load(team), HOST)


def test_code_that_appears_later_asks_again(team: Path) -> None:
    (team.parent / "mine.py").unlink()
    trust(_load(team), HOST)
    assert is_trusted(_load(team), HOST)
    (team.parent / "mine.py").write_text("")
    assert not is_trusted(_load(team), HOST)


def test_bytes_cannot_move_between_the_file_and_its_code(team: Path) -> None:
    trust(_load(team), HOST)
    team.write_text(f"{TEAM}# tail\n")
    (team.parent / "mine.py").write_text("def answer(question): ...\n")
    assert not is_trusted(_load(team), HOST)


def test_the_same_content_elsewhere_is_trusted_too(team: Path, tmp_path: Path) -> None:
    trust(_load(team), HOST)
    other = tmp_path / "other"
    other.mkdir()
    for name in ("team.yaml", "mine.py"):
        (other / name).write_bytes((tmp_path / name).read_bytes())
    assert is_trusted(_load(other / "team.yaml"), HOST)


def test_several_configurations_are_remembered(team: Path) -> None:
    other = team.with_name("other.yaml")
    other.write_text(f"{TEAM}ui: {{display: none}}\n")
    for path in (team, other):
        trust(_load(path), HOST)
    assert is_trusted(_load(team), HOST)
    assert is_trusted(_load(other), HOST)


def test_a_text_without_a_file_needs_trust_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = load_config(TEAM, HOST)
    assert not is_trusted(config, HOST)
    trust(config, HOST)
    assert is_trusted(load_config(TEAM, HOST), HOST)


def test_values_from_python_need_no_trust() -> None:
    backend = {"type": "python", "function": "mine.py:answer"}
    config = load_config({"version": 1, "agents": [{"id": "a", "backend": backend}]}, HOST)
    assert is_trusted(config, HOST)


def test_what_is_remembered_is_for_the_user_alone(team: Path, store: Path) -> None:
    trust(_load(team), HOST)
    assert stat.S_IMODE(store.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.parent.stat().st_mode) == 0o700
    (entry,) = json.loads(store.read_text())["trusted"].values()
    assert entry["file"] == str(team)
    assert [path.name for path in store.parent.iterdir()] == ["trust.json"]


@pytest.mark.parametrize("damaged", ["", "[]", '{"trusted": []}', "\0"])
def test_a_damaged_store_trusts_nothing_and_is_replaced(
    damaged: str, team: Path, store: Path
) -> None:
    store.parent.mkdir()
    store.write_text(damaged)
    assert not is_trusted(_load(team), HOST)
    trust(_load(team), HOST)
    assert is_trusted(_load(team), HOST)


def test_a_yes_counts_even_where_it_cannot_be_remembered(team: Path, store: Path) -> None:
    store.parent.write_text("a file where a folder should be")
    require(_load(team), HOST, ask=lambda _references: True)
    with pytest.raises(OSError, match="settings"):
        trust(_load(team), HOST)


def test_without_the_variable_the_users_own_folder_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MASSGEN_BRIDGE_CONFIG")
    assert trust_file().parts[-2:] == ("massgen-bridge", "trust.json")


# --- from file to run -----------------------------------------------------------------------------


def test_opening_asks_before_anything_is_imported(team: Path) -> None:
    team.write_text(
        "version: 1\nplugins: [./hooks.py]\nagents:\n"
        "  - id: ada\n    backend: {type: own, code: 'mine.py:answer'}\n"
    )
    (team.parent / "hooks.py").write_text(PLUGIN)
    with pytest.raises(TrustRequired, match=r"plugins\[0\] imports './hooks\.py'"):
        open_config(team, PluginHost())
    assert not (team.parent / "imported").exists()
    config = open_config(team, PluginHost(), trust=True)
    assert config.agent_options["ada"].model_dump() == {"code": "mine.py:answer"}


def test_code_that_a_plugins_kind_names_is_asked_for_once_the_plugin_is_there(team: Path) -> None:
    team.write_text(
        "version: 1\nplugins: [./hooks.py]\nagents:\n"
        "  - id: ada\n    backend: {type: own, code: 'mine.py:answer'}\n"
    )
    (team.parent / "hooks.py").write_text(PLUGIN)
    asked: list[list[str]] = []

    def ask(references: Sequence[CodeReference]) -> bool:
        asked.append([one.reference for one in references])
        return True

    for _ in range(2):
        open_config(team, PluginHost(), ask=ask)
    assert asked == [["./hooks.py"], ["./hooks.py", "mine.py:answer"]]


def test_an_installed_kind_says_which_of_its_options_import_code(
    team: Path, tmp_path: Path
) -> None:
    team.write_text(
        "version: 1\nagents:\n  - id: ada\n    backend: {type: echo, code: 'mine.py:answer'}\n"
    )
    with installed(tmp_path / "site", "good"):
        host = PluginHost()
        (reference,) = code_references(load_config(team, host), host)
    assert reference.path == ("agents", 0, "backend", "code")
