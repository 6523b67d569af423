"""`massgen-bridge doctor CONFIG`: whether the connections of a configuration work."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from massgen_bridge.testing.servers import (
    AutoToolCall,
    HttpError,
    ModelServer,
    Reply,
    Structured,
    Text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cli.conftest import Commands

    from massgen_bridge.testing.servers import ModelRequest

    Look = Callable[..., dict[str, dict[str, dict[str, Any]]]]

ABLE = "inputs: [image], api_key_env: THE_KEY"


def _answer(request: ModelRequest) -> Reply:
    """What an able model does; `text-only` is a model that takes nothing but text."""
    if request.tools:
        able: Reply = AutoToolCall()
    elif request.output_schema is not None:
        able = Structured({"ok": True})
    else:
        able = Text("Well.")
    special = request.tools or request.output_schema is not None or "image" in str(request.body)
    if request.model == "text-only" and special:
        return HttpError(status=400, message="this model takes text alone")
    return able


@pytest.fixture
def server() -> Iterator[ModelServer]:
    models = ("big", "text-only")
    with ModelServer(models=models, default=_answer, api_key="the-key") as started:
        yield started


@pytest.fixture
def look(
    commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dict[str, Any]]:
    """Runs the doctor; gives what it found of each connection: check to state and words."""
    monkeypatch.setenv("THE_KEY", "the-key")
    monkeypatch.setenv("ANOTHER_KEY", "another")

    def run(*options: str, code: int, **models: str) -> dict[str, Any]:
        rows = "".join(f"  {name}: {{{said}}}\n" for name, said in models.items())
        first = next(iter(models))
        file = tmp_path / "team.yaml"
        agents = f"agents: [{{id: ada, backend: {{type: openai, model: {first}}}}}]"
        file.write_text(f"version: 1\nmodels:\n{rows}{agents}\n", encoding="utf-8")
        done = commands("doctor", file, "--json", *options)
        assert done.returncode == code, done.stdout + done.stderr
        assert "the-key" not in done.stdout
        return {
            one["name"]: {check["name"]: check for check in one["checks"]}
            for one in json.loads(done.stdout)["connections"]
        }

    return run


def _most(body: dict[str, Any]) -> int:
    """The limit of a request's answer, in tokens."""
    settings = body.get("generationConfig", body)
    most: int = settings.get("maxOutputTokens", settings.get("max_tokens"))
    return most


def _states(found: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: check["state"] for name, check in found.items()}


def test_all_that_works_is_told_and_costs_a_few_tokens(look: Look, server: ModelServer) -> None:
    chat = f"provider: vllm, base_url: '{server.url}', model: big, {ABLE}"
    messages = (
        f"provider: vllm, protocol: messages, base_url: '{server.base_url('messages')}', "
        f"model: big, structured: true, {ABLE}"
    )
    gemini = f"provider: gemini, base_url: '{server.base_url('gemini')}', model: big, {ABLE}"
    found = look(code=0, own=chat, talk=messages, google=gemini)
    every = ("configured", "reachable", "key", "model", "streams", "tools", "schema", "images")
    for name in ("own", "talk", "google"):
        assert list(_states(found[name]).items()) == [(one, "ok") for one in every]
        assert found[name]["tools"]["detail"] == "tools"
    assert found["google"]["configured"]["detail"] == "by gemini, a key is set"
    calls = [one.body for one in server.requests if one.method == "POST"]
    assert len(calls) == 3 * 4
    assert all(_most(body) <= 64 for body in calls)


def test_what_is_claimed_and_not_so_is_broken(look: Look, server: ModelServer) -> None:
    own = f"provider: vllm, base_url: '{server.url}', model: text-only, {ABLE}"
    modest = f"{own}, tools: false, structured: false".replace("[image]", "[]")
    found = look(code=1, own=own, modest=modest)
    assert {found["own"][one]["state"] for one in ("tools", "schema", "images")} == {"broken"}
    assert "say 'structured: false'" in found["own"]["schema"]["detail"]
    assert {found["modest"][one]["state"] for one in ("tools", "schema", "images")} == {"info"}


def test_what_hinders_a_connection_is_told(look: Look, server: ModelServer) -> None:
    where = f"provider: vllm, base_url: '{server.url}'"
    found = look(
        code=1,
        refused=f"{where}, model: big, api_key_env: ANOTHER_KEY",
        keyless=f"{where}, model: big",
        nobody="provider: vllm, base_url: 'http://127.0.0.1:9/v1', model: big",
        unset="provider: groq, model: big",
    )
    assert found["refused"]["key"]["state"] == "broken"
    assert found["refused"]["key"]["detail"].startswith("key refused: ")
    assert "HTTP 401" in found["refused"]["key"]["detail"]
    assert found["keyless"]["key"]["detail"].startswith("a key is needed: ")
    assert "'api_key_env'" in found["keyless"]["key"]["detail"]
    assert found["nobody"]["reachable"]["state"] == "broken"
    assert "GROQ_API_KEY" in found["unset"]["configured"]["detail"]
    assert not [one for one in server.requests if one.method == "POST"]


def test_a_model_that_is_not_there_is_told_with_the_nearest(look: Look) -> None:
    with ModelServer(models=("qwen3:8b",)) as open_server:
        own = f"provider: ollama, base_url: '{open_server.url}', model: qwen3"
        found = look(code=1, own=own)
    assert "did you mean 'qwen3:8b'" in found["own"]["model"]["detail"]
    assert "streams" not in found["own"]


def test_offline_nobody_is_asked(look: Look, server: ModelServer) -> None:
    own = f"provider: vllm, base_url: '{server.url}', model: big, {ABLE}"
    assert _states(look("--offline", code=0, own=own)["own"]) == {"configured": "ok"}
    assert not server.requests


@pytest.mark.parametrize("offline", [("--offline",), ()])
def test_what_a_model_that_sees_nothing_gets_of_pictures_is_told(
    look: Look, server: ModelServer, monkeypatch: pytest.MonkeyPatch, offline: tuple[str, ...]
) -> None:
    blind = f"provider: vllm, base_url: '{server.url}', model: big, api_key_env: THE_KEY"
    both = {
        "read": f"{blind}, images: ocr",
        "told": f"{blind}, images: describe, describe_by: eyes",
        "eyes": f"{blind}, inputs: [image]",
    }
    found = look(*offline, code=0, **both)
    assert found["read"]["images"]["detail"] == "images by the text on them"
    assert found["told"]["images"]["detail"] == "images by the words of 'eyes'"
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    lacking = look(*offline, code=1, **both)["read"]["images"]
    assert lacking["state"] == "broken"
    assert "pip install 'massgen-bridge[ocr]'" in lacking["detail"]


def test_a_line_tells_of_each_connection(
    commands: Commands, tmp_path: Path, server: ModelServer
) -> None:
    file = tmp_path / "team.yaml"
    file.write_text(
        "version: 1\n"
        f"models: {{own: {{provider: vllm, base_url: '{server.url}', model: big}}}}\n"
        "agents: [{id: ada, backend: {type: openai, model: own}}]\n",
        encoding="utf-8",
    )
    done = commands("doctor", file)
    line, _, last = done.stdout.splitlines()
    assert line.startswith(f"!! own  vllm big at {server.url}: by chat, no key, reachable")
    assert last == "1 broken, see !! above"


def test_offline_needs_a_configuration(commands: Commands) -> None:
    done = commands("doctor", "--offline")
    assert done.returncode == 2
    assert "name its file" in done.stderr
