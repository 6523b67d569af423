"""A pytest plugin that holds a test suite to two promises of the product.

Switch it on with `-p massgen_bridge.testing.guards`, for example in pytest's `addopts`:

- Code of massgen-bridge and of its plugins never blocks the event loop: a blocking call made there
  raises `blockbuster.BlockingError`.
- Nothing leaves the machine: a connection to an address other than loopback raises
  `ConnectionRefusedError`, as does looking up the name of any other host.

Both watch the test process alone, not the processes that it starts.
"""

from __future__ import annotations

import inspect
import ipaddress
import os
import sys
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

import pytest
from blockbuster import BlockBuster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import ModuleType

__all__ = ["blocking_raises", "no_blocking_calls", "pytest_configure", "stay_on_loopback"]

_LOCAL_NAMES = frozenset({"", "localhost"})

# Where a blocking call is right, although the event loop waits for it: (file, function, reason).
_MAY_BLOCK = (
    ("<frozen importlib._bootstrap>", "_find_and_load", "a module is imported once, where used"),
    ("<frozen importlib._bootstrap>", "_lock_unlock_module", "as above, by another thread"),
    ("massgen_bridge/api.py", "run", "waiting is its promise, also in a notebook's running loop"),
)


def _watched_modules() -> list[str]:
    plugins = entry_points(group="massgen_bridge")
    return sorted({"massgen_bridge", *(plugin.module.partition(".")[0] for plugin in plugins)})


@pytest.fixture(scope="session", autouse=True)
def no_blocking_calls() -> Iterator[None]:
    """Let every blocking call from the product's code in an event loop raise."""
    with blocking_raises(_watched_modules()):
        yield


@contextmanager
def blocking_raises(modules: Sequence[str | ModuleType]) -> Iterator[None]:
    """Let every blocking call from some modules in an event loop raise; not from this kit.

    Args:
        modules: Packages or modules, or their names; with everything below them.
    """
    blocker = BlockBuster(scanned_modules=modules, excluded_modules=["massgen_bridge.testing"])
    watched, excluded = _folders(modules), _folders(["massgen_bridge.testing"])
    unwatched = _unwatched(watched, excluded)
    for function in blocker.functions.values():
        for file, name, _reason in _MAY_BLOCK:
            function.can_block_in(file, name)
        if watched:  # nothing named means that everything is watched
            function.can_block_predicate = _either(function.can_block_predicate, unwatched)
    blocker.activate()
    try:
        yield
    finally:
        blocker.deactivate()


def _folders(modules: Sequence[str | ModuleType]) -> tuple[str, ...]:
    """Where modules are that have been imported: the folder of a package, or the file."""
    found = (sys.modules[one] if isinstance(one, str) else one for one in modules)
    places = ([*getattr(one, "__path__", ()), getattr(one, "__file__", None)][0] for one in found)
    return tuple(place for place in places if place)


def _unwatched(watched: tuple[str, ...], excluded: tuple[str, ...]) -> Callable[[], bool]:
    """Whether no line of what is watched waits for a call; what was found of a file is kept.

    blockbuster compares every file on the stack with every place where blocking is right. Most
    calls come from elsewhere than from the product, and are let go here in a fraction of the time.
    """
    known: dict[str, bool] = {}

    def unwatched() -> bool:
        frame = inspect.currentframe()
        while frame is not None:
            file = frame.f_code.co_filename
            if file not in known:
                known[file] = file.startswith(watched) and not file.startswith(excluded)
            if known[file]:
                return False
            frame = frame.f_back
        return True

    return unwatched


def _either(first: Callable[..., bool], second: Callable[[], bool]) -> Callable[..., bool]:
    return lambda *given, **named: first(*given, **named) or second()


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host.lower() in _LOCAL_NAMES


def _refuse_other_hosts(event: str, arguments: tuple[object, ...]) -> None:
    if event in {"socket.connect", "socket.sendto"}:
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else None  # a path: a Unix socket
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    if isinstance(host, bytes):
        host = os.fsdecode(host)
    if isinstance(host, str) and not _is_local(host):
        raise ConnectionRefusedError(f"tests stay on loopback, but something asked for {host!r}")


def pytest_configure() -> None:
    """Watch every connection from here to the end of the process."""
    stay_on_loopback()


def stay_on_loopback() -> None:
    """Let every connection to another machine raise, from here to the end of the process."""
    sys.addaudithook(_refuse_other_hosts)
