"""Runs in which one connection fails and another one answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import massgen_bridge
from massgen_bridge.errors import ConfigError
from massgen_bridge.events import ModelCallFinished, ModelRetried, Record, TextDelta
from massgen_bridge.testing.servers import (
    Disconnect,
    HttpError,
    ModelServer,
    Reply,
    Text,
    ToolCalls,
)

if TYPE_CHECKING:
    from pathlib import Path

    from massgen_bridge.connection import Protocols
    from massgen_bridge.events import RunResult
    from massgen_bridge.testing.servers import Script

pytestmark = pytest.mark.anyio


def _team(first: str, second: str, kind: str = "openai", **more: Any) -> dict[str, Any]:
    retry = {"attempts": 2, "base_s": 0.001}
    given = {"provider": "vllm", "retry": retry}
    return {
        "version": 1,
        "models": {
            "main": {**given, "model": "m1", "base_url": first, "fallback": ["spare"], **more},
            "spare": {**given, "model": "m2", "base_url": second},
        },
        "agents": [{"id": "ada", "backend": {"type": kind, "model": "main"}}],
    }


async def _played(config: dict[str, Any]) -> tuple[RunResult, list[Record]]:
    records: list[Record] = []
    result = await massgen_bridge.arun(config, "?", keep=False, on_record=records.append)
    return result, records


def _one_by_one(*replies: Reply) -> Script:
    left = list(replies)
    return lambda _request: left.pop(0) if len(left) > 1 else left[0]


def _events(records: list[Record], kind: type[Any]) -> list[Any]:
    return [one.event for one in records if isinstance(one.event, kind)]


@pytest.mark.parametrize("kind", ["anthropic", "langchain", "openai"])
async def test_another_connection_answers_where_one_fails_for_good(kind: str) -> None:
    protocol: Protocols = "messages" if kind == "anthropic" else "chat"
    with ModelServer(HttpError(status=503)) as first, ModelServer(Text("From two.")) as second:
        config = _team(first.base_url(protocol), second.base_url(protocol), kind)
        result, records = await _played(config)
        assert (first.calls, second.calls) == (2, 1)
        assert second.requests[0].body["model"] == "m2"
    assert result.answer == "From two."
    retried = _events(records, ModelRetried)
    assert [one.fallback for one in retried] == [None, "spare"]
    assert [one.model for one in _events(records, ModelCallFinished)] == ["m2"]
    assert result.calls == 3


@pytest.mark.parametrize("refused", [401, 404, 429])
async def test_a_connection_that_refuses_its_key_or_model_is_replaced(refused: int) -> None:
    with ModelServer(HttpError(status=refused)) as first, ModelServer(Text("Two.")) as second:
        result, _ = await _played(_team(first.base_url("chat"), second.base_url("chat")))
    assert result.answer == "Two."


async def test_an_agent_in_a_process_of_its_own_has_the_same_fallbacks() -> None:
    with ModelServer(HttpError(status=503)) as first, ModelServer(Text("From two.")) as second:
        config = _team(first.base_url("chat"), second.base_url("chat"))
        config["agents"][0]["backend"]["isolation"] = "process"
        result, _ = await _played(config)
        assert (first.calls, second.calls) == (2, 1)
    assert (result.answer, result.calls) == ("From two.", 3)


async def test_what_is_wrong_with_the_request_itself_is_no_reason_for_another_connection() -> None:
    with ModelServer(HttpError(status=400)) as first, ModelServer(Text("Two.")) as second:
        result, _ = await _played(_team(first.base_url("chat"), second.base_url("chat")))
        assert second.calls == 0
    assert result.status == "failed"


async def test_the_last_failure_is_told_where_no_connection_answers() -> None:
    with ModelServer(HttpError(status=503)) as first, ModelServer(HttpError(status=500)) as second:
        result, _ = await _played(_team(first.base_url("chat"), second.base_url("chat")))
    assert result.status == "failed"
    assert "m2" in result.errors[0].message


async def test_a_stream_that_breaks_for_good_leaves_no_text_twice() -> None:
    broken = Disconnect(after=2, answer=Text("this is void"))
    with (
        ModelServer(_one_by_one(broken, HttpError(status=503))) as first,
        ModelServer(Text("Two.")) as second,
    ):
        config = _team(first.base_url("chat"), second.base_url("chat"))
        result, records = await _played(config)
    assert result.answer == "Two."
    last = max(at for at, one in enumerate(records) if isinstance(one.event, ModelRetried))
    assert "".join(one.text for one in _events(records[last:], TextDelta)) == "Two."


async def test_tools_are_not_called_again_for_another_connection() -> None:
    call = ToolCalls(("nothing", {}))
    down = _one_by_one(call, HttpError(status=503))
    with ModelServer(down) as first, ModelServer(Text("Two.")) as second:
        config = _team(first.base_url("chat"), second.base_url("chat"))
        result, _ = await _played(config)
        roles = [one["role"] for one in second.requests[0].body["messages"]]
    assert roles[-2:] == ["assistant", "tool"]
    assert result.answer == "Two."


def test_a_run_with_a_fallback_replays(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    with ModelServer(HttpError(status=503)) as first, ModelServer(Text("From two.")) as second:
        config = _team(first.base_url("chat"), second.base_url("chat"))
        result = massgen_bridge.run(config, "?", keep=False, record=path)
    again = massgen_bridge.run(config, "?", keep=False, replay=path)
    assert (again.answer, again.calls) == (result.answer, result.calls) == ("From two.", 3)


@pytest.mark.parametrize(
    ("spare", "said"),
    [
        ({"inputs": []}, "cannot be a fallback of 'main', for it lacks image"),
        ({"inputs": ["image"], "tools": False}, "lacks tools"),
        ({"protocol": "messages"}, r"fallback of 'main', which speaks 'chat'"),
    ],
)
def test_a_connection_that_cannot_stand_in_is_refused_before_a_run(
    spare: dict[str, Any], said: str
) -> None:
    config = _team("http://127.0.0.1:9/v1", "http://127.0.0.1:9", inputs=["image"])
    config["models"]["spare"] |= spare
    with pytest.raises(ConfigError, match=said):
        massgen_bridge.run(config, "?", keep=False)
