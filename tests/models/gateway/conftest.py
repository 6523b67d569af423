"""A gateway of a run, and turns that are admitted to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from models.gateway.turns import Turns

from massgen_bridge.models.connections import ConnectionPool
from massgen_bridge.testing.fixtures import model_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["model_server", "pool", "turns"]


@pytest.fixture
async def pool() -> AsyncIterator[ConnectionPool]:
    async with ConnectionPool({}, {}, {}) as pool:
        yield pool


@pytest.fixture
async def turns(pool: ConnectionPool) -> Turns:
    return Turns(await pool.gateway())
