"""The connections of one run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Self

import anyio
from anyio import to_thread
from pydantic import SecretStr

from massgen_bridge.errors import AgentCrashed, ConfigError, LocalModelError
from massgen_bridge.models.explaining import ExplainedCalls
from massgen_bridge.models.fallbacks import (
    FallbackRefused,
    check_able,
    check_fallback,
    shared_protocols,
)
from massgen_bridge.models.local import LocalServer, LocalServers, LocalSettings
from massgen_bridge.models.providers import LOCAL
from massgen_bridge.models.references import find_provider, nearest_name, reference
from massgen_bridge.models.resolution import Choice, resolve, resolve_offline, secret_values
from massgen_bridge.models.retry import ModelCalls
from massgen_bridge.models.settings import ModelConfig
from massgen_bridge.models.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import TracebackType

    from anyio.abc import TaskGroup

    from massgen_bridge.connection import Connection, ModelCaller, Protocols
    from massgen_bridge.models.gateway import Fallback, Gateway
    from massgen_bridge.specs import ProviderSpec

__all__ = ["ConnectionPool"]


@dataclass(kw_only=True)
class _Shared:
    """What a pool shares with those of the teams within its run."""

    local_configs: list[ModelConfig] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)
    servers: LocalServers | None = None
    gateway: Gateway | None = None
    traffic: list[tuple[str, ModelConfig, Traffic]] = field(default_factory=list)
    opening: anyio.Lock = field(default_factory=anyio.Lock)
    homes: list[tuple[int, TaskGroup]] = field(default_factory=list)

    def traffic_of(self, name: str, config: ModelConfig) -> Traffic:
        """What the calls over a named connection share; two of one name may be different ones."""
        for known, meant, traffic in self.traffic:
            if known == name and meant == config:
                return traffic
        traffic = _new_traffic(name, config)
        self.traffic.append((name, config, traffic))
        return traffic

    def tasks(self) -> TaskGroup:
        """Where tasks run that belong to no turn: with the run that has the pool the longest."""
        if not self.homes:
            raise AgentCrashed("the connections of a run can be used by its context manager alone")
        return self.homes[0][1]


@dataclass(frozen=True)
class _Way:
    """One way of an agent to a model, and what it shares with other agents."""

    connection: Connection
    traffic: Traffic | None = None


class ConnectionPool:
    """The connections that the agents of one run use; also an async context manager.

    First every agent is added, which finds all mistakes before anything starts; then agents get
    their connections. The local model's server is started for the first agent that needs it, one
    for all, with room for as many agents as were added. It can be entered several times, for
    several runs; the last one to leave closes it.

    Args:
        models: The top-level `models:`, by name.
        providers: The registered providers, by name.
        environ: The environment variables.
        within: The pool of the run that this one is for a team of: they have one local server and
            one set of secrets, and that one closes everything.
        hosts: For a run whose calls a cassette answers: where each agent's model was. No keys,
            variables, servers and waits are needed then.
    """

    def __init__(
        self,
        models: Mapping[str, ModelConfig],
        providers: Mapping[str, ProviderSpec],
        environ: Mapping[str, str],
        *,
        within: ConnectionPool | None = None,
        hosts: Mapping[str, str] | None = None,
    ) -> None:
        self._hosts = hosts
        self._shared: _Shared = _Shared() if within is None else within._shared  # noqa: SLF001 - our own
        self._is_inner = within is not None
        self._entered = 0
        self._models = models
        self._providers = providers
        self._environ = environ
        self._connections: dict[str, Connection] = {}
        self._settings: dict[str, ModelConfig] = {}
        self._ways: dict[str, tuple[_Way, ...]] = {}

    def add(
        self,
        agent_id: str,
        model: str | ModelConfig,
        *,
        protocols: Sequence[Protocols],
        default_provider: str | None = None,
        one_provider: bool = False,
    ) -> Connection:
        """Note that an agent uses a model; does no I/O.

        Args:
            agent_id: The agent.
            model: The value of `backend.model`, or a connection written out in its place.
            protocols: The wire protocols that the agent's kind speaks.
            default_provider: Provider of plain model names for the agent's kind.
            one_provider: Whether every name that is no named connection is a model of it.

        Returns:
            The connection; address and key of the local model's server are still open.

        Raises:
            ConfigError: There is no such model, or no such connection to it.
        """
        find = partial(self._find, agent_id, default_provider, only=one_provider)
        first = find(model)
        self._settings[agent_id] = first.config
        found = [find(other) for other in first.config.fallback]
        # One request has to do for all of them, so what they all speak comes before what is best.
        shared = shared_protocols(first, found, protocols)
        way = self._way(first, shared, agent_id, is_named=isinstance(model, str))
        try:
            others = [self._fallback(agent_id, other, first, way.connection) for other in found]
        except ConfigError as error:
            raise FallbackRefused(error.message, first.name) from None
        connection = way.connection.model_copy(
            update={"fallback": tuple(other.connection for other in others)}
        )
        self._ways[agent_id] = (replace(way, connection=connection), *others)
        self._connections[agent_id] = connection
        return connection

    def _way(
        self, choice: Choice, protocols: Sequence[Protocols], agent_id: str, *, is_named: bool
    ) -> _Way:
        if self._hosts is not None:
            host = self._hosts.get(agent_id, "")
            return _Way(resolve_offline(choice, protocols, host, agent_id=agent_id))
        known = self._providers.values()
        try:
            connection = resolve(choice, protocols, self._environ, agent_id=agent_id, known=known)
        except ConfigError as error:
            raise ConfigError(f"{error.message}{self._slip(choice.name)}") from None
        self._shared.secrets |= secret_values(choice.config, connection, self._environ)
        if choice.provider.name == LOCAL:
            self._shared.local_configs.append(choice.config)
        # A named connection has one set of bounds for all its agents, also those within teams.
        shared = self._shared.traffic_of if is_named else _new_traffic
        return _Way(connection, shared(choice.name, choice.config))

    def _slip(self, name: str) -> str:
        """What to add to an error, where a model's name looks like a misspelt connection's."""
        is_one = name in self._models or "/" in name
        meant = None if is_one else nearest_name(name, self._models)
        return f" ({name!r} is no name under 'models:'; did you mean {meant!r}?)" if meant else ""

    def _fallback(self, agent_id: str, other: Choice, chosen: Choice, first: Connection) -> _Way:
        known = self._providers.values()
        check_fallback(other, chosen, first.protocol, agent_id=agent_id, known=known)
        try:
            way = self._way(other, (first.protocol,), agent_id, is_named=True)
        except ConfigError as error:
            raise ConfigError(f"{error.message} (it is a fallback of {first.name!r})") from None
        check_able(way.connection, first, agent_id=agent_id)
        return way

    def settings(self, agent_id: str) -> ModelConfig | None:
        """What the configuration says of an agent's connection; None where it has none."""
        return self._settings.get(agent_id)

    async def connection(self, agent_id: str) -> Connection:
        """The connection of an agent that was added, ready for use.

        The local model is reached through the gateway, which knows how it can call tools.

        Ask again before a turn where the local model's server may have been replaced.

        Raises:
            LocalModelError: The local model's server cannot be started.
        """
        return await self._ready(self._connections[agent_id])

    async def _ready(self, connection: Connection) -> Connection:
        if connection.provider != LOCAL or self.is_offline:
            return connection
        if self._shared.servers is None:
            self._shared.servers = LocalServers(self._local_settings())
        server = await self._local_server(self._shared.servers)
        self._shared.secrets.add(server.api_key)
        url = server.url.removesuffix("/v1") if connection.protocol == "messages" else server.url
        key = SecretStr(server.api_key)
        gateway = await self.gateway()
        return gateway.direct(connection.model_copy(update={"base_url": url, "api_key": key}))

    async def _local_server(self, servers: LocalServers) -> LocalServer:
        """The running server; the gateway before it is made while the model is loaded."""
        found: list[LocalServer | LocalModelError] = []
        async with anyio.create_task_group() as group:
            if not servers.is_closed:
                group.start_soon(self.gateway)
            try:
                found.append(await servers.get())
            except LocalModelError as error:  # the task group would wrap it
                found.append(error)
        if isinstance(found[0], LocalModelError):
            raise found[0]
        return found[0]

    def caller(self, agent_id: str) -> ModelCaller:
        """The retry policy for the model calls of an agent that was added."""
        first, *others = self._ways[agent_id]
        return self._caller(first, has_fallback=bool(others))

    def _caller(self, way: _Way, *, has_fallback: bool) -> ModelCaller:
        connection = way.connection
        calls = ModelCalls(
            connection,
            traffic=way.traffic,
            waits=not self.is_offline,
            has_fallback=has_fallback,
        )
        if self.is_offline or connection.provider == LOCAL:
            return calls
        return ExplainedCalls(calls, connection)

    def fallbacks(self, agent_id: str) -> tuple[Fallback, ...]:
        """What the gateway asks, in order, where a call of an agent has failed for good."""
        _, *others = self._ways[agent_id]
        if not others:
            return ()
        from massgen_bridge.models.gateway import Fallback  # noqa: PLC0415 - imports HTTP libraries

        return tuple(
            Fallback(
                name=way.connection.name,
                connect=partial(self._ready, way.connection),
                call_model=self._caller(way, has_fallback=way is not others[-1]),
                traits=way.connection.traits,
            )
            for way in others
        )

    async def gateway(self) -> Gateway:
        """The run's gateway, one for all; it is started when it is first asked for."""
        async with self._shared.opening:
            if self._shared.gateway is None:
                make = partial(_new_gateway, self._shared)
                gateway = await to_thread.run_sync(make)
                await gateway.start()
                self._shared.gateway = gateway
            return self._shared.gateway

    @property
    def is_offline(self) -> bool:
        """Whether nothing is asked, because a cassette answers."""
        return self._hosts is not None

    def add_secrets(self, values: Iterable[str]) -> None:
        """Note secret values that agents use beside their connections."""
        self._shared.secrets.update(values)

    def secrets(self) -> frozenset[str]:
        """All secret values in use; it grows with agents added and with the local server."""
        return frozenset(self._shared.secrets)

    async def aclose(self) -> None:
        """End the gateway and the local model's server, and start no such server from now on."""
        if self._is_inner:
            return
        gateway, self._shared.gateway = self._shared.gateway, None
        if gateway is not None:
            await gateway.aclose()
        if self._shared.servers is None:
            self._shared.servers = LocalServers()
        await self._shared.servers.aclose()

    async def __aenter__(self) -> Self:
        self._entered += 1
        home = await anyio.create_task_group().__aenter__()
        self._shared.homes.append((anyio.get_current_task().id, home))
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._entered -= 1
        # Tasks end where they began; one run may have begun what another still waits for.
        mine = [one for one in self._shared.homes if one[0] == anyio.get_current_task().id]
        self._shared.homes.remove(mine[-1])
        home = mine[-1][1]
        try:
            if not self._entered:
                home.cancel_scope.cancel()
                await self.aclose()
        finally:
            # Without the error: a task group would wrap it into a group of its own.
            await home.__aexit__(None, None, None)

    def _find(
        self,
        agent_id: str,
        default_provider: str | None,
        model: str | ModelConfig,
        *,
        only: bool,
    ) -> Choice:
        name = model if isinstance(model, str) else model.model or model.provider
        try:
            config = (
                reference(model, self._models, self._providers, default_provider, only=only)
                if isinstance(model, str)
                else model
            )
            provider = find_provider(name, config, self._providers)
        except ConfigError as error:
            raise ConfigError(f"agent {agent_id!r}: {error.message}") from None
        return Choice(name=name, config=config, provider=provider)

    def _local_settings(self) -> LocalSettings:
        settings = LocalSettings.for_agents(len(self._shared.local_configs))
        slots = [config.slots for config in self._shared.local_configs if config.slots]
        contexts = [config.context for config in self._shared.local_configs if config.context]
        return settings.model_copy(
            update={
                "slots": max(slots, default=settings.slots),
                "context_per_slot": max(contexts, default=settings.context_per_slot),
            }
        )


def _new_traffic(name: str, config: ModelConfig) -> Traffic:
    return Traffic(
        name=name,
        max_concurrent=config.max_concurrent,
        requests_per_minute=config.requests_per_minute,
        tokens_per_minute=config.tokens_per_minute,
        breaker_policy=config.breaker,
    )


def _new_gateway(shared: _Shared) -> Gateway:
    from massgen_bridge.models.gateway import Gateway  # noqa: PLC0415 - imports HTTP libraries

    return Gateway(shared.secrets, shared.tasks)
