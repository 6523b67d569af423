"""Runs that are recorded from a loopback server and replayed without one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from massgen_bridge import run
from massgen_bridge.testing.servers import ModelServer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from massgen_bridge.events import Record, RunResult
    from massgen_bridge.testing.servers import Reply, Script

KEY = "sk-canary-0123456789"
NOWHERE = "http://127.0.0.1:9/v1"
QUESTION = "Which is it?"


def team(url: str, *agents: dict[str, Any], model: dict[str, Any] | None = None) -> dict[str, Any]:
    """A team whose agents have one model at an address, with the key of a variable."""
    retry = {"base_s": 0.01, "max_s": 0.02}
    given = {"provider": "openai", "base_url": url, "model": "m", "api_key": "${CANARY_KEY}"}
    agents = agents or (asking("ada"), asking("lin"))
    return {
        "version": 1,
        "models": {"one": {**given, "retry": retry, **(model or {})}},
        "agents": list(agents),
    }


def asking(agent_id: str, **more: Any) -> dict[str, Any]:
    """An agent that asks that model."""
    return {"id": agent_id, "backend": {"type": "openai", "model": "one"}, **more}


def one_by_one(*replies: Reply) -> Script:
    """The replies in turn, the last one for ever."""
    left = list(replies)
    return lambda _request: left.pop(0) if len(left) > 1 else left[0]


def recorded(
    path: Path, script: Script, *agents: dict[str, Any], **more: Any
) -> tuple[RunResult, list[Record]]:
    """A run whose calls are recorded; the server has ended afterwards."""
    records: list[Record] = []
    with ModelServer(script, **more.pop("server", {})) as server:
        config = {**team(server.url, *agents, model=more.pop("model", None)), **more}
        result = run(config, QUESTION, record=path, on_record=records.append, keep=False)
    return result, records


def replayed(path: Path, *agents: dict[str, Any], **more: Any) -> tuple[RunResult, list[Record]]:
    """The same run by the cassette; there is nothing that it could ask."""
    records: list[Record] = []
    config = {**team(NOWHERE, *agents, model=more.pop("model", None)), **more}
    result = run(config, QUESTION, replay=path, on_record=records.append, keep=False)
    return result, records


def gist(result: RunResult) -> dict[str, Any]:
    """What two runs have in common that went the same way."""
    left_out = {"run_id", "duration_s"}
    return result.model_dump(mode="json", exclude=left_out)


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The lines of a cassette."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def calls_of(path: Path) -> list[dict[str, Any]]:
    """The recorded calls."""
    return [line for line in lines_of(path) if line["type"] == "call"]


def without_lines(path: Path, numbers: Sequence[int]) -> None:
    """Take lines out of a cassette, the first being 1."""
    kept = [
        line
        for number, line in enumerate(path.read_bytes().splitlines(keepends=True), 1)
        if number not in numbers
    ]
    path.write_bytes(b"".join(kept))
