"""Where the agents of a kind usually run here, and on which version of their framework."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from isolation.distributions import write_adapter, write_distribution

from massgen_bridge.errors import ConfigError
from massgen_bridge.isolation.choice import environment_requirements
from massgen_bridge.isolation.environments import Environments
from massgen_bridge.isolation.requirements import EnvironmentRequest
from massgen_bridge.isolation.standing import Standings
from massgen_bridge.plugins import PluginHost

if TYPE_CHECKING:
    from pathlib import Path

    from tiny_wheels import MakeWheel

    from massgen_bridge.plugins import AdapterInfo


def _info(kind: str) -> AdapterInfo:
    return next(one for one in PluginHost().adapters() if one.kind == kind)


def test_a_framework_that_is_installed_here_tells_its_version(site: Path) -> None:
    write_adapter(site, "fancy", "fancy-framework>=1", framework="fancy-framework")
    write_distribution(site, "fancy-framework", "1.5")
    assert Standings().of(_info("fancy")) == ("none", None, "1.5")


def test_a_framework_that_cannot_be_stopped_here_has_a_process(site: Path) -> None:
    write_adapter(site, "fancy", "fancy-framework>=1", own_process=True)
    write_distribution(site, "fancy-framework", "1.5")
    assert Standings().of(_info("fancy")) == ("process", None, None)


def test_a_kind_without_a_framework_has_no_version() -> None:
    assert Standings().of(_info("scripted")) == ("none", None, None)


def test_what_cannot_be_read_is_an_error(site: Path) -> None:
    write_adapter(site, "fancy", "fancy framework")
    with pytest.raises(ConfigError, match="'fancy framework' is no pip requirement"):
        Standings().of(_info("fancy"))


def test_an_environment_tells_the_version_in_it_once_it_is_built(
    site: Path, make_wheel: MakeWheel
) -> None:
    for name in ("anyio", "pluggy", "pydantic"):
        make_wheel(name, "99.0")
    make_wheel("fancy_framework", "1.7")
    write_adapter(site, "fancy", "fancy-framework>=1.2", framework="fancy-framework")
    info = _info("fancy")
    assert Standings().of(info) == ("environment", "missing", None)
    request = EnvironmentRequest.of(environment_requirements(info), python=info.python)
    Environments().build(request)
    assert Standings().of(info) == ("environment", "ready", "1.7")
