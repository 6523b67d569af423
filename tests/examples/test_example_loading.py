"""Each example hook works in all three ways that plugins come: file, module and distribution."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from extension_package.installing import installed

from massgen_bridge import run
from massgen_bridge.plugins import PluginHost, PluginInfo

EXAMPLES = sorted((Path(__file__).parents[2] / "examples" / "hooks").glob("*.py"))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def _by_file(example: Path, folder: Path, stack: ExitStack) -> PluginHost:
    del folder, stack
    host = PluginHost(entry_points=False)
    host.load_plugins([f"./{example.name}"], example.parent)
    return host


def _by_module(example: Path, folder: Path, stack: ExitStack) -> PluginHost:
    package = folder / "company"
    package.mkdir()
    shutil.copy(example, package)
    stack.callback(_forget, "company")
    host = PluginHost(entry_points=False)
    host.load_plugins([f"company.{example.stem}"], folder)
    return host


def _by_distribution(example: Path, folder: Path, stack: ExitStack) -> PluginHost:
    _distribute(example, folder / "source")
    stack.enter_context(installed(folder / "site", str(folder / "source")))
    return PluginHost()


def _distribute(example: Path, project: Path) -> None:
    """A project as its author has it: a package and a pyproject that names it."""
    package = project / "bridge_example"
    package.mkdir(parents=True)
    shutil.copy(example, package / "__init__.py")
    (project / "pyproject.toml").write_text(
        '[project]\nname = "bridge-example"\nversion = "1.0"\n'
        f'[project.entry-points.massgen_bridge]\n{example.stem} = "bridge_example"\n'
    )


def _forget(package: str) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]


def _registered(host: PluginHost) -> list[str]:
    infos = (host.tools, host.strategies, host.sinks, host.providers)
    kinds = [one.name for one in host.adapters() if one.state == "installed"]
    return kinds + [one.name for each in infos for one in each()]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_offers_the_same_however_it_comes(
    example: Path, tmp_path: Path, stack: ExitStack
) -> None:
    alone = PluginHost(entry_points=False)
    before = _registered(alone)
    seen: list[tuple[tuple[str, ...], list[str]]] = []
    for source, load in (
        ("configuration", _by_file),
        ("configuration", _by_module),
        ("entry point", _by_distribution),
    ):
        host = load(example, tmp_path, stack)
        (info,) = (one for one in host.plugins() if _is(one, example))
        assert (info.source, info.problems) == (source, ())
        assert info.hooks
        offered = _registered(host)
        seen.append((info.hooks, [name for name in offered if name not in before]))
    from_file, from_module, (hooks, offered) = seen
    assert from_file == from_module
    assert hooks == from_file[0]
    assert set(from_file[1]) <= set(offered)


def _is(info: PluginInfo, example: Path) -> bool:
    return example.stem in info.name


CONFIG = """
version: 1
{plugins}
agents:
  - id: ada
    backend: {{type: scripted, answers: [Write to ada@example.com., It is easy to read.]}}
strategy: single
"""


@pytest.mark.parametrize("way", ["file", "module", "distribution", "nothing"])
def test_a_run_goes_by_a_hook_however_it_comes(way: str, tmp_path: Path, stack: ExitStack) -> None:
    (example,) = (path for path in EXAMPLES if path.stem == "filter_answers")
    plugins = ""
    if way == "distribution":
        _distribute(example, tmp_path / "source")
        stack.enter_context(installed(tmp_path / "site", str(tmp_path / "source")))
    elif way != "nothing":
        stack.callback(_forget, "our_filter")
        shutil.copy(example, tmp_path / "our_filter.py")
        plugins = f"plugins: [{'our_filter' if way == 'module' else './our_filter.py'}]"
    config = tmp_path / "team.yaml"
    config.write_text(CONFIG.format(plugins=plugins))
    answer = run(config, "Why learn Python?", trust=True, keep=False).answer
    expected = "Write to ada@example.com." if way == "nothing" else "It is easy to read."
    assert answer == expected
