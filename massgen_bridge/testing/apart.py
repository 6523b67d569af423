"""Agents under test in processes of their own, as the host runs them there.

Their models are reached past a gateway, so that nothing in the process knows a key.
"""

from __future__ import annotations

import tempfile
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import anyio

from massgen_bridge.isolation.agent import WorkerAgent, WorkerSetup
from massgen_bridge.isolation.choice import environment_requirements
from massgen_bridge.isolation.launching import launch_of
from massgen_bridge.isolation.placement import Placement
from massgen_bridge.isolation.wire import AgentParams
from massgen_bridge.models.gateway import Gateway
from massgen_bridge.models.retry import ModelCalls

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from anyio.abc import TaskGroup

    from massgen_bridge.agent import Emit, Turn
    from massgen_bridge.connection import Connection
    from massgen_bridge.isolation.launching import Launching
    from massgen_bridge.models.gateway import Reservation
    from massgen_bridge.specs import AdapterSpec

__all__ = ["AgentApart", "Apart", "OwnDoor", "module_of", "place_apart"]

Apart = Literal["process", "environment"]
"""How an agent is on its own."""


def module_of(spec: AdapterSpec) -> str:
    """The module that registers an adapter, taken from where its factory is."""
    factory: Any = spec.factory
    while isinstance(factory, partial):
        factory = factory.func
    name: str = factory.__module__
    package = name.partition(".")[0]
    return name if package == "massgen_bridge" else package


def place_apart(
    spec: AdapterSpec, options: Mapping[str, Any] | None, isolation: Apart = "process"
) -> Placement:
    """A process of its own for an agent.

    Args:
        spec: Its adapter.
        options: Its options, as they stand in YAML; None where only the process matters.
        isolation: Whether it has this process's packages, or an environment with its own.
    """
    redirected = False
    if spec.redirects is not None and options is not None:
        redirected = spec.redirects(spec.options.model_validate(options))
    return Placement(
        mode=isolation,
        module=module_of(spec),
        requirements=environment_requirements(spec) if isolation == "environment" else (),
        python=spec.python,
        redirected=redirected,
    )


class OwnDoor:
    """A way to one model past a gateway of its own, which is started when it is needed.

    Args:
        connection: The model.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._gateway: Gateway | None = None
        self._starting = anyio.Lock()

    @asynccontextmanager
    async def admit(
        self, turn: Turn, emit: Emit, reservation: Reservation | None
    ) -> AsyncIterator[Connection]:
        """Let a turn through."""
        gateway = await self._started()
        async with gateway.admit(
            agent_id=turn.agent_id,
            turn_id=turn.turn_id,
            connection=self._connection,
            call_model=ModelCalls(self._connection),
            emit=emit,
            limits=turn.limits,
            reservation=reservation,
        ) as inner:
            yield inner

    async def reserve(self) -> Reservation:
        """A token for the user's own models."""
        return (await self._started()).reserve("agent")

    async def aclose(self) -> None:
        """End the gateway."""
        gateway, self._gateway = self._gateway, None
        if gateway is not None:
            await gateway.aclose()

    async def _started(self) -> Gateway:
        async with self._starting:
            if self._gateway is None:
                gateway = Gateway(set(), _no_tasks)
                await gateway.start()
                self._gateway = gateway
            return self._gateway


class AgentApart(WorkerAgent):
    """An agent in a process of its own, with a gateway of its own.

    Args:
        spec: Its adapter, which the process imports by its module.
        options: Its options, as they stand in YAML.
        connection: The model; None for an agent that uses none.
        base_dir: The folder that import paths in the options are relative to.
        isolation: Whether it has this process's packages, or an environment with its own.
        launching: How its processes are started.
    """

    def __init__(
        self,
        spec: AdapterSpec,
        options: Mapping[str, Any],
        connection: Connection | None,
        base_dir: Path,
        *,
        isolation: Apart = "process",
        launching: Launching = launch_of,
    ) -> None:
        place = place_apart(spec, options, isolation)
        self._door = None if connection is None else OwnDoor(connection)
        self._files = tempfile.TemporaryDirectory(prefix="massgen-bridge-test-")
        params = AgentParams(
            module=place.module,
            kind=spec.kind,
            agent_id="agent",
            options=dict(options),
            base_dir=str(base_dir),
            workspace=str(Path(self._files.name, "agent")),
        )
        traits = None if connection is None else connection.traits
        claimed = spec.claims(spec.options.model_validate(options), traits)
        super().__init__(
            WorkerSetup(
                params=params,
                launch=partial(launching, place, spec.kind),
                connection=connection,
                door=self._door,
                redirected=place.redirected,
                alone=claimed.cancellation == "process",
            )
        )

    async def aclose(self) -> None:
        """End the process and the gateway."""
        await super().aclose()
        if self._door is not None:
            await self._door.aclose()
        await anyio.to_thread.run_sync(self._files.cleanup)


def _no_tasks() -> TaskGroup:
    raise AssertionError("an agent under test reaches its model in turns alone")
