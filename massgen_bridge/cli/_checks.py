"""What the doctor looks at."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import massgen_bridge
from massgen_bridge.cli._plugins import plugin_host
from massgen_bridge.cli._stdout import stdout
from massgen_bridge.config.trust import trust_file
from massgen_bridge.display import choose_display
from massgen_bridge.errors import ConfigError
from massgen_bridge.isolation.standing import Standings
from massgen_bridge.models.local import own_weights, status, weights_path
from massgen_bridge.plugins.loading import ALLOW_LIST_VARIABLE
from massgen_bridge.runtime.index import data_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from massgen_bridge.plugins import PluginHost, PluginInfo

__all__ = ["Check", "all_checks"]

_OLDEST_PYTHON = (3, 11)
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


class Check(NamedTuple):
    """One thing that was looked at; `broken` ones keep something from working."""

    group: str
    name: str
    state: Literal["ok", "info", "broken"]
    detail: str


def all_checks(environ: Mapping[str, str]) -> list[Check]:
    """Everything that the doctor looks at, in the order it is shown."""
    host = plugin_host()
    return [
        *_system(),
        *_plugins(host),
        *_frameworks(host),
        *_local_model(),
        *_folders(),
        *_keys(host, environ),
        *_network(environ),
        *_terminal(environ),
    ]


def _system() -> Iterator[Check]:
    group = "system"
    fits = sys.version_info >= _OLDEST_PYTHON
    yield Check(
        group,
        "python",
        "ok" if fits else "broken",
        f"{platform.python_version()} ({platform.python_implementation()}) at {sys.executable}",
    )
    yield Check(group, "platform", "info", platform.platform())
    yield Check(group, "massgen-bridge", "info", massgen_bridge.__version__)
    for name in _requirements():
        try:
            yield Check(group, name, "ok", version(name))
        except PackageNotFoundError:
            yield Check(group, name, "broken", "not installed: install massgen-bridge again")
    yield Check(group, "sqlite", "ok", sqlite3.sqlite_version)


def _requirements() -> Iterator[str]:
    try:
        found = requires("massgen-bridge") or ()
    except PackageNotFoundError:  # a copy of the source that was never installed
        return
    for requirement in found:
        if "extra ==" not in requirement:
            yield requirement.partition(";")[0].partition(">")[0].strip()


def _plugins(host: PluginHost) -> Iterator[Check]:
    group = "plugins"
    kinds = host.adapters()
    others = (*host.strategies(), *host.tools(), *host.sinks(), *host.providers())
    allowed = os.environ.get(ALLOW_LIST_VARIABLE)
    if allowed is not None:
        yield Check(group, ALLOW_LIST_VARIABLE, "info", f"lets in only: {allowed or 'none'}")
    for plugin in host.plugins():
        if plugin.source != "built-in" or plugin.problems:
            yield _plugin(group, plugin)
    for one in (*kinds, *others):
        if one.state == "duplicate":
            yield Check(group, one.name, "broken", one.problem or "")
    ready = ", ".join(one.kind for one in kinds if one.is_ready)
    yield Check(group, "kinds of agents", "ok", ready)


def _plugin(group: str, plugin: PluginInfo) -> Check:
    origin = " ".join(one for one in (plugin.distribution, plugin.version) if one)
    if plugin.problems:
        told = "; ".join(plugin.problems)
        return Check(group, plugin.name, "broken", f"{origin or plugin.target}: {told}")
    return Check(group, plugin.name, "ok", origin or plugin.target)


def _frameworks(host: PluginHost) -> Iterator[Check]:
    """Where the agents of each kind run, and on what."""
    group, standings = "frameworks", Standings()
    for one in host.adapters():
        if not (one.is_ready and one.requires):
            continue
        try:
            standing = standings.of(one)
        except ConfigError as error:
            yield Check(group, one.kind, "broken", str(error))
            continue
        if standing.environment == "missing":
            wanted = ", ".join(one.requires)
            yield Check(
                group,
                one.kind,
                "info",
                f"in an environment of its own, which is not built yet ({wanted}); `massgen-bridge"
                " env sync CONFIG` builds it",
            )
            continue
        where = {"none": "this process", "process": "a process of its own"}
        told = f"in {where.get(standing.mode, 'an environment of its own')}"
        if standing.framework_version:
            told = f"{one.framework} {standing.framework_version}, {told}"
        yield Check(group, one.kind, "ok", told)


def _local_model() -> Iterator[Check]:
    group, found = "local model", status()
    runtime = f"xllamacpp {found.runtime}"
    if found.runtime is None:
        runtime = "not installed; `pip install 'massgen-bridge[local]'` brings it"
    yield Check(group, "runtime", "info" if found.runtime is None else "ok", runtime)
    if found.problem is None:
        yield Check(group, "weights", "ok", str(found.weights))
    elif found.size is None and own_weights() is None:
        yield Check(group, "weights", "info", "not fetched; `massgen-bridge local install` does it")
    else:
        yield Check(group, "weights", "broken", found.problem)


def _folders() -> Iterator[Check]:
    cache = weights_path().parent if own_weights() is None else None
    for name, path in (
        ("runs", data_path()),
        ("cache", cache),
        ("trust", trust_file().parent),
    ):
        if path is not None:
            problem = _unwritable(path)
            state: Literal["ok", "broken"] = "broken" if problem else "ok"
            yield Check("folders", name, state, f"{path}{f': {problem}' if problem else ''}")


def _unwritable(path: Path) -> str | None:
    """Why a folder cannot be written or made; nothing is made to find out."""
    nearest = next(one for one in (path, *path.parents) if one.exists())
    if not nearest.is_dir():
        return f"{nearest} is no folder"
    if not os.access(nearest, os.W_OK | os.X_OK):
        return "not writable" if nearest == path else f"{nearest} is not writable"
    return None


def _keys(host: PluginHost, environ: Mapping[str, str]) -> Iterator[Check]:
    for info in host.providers():
        if info.state != "installed":
            continue
        names = host.provider(info.name).key_variables
        given = [name for name in names if environ.get(name, "").strip()]
        if names:
            told = f"{given[0]} is set" if given else f"not set: {' or '.join(names)}"
            yield Check("keys", info.name, "ok" if given else "info", told)


def _network(environ: Mapping[str, str]) -> Iterator[Check]:
    group = "network"
    for name in _PROXIES:
        for spelling in (name, name.lower()):
            if environ.get(spelling):
                # A proxy's address may hold a password.
                yield Check(group, spelling, "info", "set")
    for name in _CERTIFICATES:
        value = environ.get(name)
        if value and Path(value).exists():
            yield Check(group, name, "ok", value)
        elif value:
            yield Check(group, name, "broken", f"{value} does not exist: correct it or unset it")
    if not any(environ.get(one) or environ.get(one.lower()) for one in (*_PROXIES, *_CERTIFICATES)):
        yield Check(group, "proxies", "info", "none, and no certificates of your own")


def _terminal(environ: Mapping[str, str]) -> Iterator[Check]:
    group = "terminal"
    for name, stream in (("stdout", stdout()), ("stderr", sys.stderr)):
        what = "a terminal" if stream.isatty() else "no terminal"
        yield Check(group, name, "info", f"{what}, {stream.encoding}")
    yield Check(group, "TERM", "info", environ.get("TERM", "not set"))
    if environ.get("NO_COLOR"):
        yield Check(group, "NO_COLOR", "info", "set")
    shown = choose_display("auto", stdout=stdout(), stderr=sys.stderr, environ=environ)
    yield Check(group, "display", "info", type(shown).__name__.removesuffix("Display").lower())
