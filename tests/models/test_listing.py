"""Lists of models, as servers give them that are none of the well-behaved."""

from __future__ import annotations

import pytest
from models.gateway.upstreams import raw_server

from massgen_bridge.errors import NotFound, ProtocolFailed
from massgen_bridge.models.listing import offered_models, with_offered
from massgen_bridge.testing.agents import connection_to

pytestmark = pytest.mark.anyio

_NO_LISTS = [b"<html>", b'{"data": 1}', b'{"data": ["m"]}', b"[" * 100_000]


@pytest.mark.parametrize("body", _NO_LISTS, ids=["html", "number", "names", "too-deep"])
async def test_what_is_no_list_of_models_fails_as_such(body: bytes) -> None:
    async with raw_server(body, content_type="application/json") as server:
        with pytest.raises(ProtocolFailed, match=r"the answer is no list of models$"):
            await offered_models(connection_to(server.url))


async def test_a_missing_model_is_still_missing_where_there_is_no_list() -> None:
    missing = NotFound("there is no model 'm'", agent_id="ann")
    async with raw_server(b"[" * 100_000, content_type="application/json") as server:
        assert await with_offered(missing, connection_to(server.url)) is missing
