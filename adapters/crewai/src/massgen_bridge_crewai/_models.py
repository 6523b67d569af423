"""The way of an agent's turns to its model."""

from __future__ import annotations

from typing import Any

import anyio

from massgen_bridge import AgentContext, Connection, Turn
from massgen_bridge.adapting import Endpoint, Lease
from massgen_bridge_crewai._running import CHAT, ModelAccess

__all__ = ["Models"]


class Models:
    """An agent's clients.

    Args:
        context: What the agent is made of.
        connection: Its model.

    Attributes:
        where: Names the connection and its model, for errors.
    """

    def __init__(self, context: AgentContext, connection: Connection) -> None:
        self.where = f"{connection.name!r} (model {connection.model!r})"
        self._agent_id = context.agent_id
        self._call_model = context.call_model
        self._connection = connection
        self._leases: dict[Endpoint, Lease[Any]] = {}
        self._leasing = anyio.Lock()

    async def access(self, turn: Turn) -> ModelAccess:
        """How a turn reaches the model."""
        connection = turn.connection_for(self._connection)
        # The key may be another in each turn: it goes with the requests, and the client stays.
        keyless = connection.model_copy(update={"api_key": None})
        endpoint = Endpoint.of(keyless)
        async with self._leasing:
            if endpoint not in self._leases:
                self._leases[endpoint] = await CHAT.clients.lease(keyless)
        options = CHAT.request_options(connection)
        if connection.api_key is not None and not endpoint.has_header("Authorization"):
            key = connection.api_key.get_secret_value()
            options = {"headers": {"Authorization": f"Bearer {key}"}}
        return ModelAccess(
            connection=connection,
            client=self._leases[endpoint].client,
            options=options,
            call_model=self._call_model,
            where=self.where,
            agent_id=self._agent_id,
        )

    async def aclose(self) -> None:
        """Give back the clients."""
        leases, self._leases = list(self._leases.values()), {}
        for lease in leases:
            await lease.release()
