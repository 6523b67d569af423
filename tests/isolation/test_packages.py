"""Whether what adapters require is installed here."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from isolation.distributions import write_distribution
from packaging.specifiers import SpecifierSet

from massgen_bridge.errors import ConfigError
from massgen_bridge.isolation.packages import Packages, _compared

if TYPE_CHECKING:
    from pathlib import Path


def test_an_installed_version_within_the_bounds_meets_a_requirement(site: Path) -> None:
    write_distribution(site, "a-framework", "1.10.2")
    packages = Packages()
    assert packages.version("a-framework") == "1.10.2"
    met = ("a-framework", "a_framework>=1.9", "A-Framework>=1.10.2,<2", "a-framework~=1.10")
    assert packages.unmet(met) == ()
    assert packages.unmet(("a-framework>=1.11", "a-framework==1.9.*")) == (
        "a-framework>=1.11 (installed: 1.10.2)",
        "a-framework==1.9.* (installed: 1.10.2)",
    )


def test_what_is_not_installed_is_told(site: Path) -> None:
    del site
    assert Packages().unmet(["no-such-framework>=1", "no-such-framework~=1.0"]) == (
        "no-such-framework>=1 (not installed)",
        "no-such-framework~=1.0 (not installed)",
    )


def test_a_pre_release_counts_where_it_is_the_one_that_is_installed(site: Path) -> None:
    write_distribution(site, "a-framework", "2.0rc1")
    assert Packages().unmet(["a-framework>=1.5"]) == ()
    assert Packages().unmet(["a-framework>=2"]) == ("a-framework>=2 (installed: 2.0rc1)",)


def test_an_extra_is_met_only_with_what_it_requires_itself(site: Path) -> None:
    write_distribution(
        site,
        "a-framework",
        "1.2",
        'client>=3 ; extra == "client"',
        'a-framework[client] ; extra == "all"',
        'a-framework[all] ; extra == "all"',
        'never ; python_version < "3" and extra == "client"',
        "base-library",
    )
    assert Packages().unmet(["a-framework>=1"]) == ()
    wanted = "client, which a-framework[client] needs"
    assert Packages().unmet(["a-framework[client]>=1"]) == (
        f"a-framework[client]>=1 ({wanted}: not installed)",
    )
    write_distribution(site, "client", "2.9")
    assert Packages().unmet(["a-framework[client]>=1"]) == (
        f"a-framework[client]>=1 ({wanted}: installed: 2.9)",
    )
    (lack,) = Packages().unmet(["a-framework[all]>=1"])
    assert "client" in lack
    (site / "client-2.9.dist-info").rename(site / "client-3.1.dist-info")
    (site / "client-3.1.dist-info" / "METADATA").write_text("Name: client\nVersion: 3.1\n")
    assert Packages().unmet(["a-framework[client]>=1", "a-framework[all]>=1"]) == ()


def test_a_marker_that_does_not_hold_here_asks_for_nothing(site: Path) -> None:
    del site
    assert Packages().unmet(['no-such-framework ; python_version < "3"']) == ()
    assert Packages().unmet(['no-such-framework ; python_version > "3"']) != ()


def test_what_an_uninstallation_left_behind_does_not_count(site: Path) -> None:
    write_distribution(site, "a-framework", None)
    assert Packages().version("a-framework") is None
    assert Packages().unmet(["a-framework>=1"]) == ("a-framework>=1 (not installed)",)


def test_what_is_no_requirement_is_an_error() -> None:
    with pytest.raises(ConfigError, match="'a framework' is no pip requirement"):
        Packages().unmet(["a framework"])


def test_this_python_is_held_against_a_specifier() -> None:
    packages = Packages()
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert packages.suits(f">={here}")
    assert packages.suits(f"=={here}.*")
    assert not packages.suits(f"<{here}")
    assert not packages.suits(">=99")


RELEASES = st.lists(st.integers(0, 12), min_size=1, max_size=4).map(
    lambda numbers: ".".join(map(str, numbers))
)
BOUNDS = st.lists(
    st.tuples(st.sampled_from([">=", "<"]), RELEASES).map("".join), min_size=1, max_size=3
).map(",".join)


@given(version=RELEASES, bounds=BOUNDS)
def test_plain_bounds_are_compared_as_packaging_compares_them(version: str, bounds: str) -> None:
    assert _compared(version, bounds) == SpecifierSet(bounds).contains(version, prereleases=True)
