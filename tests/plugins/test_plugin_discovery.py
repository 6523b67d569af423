"""Plugins are found one by one; what is wrong with one of them costs only that one."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from extension_package.installing import FOLDERS, installed

import massgen_bridge
from massgen_bridge.errors import AdapterMissing, BridgeError, ConfigError, DuplicateName
from massgen_bridge.plugins import AdapterInfo, PluginHost, PluginInfo
from massgen_bridge.plugins.loading import ALLOW_LIST_VARIABLE, BUILT_IN_KINDS

ROOT = Path(__file__).parents[2]

# What is wrong with each of the broken distributions, in the words that people get to see.
BROKEN = {
    "broken": "ImportError: no module named 'framework'",
    "exits": "SystemExit: 3",
    "asynchronous": "'bridge_adapters' is asynchronous",
    "misspelt": "there is no hook 'bridge_adapter'; did you mean 'bridge_adapters'?",
    "raising": "bridge_adapters failed: RuntimeError: out of order",
    "outdated": "unexpected keyword argument 'shape'",
}


def _adapter(host: PluginHost, kind: str) -> AdapterInfo:
    return next(info for info in host.adapters() if info.kind == kind)


def _plugin(host: PluginHost, name: str) -> PluginInfo:
    return next(info for info in host.plugins() if info.name == name)


def test_an_installed_distribution_offers_all_that_it_registers(tmp_path: Path) -> None:
    with installed(tmp_path, "good"):
        host = PluginHost()
        assert host.adapter("echo").summary == "Says what it hears."
        assert host.tool("reverse").definition.name == "reverse"
        assert host.sink("lines").summary == "JSON lines."
        assert host.provider("nowhere").name == "nowhere"
        assert [info.name for info in host.tools()] == ["reverse"]
        assert "lines" in [info.name for info in host.sinks()]
        assert {"nowhere", "openai"} <= {info.name for info in host.providers()}
        info = _adapter(host, "echo")
    assert (info.state, info.distribution, info.version) == ("installed", "bridge-echo", "1.2.3")
    assert info.capabilities is not None
    assert info.install is info.problem is None


def test_every_broken_plugin_is_listed_with_its_reason_and_hurts_nobody_else(
    tmp_path: Path,
) -> None:
    with installed(tmp_path, *FOLDERS):
        host = PluginHost()
        assert host.adapter("echo").kind == "echo"
        assert host.adapter("scripted").kind == "scripted"
        for name, reason in BROKEN.items():
            info = _adapter(host, name)
            assert (info.state, info.distribution) == ("broken", f"bridge-{name}")
            assert reason in str(info.problem)
            assert any(reason in problem for problem in _plugin(host, name).problems)


@pytest.mark.parametrize("name", BROKEN)
def test_asking_for_a_broken_kind_tells_what_is_wrong_with_it(name: str, tmp_path: Path) -> None:
    with installed(tmp_path, name), pytest.raises(AdapterMissing) as caught:
        PluginHost().adapter(name)
    assert BROKEN[name] in str(caught.value)
    assert f"'bridge-{name}' 1.2.3" in str(caught.value)


def test_a_broken_plugin_tells_which_release_it_was_made_for(tmp_path: Path) -> None:
    told = f"it was made for massgen-bridge>=0.0.7,<0.1, and this is {massgen_bridge.__version__}"
    with installed(tmp_path, "outdated"):
        host = PluginHost()
        assert told in str(_adapter(host, "outdated").problem)
        assert told in _plugin(host, "outdated").problems
        with pytest.raises(AdapterMissing, match=f"; {re.escape(told)}$"):
            host.adapter("outdated")


def test_a_name_that_two_distributions_claim_is_an_error_when_it_is_used(tmp_path: Path) -> None:
    with installed(tmp_path, "first", "second"):
        host = PluginHost()
        assert host.tool("first").definition.name == "first"
        assert host.tool("second").definition.name == "second"
        assert _adapter(host, "twin").state == "duplicate"
        with pytest.raises(DuplicateName) as caught:
            host.adapter("twin")
    assert "'bridge-first'" in str(caught.value)
    assert "'bridge-second'" in str(caught.value)


def test_code_cannot_silently_replace_an_installed_kind(tmp_path: Path) -> None:
    with installed(tmp_path, "good"):
        bridge_echo = __import__("bridge_echo")

        class Another:
            bridge_adapters = staticmethod(bridge_echo.bridge_adapters)

        host = PluginHost()
        host.register(Another(), name="another")
        with pytest.raises(DuplicateName, match=r"'bridge-echo' 1\.2\.3 and by code '.*Another'"):
            host.adapter("echo")


def test_a_duplicate_tool_or_provider_is_an_error_when_it_is_used(tmp_path: Path) -> None:
    with installed(tmp_path, "good"):
        bridge_echo = __import__("bridge_echo")

        class Another:
            bridge_providers = staticmethod(bridge_echo.bridge_providers)
            bridge_tools = staticmethod(bridge_echo.bridge_tools)

        host = PluginHost()
        host.register(Another(), name="another")
        for find in (lambda: host.tool("reverse"), lambda: host.provider("nowhere")):
            with pytest.raises(DuplicateName, match="'bridge-echo'"):
                find()
        assert host.provider("openai").name == "openai"
        assert [info.state for info in host.tools()] == ["duplicate"]


@pytest.mark.parametrize(
    ("setting", "there"),
    [("", set()), ("echo", {"echo"}), (" echo , twin ", {"echo", "twin"}), ("scripted", set())],
)
def test_the_allow_list_names_the_entry_points_that_are_loaded(
    setting: str, there: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ALLOW_LIST_VARIABLE, setting)
    with installed(tmp_path, "good", "first", "exits"):
        host = PluginHost()
        names = {info.name for info in host.plugins() if info.source == "entry point"}
        assert names == there
        assert host.adapter("python").kind == "python"
        with pytest.raises(AdapterMissing, match=f"{ALLOW_LIST_VARIABLE} leaves it out"):
            host.adapter("exits")


def test_a_name_in_the_allow_list_that_is_not_installed_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ALLOW_LIST_VARIABLE, "ehco")
    with installed(tmp_path, "good"):
        (problem,) = _plugin(PluginHost(), "ehco").problems
    assert "not installed; did you mean 'echo'?" in problem


def test_an_unknown_kind_is_an_error_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match=r"unknown agent kind 'scripd'; did you mean 'scripted'"):
        PluginHost().adapter("scripd")


def test_an_unknown_kind_is_told_together_with_broken_plugins(tmp_path: Path) -> None:
    with installed(tmp_path, "broken"), pytest.raises(ConfigError, match="broken plugins: 'broken"):
        PluginHost().adapter("fancy")


def test_a_kind_that_is_not_installed_comes_with_the_command_that_installs_it() -> None:
    host = PluginHost(entry_points=False)
    command = "pip install 'massgen-bridge[openai]'"
    with pytest.raises(AdapterMissing) as caught:
        host.adapter("openai")
    assert command in str(caught.value)
    info = _adapter(host, "openai")
    assert (info.state, info.install) == ("installable", command)


def test_nobody_is_told_to_install_what_does_not_exist_yet() -> None:
    host = PluginHost(entry_points=False)
    with pytest.raises(AdapterMissing, match="planned, but not available yet") as caught:
        host.adapter("claude_code")
    assert "pip" not in str(caught.value)
    info = _adapter(host, "claude_code")
    assert (info.state, info.install) == ("planned", None)


@pytest.mark.parametrize("what", ["tool", "strategy", "sink", "provider"])
def test_an_unknown_name_of_any_other_sort_is_an_error_that_lists_the_known_ones(what: str) -> None:
    host = PluginHost(entry_points=False)
    with pytest.raises(ConfigError, match=f"unknown {what} 'consensu'.*known: "):
        getattr(host, what)("consensu")


def test_what_is_built_in_needs_no_metadata() -> None:
    host = PluginHost(entry_points=False)
    assert {host.adapter(kind).kind for kind in BUILT_IN_KINDS} == set(BUILT_IN_KINDS)
    assert {"consensus", "single"} <= {info.name for info in host.strategies()}
    assert {"local", "openai"} <= {info.name for info in host.providers()}
    assert {info.source for info in host.plugins()} == {"built-in"}
    assert all(not info.problems for info in host.plugins())


def test_the_entry_points_of_the_core_are_those_that_are_built_in() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["massgen_bridge"] == BUILT_IN_KINDS


def test_listing_the_adapters_imports_no_framework() -> None:
    script = (
        "import json, sys\n"
        "from massgen_bridge.plugins import PluginHost\n"
        "states = {one.kind: one.state for one in PluginHost().adapters()}\n"
        "print(json.dumps([states, sorted(sys.modules)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True
    )
    states, modules = json.loads(done.stdout)
    assert {"openai": "installed", "langchain": "installed"}.items() <= states.items()
    heavy = {"openai", "langchain", "langchain_core", "langgraph", "httpx", "rich", "ruamel"}
    slow = {"anyio", "email.parser", "massgen_bridge.events", "massgen_bridge.verdicts"}
    assert (heavy | slow) & set(modules) == set()


def test_of_a_distribution_that_is_there_twice_the_first_on_the_path_counts(tmp_path: Path) -> None:
    offering, silent = tmp_path / "offering", tmp_path / "silent"
    silent.mkdir()
    with installed(offering, "good") as target:
        (metadata,) = target.glob("*.dist-info")
        copy = silent / metadata.name.replace("bridge_echo", "Bridge.Echo")
        shutil.copytree(metadata, copy)
        sys.path.insert(0, str(silent))
        try:
            assert _adapter(PluginHost(), "echo").state == "installed"
            (copy / "entry_points.txt").unlink()
            kinds = {info.kind for info in PluginHost().adapters()}
        finally:
            sys.path.remove(str(silent))
    assert "echo" not in kinds


@pytest.mark.parametrize("folder", FOLDERS)
def test_an_installed_plugin_leaves_nothing_behind_for_other_tests(
    folder: str, tmp_path: Path
) -> None:
    with installed(tmp_path, folder):
        names = {info.name for info in PluginHost().plugins()}
    again = {info.name for info in PluginHost().plugins()}
    assert names - again == ({"echo"} if folder == "good" else {"twin"} & names or {folder})


def test_a_plugin_error_is_a_bridge_error(tmp_path: Path) -> None:
    with installed(tmp_path, "first", "second"), pytest.raises(BridgeError):
        PluginHost().adapter("twin")
