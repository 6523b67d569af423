"""First-party adapters that are not installed come with the core, and are loaded when needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from isolation.core_alone import CoreAlone

from massgen_bridge.plugins import catalogue
from massgen_bridge.plugins.bundled import bundled_source

if TYPE_CHECKING:
    from pathlib import Path

BUNDLED = sorted(
    kind
    for kind, entry in catalogue().items()
    if entry.package is not None and entry.status == "available"
)

LISTED = """\
import json, sys
from massgen_bridge.plugins import PluginHost
host = PluginHost()
found = {one.kind: [one.state, one.source, one.distribution] for one in host.adapters()}
imported = sorted(name for name in sys.modules if name.startswith("massgen_bridge_"))
print(json.dumps({"found": found, "imported": imported}))
"""

ASKED = """\
import json, sys
from massgen_bridge.plugins import PluginHost
host = PluginHost()
host.strategies()
spec, info = host.adapter("openai"), {one.kind: one for one in host.adapters()}["openai"]
same = host.adapter("openai") is spec
origin, plugin = host.origin("openai"), {one.name: one for one in host.plugins()}["openai"]
told = [spec.summary == info.summary, same, info.state, origin.module, origin.source, plugin.source]
print(json.dumps([*told, "openai" in sys.modules]))
"""

REFUSED = """\
import json
from massgen_bridge.errors import AdapterMissing
from massgen_bridge.plugins import PluginHost
host = PluginHost()
try:
    host.adapter("openai")
except AdapterMissing as error:
    problems = {one.name: one.problems for one in host.plugins()}.get("langchain", ())
    print(json.dumps([str(error), host.adapter("langchain").kind, problems]))
"""

CLAIMED = """\
import json
from massgen_bridge import AdapterSpec, hookimpl
from massgen_bridge.plugins import PluginHost

class Own:
    @hookimpl
    def bridge_adapters(self):
        return [AdapterSpec(kind="openai", summary="My own.", factory=None)]

host = PluginHost()
first = host.adapter("openai").summary
host.register(Own())
print(json.dumps([first == host.adapter("openai").summary, host.adapter("openai").summary]))
"""


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> CoreAlone:
    return CoreAlone(tmp_path_factory.mktemp("alone"), without=("openai",))


@pytest.mark.parametrize("kind", BUNDLED)
def test_the_core_comes_with_every_first_party_adapter(kind: str) -> None:
    package = catalogue()[kind].package
    assert package is not None
    folder = bundled_source(package)
    assert folder is not None
    assert (folder / package / "__init__.py").is_file()


def test_a_listing_tells_of_them_without_importing_one(alone: CoreAlone) -> None:
    told = alone.ask(LISTED)
    assert told["imported"] == []
    for kind in BUNDLED:
        assert told["found"][kind] == ["bundled", "bundled", "massgen-bridge"]
    assert told["found"]["scripted"] == ["installed", "built-in", "massgen-bridge"]


def test_one_is_loaded_when_it_is_asked_for_and_its_framework_is_not(alone: CoreAlone) -> None:
    ready = [True, True, "bundled", "massgen_bridge_openai", "bundled", "bundled"]
    assert alone.ask(ASKED) == [*ready, False]


def test_an_installed_one_is_taken_first(alone: CoreAlone, tmp_path: Path) -> None:
    package = tmp_path / "massgen_bridge_openai"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from massgen_bridge import AdapterSpec, hookimpl\n"
        "@hookimpl\n"
        "def bridge_adapters():\n"
        "    return [AdapterSpec(kind='openai', summary='Installed.', factory=None)]\n"
    )
    metadata = tmp_path / "massgen_bridge_openai-9.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: massgen-bridge-openai\nVersion: 9\n"
    )
    (metadata / "entry_points.txt").write_text("[massgen_bridge]\nopenai = massgen_bridge_openai\n")
    path = f"{tmp_path}:{alone.env['PYTHONPATH']}"
    told = alone.ask(LISTED, PYTHONPATH=path)
    assert told["found"]["openai"] == ["installed", "entry point", "massgen-bridge-openai"]


def test_another_plugin_that_offers_the_kind_is_taken_first(alone: CoreAlone) -> None:
    assert alone.ask(CLAIMED) == [False, "My own."]


def test_the_allow_list_holds_for_them_too(alone: CoreAlone) -> None:
    told, kind, problems = alone.ask(REFUSED, MASSGEN_BRIDGE_PLUGINS="langchain")
    assert told == "agent kind 'openai' is installed, but MASSGEN_BRIDGE_PLUGINS leaves it out"
    assert (kind, problems) == ("langchain", [])
