"""Pictures and files that users give: in a configuration, in Python, in a conversation."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from pictures import png
from runtime.teams import config, kept, of, play, scripted, team

import massgen_bridge
from massgen_bridge.config import InvalidConfig, load_attached, load_config
from massgen_bridge.errors import ConfigError, MediaError
from massgen_bridge.events import Record, RunStarted, TurnStarted
from massgen_bridge.messages import ImagePart, MediaPart
from massgen_bridge.plugins import PluginHost
from massgen_bridge.runtime.sessions import Session
from massgen_bridge.team import Team
from massgen_bridge.testing.servers import ModelServer, Text

if TYPE_CHECKING:
    from massgen_bridge.agent import Turn
    from massgen_bridge.testing.servers import ModelRequest, Reply

pytestmark = pytest.mark.anyio

RED, GREEN, BLUE = png(), png(0, 200, 0), png(0, 0, 200)
BOMB = RED.replace(b"\0\0\0\x08\0\0\0\x08", struct.pack(">II", 30_000, 30_000))
ADDRESS = "https://example.com/cat.png"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MASSGEN_BRIDGE_DATA", str(tmp_path / "data"))
    (tmp_path / "shots").mkdir()
    for name, data in (("red.png", RED), ("shots/green.png", GREEN), ("blue.png", BLUE)):
        (tmp_path / name).write_bytes(data)
    (tmp_path / "notes.md").write_text("# Notes")
    return tmp_path


def _written(folder: Path, agents: str, *top: str) -> Path:
    file = folder / "team.yaml"
    file.write_text("\n".join(("version: 1", *top, "agents:", agents)))
    return file


def _data(turn: Turn) -> list[bytes | None]:
    return [part.data for part in turn.messages[-1].parts if isinstance(part, MediaPart)]


MODELS = """\
- {{id: ann, backend: {{type: openai, model: seen}}}}
- id: ben
  backend:
    type: anthropic
    model: read
    upload_files:
    - image_path: shots/green.png
models:
  seen: {{provider: vllm, model: seen, base_url: {chat}, inputs: [image]}}
  read: {{provider: vllm, model: read, base_url: {messages}, inputs: [image]}}
strategy: {{type: consensus, presentation: never}}
"""


async def test_pictures_of_a_configuration_reach_models_over_each_protocol(folder: Path) -> None:
    sent: dict[str, list[bytes | None]] = {}

    def reply(request: ModelRequest) -> Reply:
        media = [one.data for message in request.messages for one in message.media]
        sent.setdefault(request.model, media)
        return Text("It is red.")

    with ModelServer(reply) as server:
        urls = {name: server.base_url(name) for name in ("chat", "messages")}
        file = _written(folder, MODELS.format(**urls), "images: [red.png]")
        result, _ = await play(file)

    assert result.answer == "It is red."
    assert sent == {"seen": [RED], "read": [RED, GREEN]}


async def test_pictures_go_along_with_ballots_and_into_teams(folder: Path) -> None:
    seen: dict[str, list[bytes | None]] = {}

    def look(turn: Turn) -> str:
        seen[turn.turn_id] = _data(turn)
        return f"{turn.agent_id} says so."

    pictures = massgen_bridge.Capabilities(inputs=frozenset({"image"}))
    inner = Team().add("in", look, capabilities=pictures)
    outer = Team(strategy={"type": "consensus", "presentation": "never"})
    upload = [{"image_path": str(folder / "blue.png")}]
    outer.add("ann", look, capabilities=pictures, upload_files=upload)
    outer.add("critics", inner)

    result = await outer.arun("Which?", images=[folder / "red.png"], keep=False)

    assert result.answer is not None
    assert seen["ann.1"] == seen["ann.2"] == [RED, BLUE]
    assert seen["in.1"] == [RED]


async def test_what_is_wrong_is_told_at_once_with_its_line(folder: Path) -> None:
    agents = """\
- id: ann
  backend:
    type: scripted
    upload_files:
    - image_path: notes.md
    - url: shots/green.png
    - file_path: ftp://example.com/green.png
    - file_path: gone.pdf
"""
    file = _written(folder, agents, "images: [gone.png, notes.md, red.png]")
    with pytest.raises(InvalidConfig) as caught:
        await play(file)

    told = [(one.line, one.message.partition(": ")[0]) for one in caught.value.problems]
    assert told == [
        (2, "images[0]"),
        (2, "images[1]"),
        (8, "agents[0].backend.upload_files[0].image_path"),
        (9, "agents[0].backend.upload_files[1].url"),
        (10, "agents[0].backend.upload_files[2].file_path"),
        (11, "agents[0].backend.upload_files[3].file_path"),
    ]
    assert "or an address with 'https'" in caught.value.problems[-2].message
    assert "cannot read" in str(caught.value)


def test_a_file_has_exactly_one_name(folder: Path) -> None:
    agents = "- {id: a, backend: {type: scripted, upload_files: [{url: x, image_path: y}, z.png]}}"
    with pytest.raises(InvalidConfig) as caught:
        load_config(_written(folder, agents), PluginHost())

    first, second = caught.value.problems
    assert "give exactly one of 'image_path', 'url' and 'file_path'" in first.message
    assert "agents[0].backend.upload_files[1]: expected a mapping that names" in second.message
    assert "'file_path: z.png'" in second.message


def test_addresses_and_texts_are_parts_of_their_kind(folder: Path) -> None:
    uploads = f"[{{url: '{ADDRESS}'}}, {{file_path: notes.md}}, {{file_path: {folder}/red.png}}]"
    agents = f"- {{id: a, backend: {{type: scripted, upload_files: {uploads}}}}}"
    found = load_attached(load_config(_written(folder, agents), PluginHost()))

    address, notes, red = found.agents["a"]
    assert (address.type, address.url, address.name) == ("image", ADDRESS, "cat.png")
    assert (notes.type, notes.media_type, notes.data) == ("document", "text/markdown", b"# Notes")
    assert (red.type, red.data) == ("image", RED)


async def test_a_resumed_run_has_what_it_began_with_whatever_became_of_the_files(
    folder: Path,
) -> None:
    able = {"type": "python", "function": "looking:look"}
    (folder / "looking.py").write_text(LOOKING)
    upload = {"upload_files": [{"image_path": "blue.png"}]}
    given = config(
        {"id": "ann", "backend": {**able, **upload}},
        team("critics", {"id": "cy", "backend": {**able, **upload}}, images=["shots/green.png"]),
        images=["red.png"],
        strategy={"type": "sequential"},
    )
    file = folder / "team.json"
    file.write_text(json.dumps(given))
    records = massgen_bridge.stream(file, "Which?", trust=True)
    async for record in records:
        if record.event.type == "turn_started" and record.turn_id == "ann.1":
            break
    await records.aclose()  # type: ignore[attr-defined]  # an async generator
    for name in ("red.png", "blue.png", "shots/green.png"):
        await anyio.Path(folder / name).unlink()

    result = await massgen_bridge.aresume(record.run_id, trust=True)

    assert result.answer == f"{len(RED)}+{len(GREEN)}+{len(BLUE)}"


LOOKING = """\
from massgen_bridge import Capabilities
from massgen_bridge.messages import MediaPart

async def look(turn):
    media = [p for m in turn.messages for p in m.parts if isinstance(p, MediaPart)]
    return "+".join(str(len(part.data)) for part in media)
"""


async def test_a_conversation_keeps_pictures_but_those_of_every_task_once(folder: Path) -> None:
    sent: list[list[bytes | None]] = []

    def reply(request: ModelRequest) -> Reply:
        sent.append([one.data for message in request.messages for one in message.media])
        return Text("Red.")

    with ModelServer(reply) as server:
        model: dict[str, Any] = {"provider": "vllm", "base_url": server.base_url("chat")}
        model |= {"model": "m", "inputs": ["image"]}
        given = config(
            {"id": "ann", "backend": {"type": "openai", "model": "m"}},
            models={"m": model},
            images=[str(folder / "red.png")],
        )
        session = Session("trip")
        await play(given, "What is it?", session=session, images=[folder / "blue.png"])
        await play(given, "And now?", session=session)

    assert sent == [[BLUE, RED], [BLUE, RED]]


async def test_python_takes_files_addresses_and_parts(folder: Path) -> None:
    part = ImagePart(media_type="image/png", data=GREEN)
    given = config(scripted("a"))
    images = [str(folder / "red.png"), ADDRESS, part]
    with pytest.raises(MediaError, match=r"'gone.png'"):
        await play(given, images=["gone.png"])
    with pytest.raises(ConfigError, match="picture"):
        await play(given, images=[folder / "notes.md"])
    result, records = await play(given, images=images, files=[folder / "notes.md"])

    (started,) = of(records, RunStarted)
    media = started.question.parts[1:]
    assert [(one.type, one.data or one.url) for one in media] == [
        ("image", RED),
        ("image", ADDRESS),
        ("image", GREEN),
        ("document", b"# Notes"),
    ]
    assert result.status == "failed"  # a scripted agent takes text alone
    assert not [one for one in of(await kept(result.run_id), TurnStarted) if one.round]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (png(side=64)[:-20], "ends in the middle of the picture"),
        (png(side=64)[:48] + bytes(8) + png(side=64)[56:], "cannot be decoded"),
        (BOMB, "has 30,000 x 30,000 pixels"),
    ],
    ids=["cut off", "changed", "bomb"],
)
def test_a_damaged_picture_is_refused_before_anybody_is_asked(
    folder: Path, data: bytes, told: str
) -> None:
    (folder / "red.png").write_bytes(data)
    asked: list[Record] = []
    ada = scripted("ada", answers=["x"])
    for given in (folder / "red.png", ImagePart(media_type="image/png", data=data)):
        with pytest.raises(MediaError, match=told):
            massgen_bridge.run(
                {"version": 1, "agents": [ada]}, "q", images=[given], on_record=asked.append
            )
    assert not asked

    file = _written(folder, "- {id: ada, backend: {type: scripted}}", "images: [red.png]")
    with pytest.raises(InvalidConfig, match=told) as caught:
        load_attached(load_config(file, PluginHost()))
    assert caught.value.line == 2
