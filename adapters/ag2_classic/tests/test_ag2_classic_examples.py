"""The example group chats work with either generation of AG2: here, with the classic one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML

from massgen_bridge import arun
from massgen_bridge.testing.servers import AutoToolCall, Echo, ModelRequest, Reply, Text

if TYPE_CHECKING:
    from massgen_bridge.testing.fixtures import StartModelServer

pytestmark = pytest.mark.anyio

FOLDER = Path(__file__).parents[3] / "configs" / "frameworks"
GROUPS = [
    path
    for path in sorted(FOLDER.glob("*.yaml"))
    if "group:" in path.read_text() and "type: ag2" in path.read_text()
]


def speaks(request: ModelRequest) -> Reply:
    if request.output_schema is not None:
        return Echo()
    votes = any(tool.name != "hand_off" for tool in request.tools)
    return AutoToolCall() if votes else Text("A new answer.")


@pytest.mark.parametrize("path", GROUPS, ids=lambda path: path.stem)
async def test_an_example_gives_an_answer(
    model_server: StartModelServer, tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")
    server = model_server(speaks)
    data: dict[str, Any] = YAML(typ="safe").load(path)
    model = {"provider": "openai", "model": "scripted", "base_url": server.base_url("chat")}
    data["models"] = dict.fromkeys(data.get("models", ["local"]), model)
    for agent in data["agents"]:
        agent["backend"] |= {"type": "ag2_classic", "isolation": "none"}
    result = await arun(data, "Is it worth doing?", keep=False)
    assert result.status == "answered"
    assert result.answer is not None
    # Who answers first may spare the others a turn, but each has to vote or answer.
    assert server.calls >= len(data["agents"])


def test_there_is_one_for_each_use() -> None:
    assert {path.stem for path in GROUPS} >= {
        "code-review-team",
        "moderated-debate",
        "research-panel",
        "support-hand-off",
    }
