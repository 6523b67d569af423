"""`massgen-bridge models`: which models the servers of connections offer."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import anyio
import typer

from massgen_bridge.cli._options import AsJson, Debug, Trust, new_app
from massgen_bridge.cli._output import DONE, FAILED, BadUsage, print_json, say
from massgen_bridge.cli._plan import trusted_or_read
from massgen_bridge.cli._plugins import plugin_host
from massgen_bridge.cli._work import work
from massgen_bridge.connection import Connection, Protocols
from massgen_bridge.display.words import count
from massgen_bridge.errors import AgentError, ConfigError, NotFound
from massgen_bridge.models.addresses import is_loopback
from massgen_bridge.models.listing import is_offered, nearest_model, offered_models, path_advice
from massgen_bridge.models.providers import LOCAL
from massgen_bridge.models.references import find_provider
from massgen_bridge.models.resolution import Choice, resolve
from massgen_bridge.models.settings import ModelConfig
from massgen_bridge.plugins.records import nearest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from massgen_bridge.cli._work import Stop
    from massgen_bridge.specs import ProviderSpec

__all__ = ["app", "models"]

app = new_app()

_ANY = "any"
_PATIENCE_S = 10.0


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """A connection whose server is asked.

    `wanted` is the model that the configuration names. Where nobody asked for this connection, a
    server that does not answer is no failure.
    """

    name: str
    config: ModelConfig
    provider: ProviderSpec
    wanted: str | None
    known: Collection[ProviderSpec] = ()
    is_guess: bool = False


@dataclass(kw_only=True)
class _Found:
    asked: _Asked
    where: str = ""
    models: tuple[str, ...] = ()
    error: str | None = None

    @property
    def is_missing(self) -> bool:
        wanted = self.asked.wanted
        return wanted is not None and self.error is None and not is_offered(wanted, self.models)


@app.command()
def models(
    connection: Annotated[
        str | None,
        typer.Argument(
            metavar="[CONNECTION]",
            help="A name from 'models:' of the configuration, or a provider, such as ollama. "
            "Default: all of the configuration, or all providers that answer.",
        ),
    ] = None,
    *,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="The configuration with the connections."),
    ] = None,
    trust: Trust = False,
    as_json: AsJson = False,
    _debug: Debug = False,
) -> int:
    """List the models that servers offer. Nothing is generated, so nothing is charged.

    Exit code 1 if a server that was asked for does not answer, or lacks the connection's model.
    """
    asked = _asked(connection, config, trust=trust)
    found = [one for one in _listed(asked) if not (one.error and one.asked.is_guess)]
    if as_json:
        print_json({"connections": [_plain(one) for one in found]})
    elif connection is not None and not found[0].error and not found[0].is_missing:
        say("\n".join(found[0].models) or "no model", nl=True)
    else:
        _print(found)
    return FAILED if any(one.error or one.is_missing for one in found) else DONE


def _asked(connection: str | None, file: Path | None, *, trust: bool) -> list[_Asked]:
    host = plugin_host()
    known: dict[str, ModelConfig] = {}
    own: Mapping[str, ProviderSpec] = {}
    if file is not None:
        read = trusted_or_read(file, host, trust=trust, with_plugins=True)
        known = {name: one for name, one in read.models.items() if one.provider != LOCAL}
        own = read.providers
    infos = [info for info in host.providers() if info.state == "installed"]
    providers = {**{info.name: host.provider(info.name) for info in infos}, **own}
    del providers[LOCAL]
    if connection is not None:
        return [_named(connection, known, providers)]
    if file is not None:
        return [_of_config(name, one, providers) for name, one in known.items()]
    return [_of_provider(one, is_guess=True) for one in providers.values() if _may_answer(one)]


def _named(
    name: str, known: Mapping[str, ModelConfig], providers: Mapping[str, ProviderSpec]
) -> _Asked:
    if name in known:
        return _of_config(name, known[name], providers)
    if name in providers:
        return _of_provider(providers[name])
    raise BadUsage(
        f"there is no connection and no provider {name!r}{nearest(name, [*known, *providers])}: "
        "expected a name from 'models:' of the file that --config names, or one of "
        f"{', '.join(sorted(providers))}"
    )


def _of_config(name: str, config: ModelConfig, providers: Mapping[str, ProviderSpec]) -> _Asked:
    provider = find_provider(name, config, providers)
    wanted = config.model or provider.default_model
    return _Asked(
        name=name, config=config, provider=provider, wanted=wanted, known=providers.values()
    )


def _of_provider(provider: ProviderSpec, *, is_guess: bool = False) -> _Asked:
    config = ModelConfig(provider=provider.name, model=_ANY)
    return _Asked(
        name=provider.name, config=config, provider=provider, wanted=None, is_guess=is_guess
    )


def _may_answer(provider: ProviderSpec) -> bool:
    """Whether a provider that nobody asked for is worth a question: it is here, or has a key."""
    if any(os.environ.get(name, "").strip() for name in provider.key_variables):
        return True
    return not provider.needs_key and any(map(is_loopback, provider.base_urls.values()))


def _listed(asked: Sequence[_Asked]) -> list[_Found]:
    found = [_Found(asked=one) for one in asked]

    async def job(_stop: Stop) -> None:
        async with anyio.create_task_group() as group:
            for one in found:
                group.start_soon(_list, one)

    work(job)
    return found


async def _list(found: _Found) -> None:
    try:
        connection = _connection(found.asked)
    except ConfigError as error:
        found.error = error.message
        return
    found.where = connection.base_url
    try:
        found.models = await offered_models(connection, patience_s=_PATIENCE_S)
    except AgentError as error:
        hint = path_advice(connection) if isinstance(error, NotFound) else ""
        # The name stands before what is told.
        found.error = str(error).removeprefix(f"{found.asked.name!r}, ") + hint


def _connection(asked: _Asked) -> Connection:
    config = asked.config.model_copy(update={"model": asked.config.model or _ANY, "seed": None})
    choice = Choice(name=asked.name, config=config, provider=asked.provider)
    protocols: tuple[Protocols, ...] = get_args(Protocols)
    return resolve(choice, protocols, os.environ, known=asked.known)


def _plain(found: _Found) -> dict[str, Any]:
    asked = found.asked
    return {
        "name": asked.name,
        "provider": asked.provider.name,
        "where": found.where,
        "wanted": asked.wanted,
        "models": list(found.models),
        "error": found.error,
    }


def _print(found: Sequence[_Found]) -> None:
    if not found:
        say("no server answers: start one, or name a connection")
        return
    # Connections of one server have one list.
    servers: dict[tuple[object, ...], list[_Found]] = {}
    for one in found:
        same = (one.asked.provider.name, one.where, one.models) if one.error is None else id(one)
        servers.setdefault((same,), []).append(one)
    say("\n\n".join("\n".join(_lines(same)) for same in servers.values()))


def _lines(found: Sequence[_Found]) -> Iterator[str]:
    """What is told of a server, by the connections that lead to it."""
    first = found[0]
    provider = first.asked.provider.name
    names = ", ".join(one.asked.name for one in found)
    of = [] if names == provider else [provider]
    if first.error is not None:
        yield f"{names} ({provider}): {first.error}" if of else f"{names}: {first.error}"
        return
    yield f"{names} ({', '.join([*of, first.where])}): {count(len(first.models), 'model')}"
    wanted = {one.asked.wanted for one in found}
    wanted |= {f"{name}:latest" for name in wanted}
    for name in first.models:
        yield f"  {'*' if name in wanted else ' '} {name}"
    missing = (one.asked.wanted for one in found if one.is_missing)
    for name in dict.fromkeys(name for name in missing if name is not None):
        near = nearest_model(name, first.models)
        yield f"  ! {name} is not there" + (f"; did you mean {near!r}?" if near else "")
