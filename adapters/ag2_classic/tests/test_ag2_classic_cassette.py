"""A run with a group chat is recorded, and replayed without a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from massgen_bridge import arun
from massgen_bridge.testing.servers import Echo, ModelRequest, Text

if TYPE_CHECKING:
    from pathlib import Path

    from massgen_bridge.testing.fixtures import StartModelServer
    from massgen_bridge.testing.servers import Reply

pytestmark = pytest.mark.anyio

MEMBERS = [{"name": name, "system_message": f"You are {name}."} for name in ("ann", "bob", "cleo")]


def speaks(request: ModelRequest) -> Reply:
    if request.output_schema is not None:
        return Echo()
    return Text(f"Word {request.number}.")


@pytest.mark.parametrize(
    ("pattern", "isolation"),
    [("round_robin", "none"), ("random", "none"), ("auto", "none"), ("auto", "process")],
)
async def test_a_group_chat_is_replayed(
    model_server: StartModelServer, tmp_path: Path, pattern: str, isolation: str
) -> None:
    server = model_server(speaks)
    group = {"members": MEMBERS, "pattern": pattern, "max_turns": 4}
    config: dict[str, Any] = {
        "version": 1,
        "models": {
            "ours": {"provider": "openai", "model": "m", "base_url": server.base_url("chat")}
        },
        "strategy": {"type": "single"},
        "agents": [
            {
                "id": "agent",
                "backend": {
                    "type": "ag2_classic",
                    "model": "ours",
                    "group": group,
                    "isolation": isolation,
                },
            }
        ],
    }
    cassette = tmp_path / "run.cassette"
    recorded = await arun(config, "Go.", keep=False, record=cassette)
    calls = server.calls
    replayed = await arun(config, "Go.", keep=False, replay=cassette)
    assert replayed.answer == recorded.answer
    assert server.calls == calls >= 4
