"""Whole runs with pictures, where several parts of the product meet."""

from __future__ import annotations

import json
import time
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from pictures import png
from PIL import Image, ImageDraw, ImageFont
from runtime.tapes import one_by_one
from runtime.teams import of, play

import massgen_bridge
from massgen_bridge.events import ModelCallFinished, ModelRetried, TurnStarted
from massgen_bridge.messages import ImagePart, Message, TextPart
from massgen_bridge.testing.servers import HttpError, ModelRequest, ModelServer, Text, ToolCalls

if TYPE_CHECKING:
    from pathlib import Path

    from massgen_bridge.testing.servers import Reply

RED = png()
QUESTION = Message(
    role="user",
    parts=(TextPart(text="Which colour?"), ImagePart(media_type="image/png", data=RED)),
)
DESCRIBED = {"inputs": [], "images": "describe", "describe_by": "sees"}

CAMERA = f"""
from massgen_bridge import ImagePart, ToolDefinition, ToolSpec, hookimpl

SCHEMA = {{"type": "object", "properties": {{}}, "additionalProperties": False}}


async def look(_arguments):
    return ImagePart(media_type="image/png", data={RED!r})


@hookimpl
def bridge_tools():
    definition = ToolDefinition(name="look", description="Looks.", input_schema=SCHEMA)
    return [ToolSpec(definition=definition, call=look)]
"""


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASSGEN_BRIDGE_DATA", str(tmp_path / "data"))


def team(server: ModelServer, *agents: dict[str, Any], **blind: Any) -> dict[str, Any]:
    """A team with a model that sees and one that does not."""
    given = {"provider": "vllm", "base_url": server.base_url("chat")}
    return {
        "version": 1,
        "models": {
            "sees": {**given, "model": "sees", "inputs": ["image"]},
            "blind": {**given, "model": "blind", **blind},
        },
        "agents": list(agents),
        "strategy": "single",
    }


def asking(agent_id: str, model: str = "blind", **more: Any) -> dict[str, Any]:
    return {"id": agent_id, "backend": {"type": "openai", "model": model, **more}}


def described(request: ModelRequest) -> Reply:
    """What the model that sees tells, and what the blind one makes of that."""
    if request.model == "sees":
        (picture,) = request.messages[-1].media
        assert picture.data == RED
        return Text("A red square.")
    assert not any(message.media for message in request.messages)
    assert "A red square." in request.messages[-1].text
    return Text("Red.")


def asked(server: ModelServer) -> list[str]:
    return sorted(request.body["model"] for request in server.requests)


@pytest.mark.anyio
@pytest.mark.timeout(180)  # a few seconds of computing, which take long where others compute, too
async def test_what_is_written_on_a_picture_is_read_for_a_model_that_sees_none() -> None:
    picture, file = Image.new("RGB", (460, 100), "white"), BytesIO()
    font = ImageFont.load_default(36)
    ImageDraw.Draw(picture).text((20, 20), "Invoice 4711", fill="black", font=font)
    picture.save(file, "PNG")
    part = ImagePart(media_type="image/png", data=file.getvalue(), name="bill.png")
    question = Message(role="user", parts=(TextPart(text="How much?"), part))
    with ModelServer(Text("4711.")) as server:
        given = team(server, asking("ada"), inputs=[], images="ocr")
        result, records = await play(given, question, keep=False)
        (request,) = server.requests
    assert result.answer == "4711."
    assert request.asked is not None
    assert "Invoice 4711" in request.asked.messages[-1].text
    assert not request.asked.messages[-1].media
    assert len(of(records, ModelCallFinished)) == 1


@pytest.mark.anyio
async def test_members_of_a_team_within_get_pictures_described() -> None:
    with ModelServer(described) as server:
        given = team(server, **DESCRIBED)
        given["agents"] = [
            {
                "id": "pair",
                "backend": {
                    "type": "team",
                    "agents": [asking("ada"), asking("ben")],
                    "models": given["models"],
                    "strategy": "sequential",
                },
            }
        ]
        result, _ = await play(given, QUESTION, keep=False)
        models = asked(server)
    assert result.answer == "Red."
    assert models == ["blind", "blind", "sees"]
    assert result.calls == 3


@pytest.mark.anyio
async def test_an_agent_in_a_process_of_its_own_gets_pictures_described() -> None:
    with ModelServer(described) as server:
        given = team(server, asking("ada", isolation="process"), **DESCRIBED)
        result, records = await play(given, QUESTION, keep=False)
        models = asked(server)
    assert (result.answer, models) == ("Red.", ["blind", "sees"])
    assert [one.source for one in of(records, ModelCallFinished)] == ["describer", None]


def test_a_run_with_described_pictures_replays(tmp_path: Path) -> None:
    tape = tmp_path / "calls.jsonl"
    with ModelServer(described) as server:
        given = team(server, asking("ada"), **DESCRIBED)
        result = massgen_bridge.run(given, QUESTION, record=tape, keep=False)
    again = massgen_bridge.run(given, QUESTION, replay=tape, keep=False)
    assert (again.answer, again.calls) == (result.answer, result.calls) == ("Red.", 2)
    assert again.usage == result.usage


@pytest.mark.anyio
async def test_a_picture_of_a_tool_reaches_an_agent_in_a_process_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "camera.py").write_text(CAMERA)

    def answer(request: ModelRequest) -> Reply:
        media = [one.data for message in request.messages for one in message.media]
        if not media:
            return ToolCalls(("look", {}))
        assert media == [RED]
        return Text("Red.")

    with ModelServer(answer) as server:
        agent = asking("ada", "sees", isolation="process") | {"tools": ["look"]}
        given = team(server, agent) | {"plugins": ["camera.py"]}
        file = tmp_path / "team.yaml"
        file.write_text(json.dumps(given))
        result, _ = await play(file, "Look!", trust=True, keep=False)
        assert server.calls == 2
    assert (result.answer, result.errors) == ("Red.", ())


def test_a_replay_does_not_wait_for_a_connection_that_was_given_up_for_a_while(
    tmp_path: Path,
) -> None:
    tape, busy = tmp_path / "calls.jsonl", HttpError(status=503)
    retry = {"attempts": 4, "base_s": 0.001, "max_s": 60}
    with ModelServer(one_by_one(busy, busy, Text("There."))) as server:
        given = team(server, asking("ada"), retry=retry, breaker={"failures": 2, "open_s": 0.2})
        result = massgen_bridge.run(given, "?", record=tape, keep=False)
        assert server.calls == 3
    assert result.answer == "There."
    given["models"]["blind"]["breaker"]["open_s"] = 30
    records: list[Any] = []
    began = time.monotonic()
    again = massgen_bridge.run(given, "?", replay=tape, keep=False, on_record=records.append)
    assert time.monotonic() - began < 15
    assert (again.answer, again.calls) == ("There.", result.calls)
    assert len(of(records, ModelRetried)) == 2
    assert len(of(records, TurnStarted)) == 1
