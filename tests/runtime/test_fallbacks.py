"""Runs in which one connection fails and another one answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import massgen_bridge
from massgen_bridge.errors import ConfigError
from massgen_bridge.events import LogLine, ModelCallFinished, ModelRetried, Record, TextDelta
from massgen_bridge.testing.servers import (
    Disconnect,
    HttpError,
    ModelServer,
    Reply,
    Text,
    ToolCalls,
)

if TYPE_CHECKING:
    from massgen_bridge.connection import Protocols
    from massgen_bridge.events import RunResult
    from massgen_bridge.testing.servers import Script

PICTURE = Path(__file__).parents[2] / "configs" / "images" / "this-year.png"

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
        ({"tools": False}, "cannot be a fallback of 'main', for its model takes no tools"),
        ({"protocol": "messages"}, "'main', which this agent asks by 'chat': .* 'messages'"),
        ({"provider": "openai", "base_url": None}, "OPENAI_API_KEY.*a fallback of 'main'"),
    ],
)
def test_a_connection_that_cannot_stand_in_is_refused_before_a_run(
    spare: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    config = _team("http://127.0.0.1:9/v1", "http://127.0.0.1:9")
    config["models"]["spare"] |= spare
    file = tmp_path / "team.yaml"
    file.write_text(json.dumps(config, indent=1))
    with pytest.raises(ConfigError, match=said) as refused:
        massgen_bridge.run(file, "?", keep=False)
    assert refused.value.line == _line(file, '"fallback"')


def test_a_fallback_that_speaks_something_else_is_told_what_would_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANY_KEY", "any")
    file = tmp_path / "team.yaml"
    file.write_text(
        "version: 1\n"
        "models:\n"
        "  claude: {provider: anthropic, model: m, api_key_env: ANY_KEY, fallback: [gpt]}\n"
        "  gpt: {provider: openai, model: m, api_key_env: ANY_KEY}\n"
        "agents:\n"
        "  - {id: ada, backend: {type: anthropic, model: claude}}\n"
    )
    with pytest.raises(ConfigError) as refused:
        massgen_bridge.run(file, "?", keep=False)
    assert "'gpt' (provider 'openai') speaks 'responses' or 'chat'" in str(refused.value)
    assert "speaks 'messages' (anthropic, " in str(refused.value)
    assert "local" in str(refused.value)
    assert refused.value.line == 3


@pytest.mark.parametrize(
    ("named", "said"),
    [(["main"], "of 'main', for it is the same one"), (["spare", "spare"], "more than once")],
)
def test_a_fallback_is_another_connection_and_named_once(
    named: list[str], said: str, tmp_path: Path
) -> None:
    config = _team("http://127.0.0.1:9/v1", "http://127.0.0.1:9/v1")
    config["models"]["main"]["fallback"] = named
    file = tmp_path / "team.yaml"
    file.write_text(json.dumps(config, indent=1))
    with pytest.raises(ConfigError, match=said) as refused:
        massgen_bridge.run(file, "?", keep=False)
    assert refused.value.line == _line(file, '"fallback"')


def _line(file: Path, text: str) -> int:
    lines = file.read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def _rows(first: ModelServer, second: ModelServer) -> dict[str, Any]:
    """OpenAI and one that speaks Chat Completions alone, in all but their addresses."""
    both = {"responses": first.base_url("responses"), "chat": first.base_url("chat")}
    able = {"inputs": ["image"], "structured": True, "prices": "openai"}
    config = _team("", "")
    config["providers"] = {
        "best": {"base_urls": both, "quirks": {"output_limit": "max_completion_tokens"}, **able},
        "plain": {"base_url": second.base_url("chat"), "prices": "groq"},
    }
    for name, provider in (("main", "best"), ("spare", "plain")):
        given = config["models"][name] | {"provider": provider, "max_output_tokens": 20}
        config["models"][name] = {key: one for key, one in given.items() if key != "base_url"}
    return config


async def test_one_that_speaks_chat_completions_alone_stands_in_for_one_that_speaks_more() -> None:
    with ModelServer(HttpError(status=503)) as first, ModelServer(Text("From two.")) as second:
        config = _rows(first, second)
        config["models"]["main"] |= {"temperature": 0.5, "extra_body": {"only": "first"}}
        config["models"]["spare"] |= {"model": "llama-3.3-70b-versatile"}
        config["models"]["spare"] |= {"extra_body": {"only": "second"}}
        result, records = await _played(config)
        paths = {one.path for one in first.requests}
        body = second.requests[0].body
    assert result.answer == "From two."
    assert all(path.endswith("/chat/completions") for path in paths)
    assert (body["max_tokens"], body["only"]) == (20, "second")
    assert not {"temperature", "max_completion_tokens"} & body.keys()
    (finished,) = _events(records, ModelCallFinished)
    assert (finished.model, finished.usage.calls) == ("llama-3.3-70b-versatile", 1)
    assert finished.cost_usd == result.cost.usd
    assert result.cost.usd is not None
    assert result.cost.usd > 0


async def test_without_such_a_fallback_the_better_protocol_is_spoken() -> None:
    with ModelServer(Text("One.")) as first, ModelServer() as second:
        config = _rows(first, second)
        config["models"]["main"]["fallback"] = []
        await _played(config)
        assert first.requests[0].path.endswith("/responses")


def test_an_option_that_the_fallback_has_no_protocol_for_is_refused() -> None:
    with ModelServer() as first, ModelServer() as second:
        config = _rows(first, second)
        config["agents"][0]["backend"]["web_search"] = True
        with pytest.raises(ConfigError, match=r"'web_search'.*have the fallback 'spare'"):
            massgen_bridge.run(config, "?", keep=False)


async def test_a_call_with_a_picture_does_not_go_to_a_fallback_that_sees_none() -> None:
    with ModelServer(HttpError(status=503)) as first, ModelServer(Text("Two.")) as second:
        config = _team(first.base_url("chat"), second.base_url("chat"), inputs=["image"])
        config["models"]["spare"]["inputs"] = []
        config["images"] = [str(PICTURE)]
        result, records = await _played(config)
        assert (first.calls, second.calls) == (2, 0)
    assert result.status == "failed"
    assert "m1" in result.errors[0].message
    told = [one.text for one in _events(records, LogLine)]
    assert "the fallback 'spare' is not asked: its model takes no image" in told


@pytest.mark.parametrize(("kind", "protocol"), [("anthropic", "messages"), ("openai", "responses")])
async def test_the_built_in_model_stands_in(kind: str, protocol: Protocols) -> None:
    with ModelServer(HttpError(status=503)) as first:
        config = _team(first.base_url(protocol), "", kind)
        config["models"]["main"]["protocol"] = protocol
        config["models"]["spare"] = {"provider": "local", "max_output_tokens": 8}
        config["strategy"] = "single"
        result, records = await _played(config)
    assert (result.status, bool(result.answer)) == ("answered", True)
    (finished,) = _events(records, ModelCallFinished)
    assert (finished.model, finished.cost_usd) == ("smollm2-135m-instruct", 0)


async def test_gemini_stands_in_for_gemini(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANY_KEY", "any")
    with ModelServer(HttpError(status=503)) as first, ModelServer(Text("From two.")) as second:
        config = _team(first.base_url("gemini"), second.base_url("gemini"), "gemini")
        for one in config["models"].values():
            one |= {"provider": "gemini", "api_key_env": "ANY_KEY"}
        config["models"]["main"] |= {"temperature": 0.5, "extra_body": {"labels": {"of": "main"}}}
        config["models"]["spare"] |= {
            "top_p": 0.9,
            "extra_body": {"generationConfig": {"topK": 7}},
        }
        result, records = await _played(config)
        asked, instead = first.requests[0].body, second.requests[0].body
    assert result.answer == "From two."
    assert asked["generationConfig"]["temperature"] == 0.5
    assert asked["labels"] == {"of": "main"}
    assert instead["generationConfig"] == {"topP": 0.9, "topK": 7}
    assert "labels" not in instead
    assert [one.model for one in _events(records, ModelCallFinished)] == ["m2"]
