"""The exception classes of a package, as its adapter's tests ask for them."""

from __future__ import annotations

import anyio
import pydantic
import pytest

from massgen_bridge import errors
from massgen_bridge.testing.exceptions import exceptions_of


def test_classes_are_found_at_any_depth() -> None:
    found = exceptions_of("massgen_bridge.errors")
    assert errors.BridgeError in found
    assert errors.ContextOverflow in found
    assert [one.__name__ for one in found] == sorted(one.__name__ for one in found)


def test_a_package_stands_for_its_modules_and_for_no_namesake() -> None:
    assert set(exceptions_of("massgen_bridge.errors")) <= set(exceptions_of("massgen_bridge"))
    assert exceptions_of("massgen_bridge.err") == ()
    assert anyio.EndOfStream not in exceptions_of("massgen_bridge")
    assert anyio.EndOfStream in exceptions_of("massgen_bridge", "anyio")


@pytest.mark.parametrize("package", ["pydantic", "pytest"])
def test_warnings_are_none(package: str) -> None:
    assert pydantic.PydanticDeprecatedSince20.__module__.startswith("pydantic")
    assert not any(issubclass(one, Warning) for one in exceptions_of(package))
