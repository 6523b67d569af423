"""Recorded turns of LangChain agents and of graphs, also of those that block."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from massgen_bridge import ReplayDiverged, run
from massgen_bridge.testing.servers import HttpError, ModelServer, Text

if TYPE_CHECKING:
    from pathlib import Path

KEY = "sk-canary-0123456789"
NOWHERE = "http://127.0.0.1:9/v1"
GRAPHS = """
from langchain_core.runnables import RunnableLambda
from langchain_openai import ChatOpenAI

def asynchronous(model):
    async def ask(messages):
        return await model.ainvoke(messages)
    return RunnableLambda(ask)

def blocking(model):
    return RunnableLambda(lambda messages: model.invoke(messages))

def own(connection):
    mine = ChatOpenAI(model="m", base_url=connection.base_url, api_key="x", max_retries=0)
    return RunnableLambda(lambda messages, config: mine.invoke(messages, config))
"""


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASSGEN_BRIDGE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("CANARY_KEY", KEY)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_graphs.py").write_text(GRAPHS)


def _config(url: str, system: str, **more: Any) -> dict[str, Any]:
    model = {
        "provider": "openai",
        "base_url": url,
        "model": "m",
        "api_key": "${CANARY_KEY}",
        "retry": {"base_s": 0.01},
    }
    backend = {"type": "langchain", "model": "one", **more}
    return {
        "version": 1,
        "models": {"one": model},
        "strategy": "single",
        "agents": [{"id": "ada", "system_message": system, "backend": backend}],
    }


OPTIONS: dict[str, dict[str, Any]] = {
    "an agent": {},
    "a graph": {"graph": "my_graphs.py:asynchronous", "input": "messages"},
    "a graph that blocks": {"graph": "my_graphs.py:blocking", "input": "messages"},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_what_it_asks_is_recorded_and_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    tape = tmp_path / "run.jsonl"
    with ModelServer([HttpError(status=500), Text("Yes.")]) as server:
        then = run(_config(server.url, "Be brief.", **options), "Is it?", record=tape)
    monkeypatch.delenv("CANARY_KEY")
    now = run(_config(NOWHERE, "Be brief.", **options), "Is it?", replay=tape)
    assert (now.answer, now.calls, now.usage) == ("Yes.", then.calls, then.usage)
    assert KEY not in tape.read_text()
    with pytest.raises(ReplayDiverged, match=r"asked 'Be long\.', recorded 'Be brief\.'"):
        run(_config(NOWHERE, "Be long.", **options), "Is it?", replay=tape)


def test_a_graph_with_a_client_of_its_own_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = {"graph": "my_graphs.py:own", "input": "messages"}
    with ModelServer(Text("Yes.")) as server, caplog.at_level(logging.WARNING):
        run(_config(server.url, "Be brief.", **options), "Is it?", record=tmp_path / "run.jsonl")
    assert "has none of the model calls of 'ada'" in caplog.text
