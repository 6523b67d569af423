"""Pictures of a whole run: what reaches the model, what is refused, described or read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import massgen_bridge
from massgen_bridge import api
from massgen_bridge.errors import ConfigError
from massgen_bridge.events import LogLine, ModelCallFinished, Record, TurnLost
from massgen_bridge.messages import ImagePart, Message, TextPart
from massgen_bridge.testing.pictures import PICTURES, make, shows
from massgen_bridge.testing.servers import HttpError, ModelRequest, ModelServer, Text

if TYPE_CHECKING:
    from massgen_bridge.events import RunResult
    from massgen_bridge.testing.servers import Script

pytestmark = pytest.mark.anyio

BY_NAME = {kind.name: kind for kind in PICTURES}
BLIND: dict[str, Any] = {"model": "blind", "inputs": []}


def question(*names: str) -> Message:
    pictures = [
        ImagePart(media_type="image/png", data=make(BY_NAME[name]), name=name) for name in names
    ]
    return Message(role="user", parts=(TextPart(text="What is it?"), *pictures))


def team(server: ModelServer, *agents: str, **models: dict[str, Any]) -> dict[str, Any]:
    """A team of agents that are called as their models are."""
    common = {"provider": "vllm", "base_url": server.base_url("chat")}
    return {
        "version": 1,
        "models": {
            name: {"model": name, **common, **given}
            for name, given in {"sees": {"inputs": ["image"]}, **models}.items()
        },
        "agents": [
            {"id": f"a{number}", "backend": {"type": "openai", "model": name}}
            for number, name in enumerate(agents)
        ],
        "strategy": {"type": "single"} if len(agents) == 1 else {"type": "consensus"},
    }


async def played(
    script: Script, asked: Message, *agents: str, **models: dict[str, Any]
) -> tuple[RunResult, ModelServer, list[Record]]:
    records: list[Record] = []
    with ModelServer(script) as server:
        config = team(server, *agents, **models)
        result = await massgen_bridge.arun(config, asked, keep=False, on_record=records.append)
        return result, server, records


def logged(records: list[Record]) -> str:
    return "\n".join(one.event.text for one in records if isinstance(one.event, LogLine))


async def test_a_picture_reaches_the_model_as_it_was_meant() -> None:
    seen: list[bytes] = []

    def answer(request: ModelRequest) -> Text:
        (media,) = request.messages[-1].media
        assert media.media_type == "image/jpeg"
        seen.append(media.data or b"")
        return Text("Four quarters.")

    limits = {"image_limits": {"max_side": 32}, "inputs": ["image"]}
    asked = question("jpeg_orientation_6")
    result, _, records = await played(answer, asked, "sees", sees=limits)
    assert result.answer == "Four quarters."
    assert shows(seen[0], BY_NAME["jpeg_orientation_6"])
    assert "turned upright, scaled from 48 x 64 to 32 x 24 pixels" in logged(records)


async def test_pictures_are_made_fit_for_the_fallbacks_that_see_them_too() -> None:
    names, seen = ("png_rgb", "jpeg"), list[bytes]()

    def answer(request: ModelRequest) -> Text | HttpError:
        if request.body["model"] == "first":
            return HttpError(status=401)
        assert request.body["model"] == "second"
        media = request.messages[-1].media
        assert {one.media_type for one in media} == {"image/jpeg"}
        seen.extend(one.data or b"" for one in media)
        return Text("Four quarters.")

    result, _, records = await played(
        answer,
        question(*names),
        "first",
        first={"inputs": ["image"], "fallback": ["blind", "one", "second"]},
        blind=BLIND,
        one={"inputs": ["image"], "image_limits": {"max_count": 1}},
        second={
            "inputs": ["image"],
            "image_limits": {"max_side": 32, "formats": ["image/jpeg"]},
        },
    )
    assert result.answer == "Four quarters."
    assert [shows(data, BY_NAME[name]) for name, data in zip(names, seen, strict=True)] == [
        True
    ] * 2
    assert logged(records).count("scaled from 64 x 48 to 32 x 24 pixels") == 2
    lacking = "the fallback 'one' is not asked: its model takes no more than 1 image"
    assert lacking in logged(records)


@pytest.mark.parametrize(
    ("names", "model", "told"),
    [
        (("jpeg",), BLIND, "cannot carry 'image'"),
        (("jpeg", "gif"), {"image_limits": {"max_count": 1}}, "takes at most 1 in one request"),
        (("gif_animated",), {"animated_images": "refuse"}, "moves, and that is refused"),
    ],
)
async def test_what_a_model_cannot_take_is_refused_before_any_call(
    names: tuple[str, ...], model: dict[str, Any], told: str
) -> None:
    given = {"inputs": ["image"], **model}
    result, server, records = await played(Text("?"), question(*names), "m", m=given)
    assert result.status == "failed"
    assert server.calls == 0
    (lost,) = [one.event for one in records if isinstance(one.event, TurnLost)]
    assert lost.kind == "unsupported"
    assert told in lost.message


async def test_a_picture_is_described_once_to_agents_that_see_none() -> None:
    def answer(request: ModelRequest) -> Text:
        if request.model == "sees":
            assert shows(request.messages[-1].media[0].data or b"", BY_NAME["bmp"])
            return Text("Red, green, blue and white.")
        assert not any(message.media for message in request.messages)
        assert "the model 'sees' describes it:]\nRed, green" in request.messages[-1].text
        return Text("Four quarters.")

    described = {**BLIND, "images": "describe", "describe_by": "sees"}
    result, server, records = await played(
        answer, question("bmp"), "blind", "blind", blind=described
    )
    assert result.answer == "Four quarters."
    models = [request.body["model"] for request in server.requests]
    assert models.count("sees") == 1
    assert "Red, green, blue and white." in logged(records)
    counted = [one.event.source for one in records if isinstance(one.event, ModelCallFinished)]
    assert counted.count("describer") == 1
    assert result.calls == len(models)


async def test_a_budget_covers_what_describes_pictures() -> None:
    described = {**BLIND, "images": "describe", "describe_by": "sees"}
    with ModelServer(Text("Something.")) as server:
        config = team(server, "blind", blind=described) | {"budget": {"model_calls": 1}}
        result = await massgen_bridge.arun(config, question("png_rgb"), keep=False)
        assert server.calls == 1
    assert result.budget is not None


async def test_a_picture_that_nobody_describes_fails_the_turn() -> None:
    described = {**BLIND, "images": "describe", "describe_by": "sees"}
    result, server, records = await played(Text(""), question("png_rgb"), "blind", blind=described)
    assert result.status == "failed"
    assert {request.body["model"] for request in server.requests} == {"sees"}
    (lost,) = [one.event for one in records if isinstance(one.event, TurnLost)]
    assert "the model 'sees' did not describe the picture" in lost.message


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"images": "describe"}, "'images: describe' and 'describe_by' belong together"),
        ({"describe_by": "sees"}, "'images: describe' and 'describe_by' belong together"),
        ({"images": "describe", "describe_by": "blind"}, "whose model 'blind' sees no pictures"),
        ({"images": "describe", "describe_by": "see"}, r"no model 'see' \(did you mean 'sees'"),
    ],
)
def test_a_description_by_nobody_is_refused_before_the_run(
    given: dict[str, Any], told: str
) -> None:
    with ModelServer(Text("?")) as server:
        config = team(server, "blind", blind={**BLIND, **given})
        with pytest.raises(ConfigError, match=told):
            api.prepare(config)
