"""A run with everything around it: journal, index, observers, sinks, secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from anyio import to_thread

from massgen_bridge.config.load import load_config
from massgen_bridge.hookspecs import hookimpl
from massgen_bridge.messages import user
from massgen_bridge.plugins import PluginHost
from massgen_bridge.runtime.execution import execute
from massgen_bridge.runtime.index import RunIndex
from massgen_bridge.runtime.journal import read_run
from massgen_bridge.runtime.planning import prepare_run
from massgen_bridge.specs import SinkSpec
from massgen_bridge.testing.servers import ModelServer, Text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from massgen_bridge.events import Record, RunResult, RunStarted

pytestmark = pytest.mark.anyio
CANARY = "sk-canary-0123456789"
SCRIPTED = {"id": "ada", "backend": {"type": "scripted", "answers": ["one two"]}}


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASSGEN_BRIDGE_DATA", str(tmp_path))


async def run(config: dict[str, Any], *plugins: object, **more: Any) -> RunResult:
    def prepare() -> Any:
        host = PluginHost()
        for plugin in plugins:
            host.register(plugin, name=type(plugin).__name__)
        environ = {"CANARY_KEY": CANARY}
        return prepare_run(load_config(config, host), host=host, environ=environ)

    return await execute(await to_thread.run_sync(prepare), user("Which?"), **more)


def _config(*agents: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"version": 1, "agents": list(agents), **more}


async def test_a_run_is_listed_and_can_be_read_again() -> None:
    heard: list[Record] = []
    result = await run(_config(SCRIPTED), listeners=[heard.append])
    rows = await to_thread.run_sync(RunIndex().list)
    kept = await to_thread.run_sync(lambda: list(read_run(RunIndex().path(result.run_id))))

    assert [(row.run_id, row.status, row.winner) for row in rows] == [
        (result.run_id, "answered", "ada")
    ]
    assert [r.event.type for r in kept] == [r.event.type for r in heard]


class Watcher:
    def __init__(self) -> None:
        self.heard: list[str] = []

    @hookimpl
    def bridge_run_started(self, run_id: str, started: RunStarted) -> None:
        self.heard.append(f"started {run_id} {started.strategy}")

    @hookimpl
    def bridge_events(self, records: Sequence[Record]) -> None:
        self.heard.extend(record.event.type for record in records)

    @hookimpl
    def bridge_run_finished(self, result: RunResult) -> None:
        self.heard.append(f"finished {result.status}")


async def test_observers_hear_everything_before_the_run_returns() -> None:
    watcher = Watcher()
    result = await run(_config(SCRIPTED), watcher)

    assert watcher.heard[0] == f"started {result.run_id} consensus"
    assert watcher.heard[-1] == "finished answered"
    assert "text_delta" in watcher.heard


class Kept:
    def __init__(self) -> None:
        self.records: list[Record] = []
        self.closed = False

    def write(self, records: Sequence[Record]) -> None:
        self.records.extend(records)

    def close(self) -> None:
        self.closed = True

    @hookimpl
    def bridge_sinks(self) -> list[SinkSpec]:
        return [SinkSpec(name="kept", summary="Keeps.", create=lambda _options: self)]


async def test_a_sink_of_the_configuration_gets_the_records_and_is_closed() -> None:
    sink = Kept()
    await run(_config(SCRIPTED, sinks=["kept"]), sink)

    assert sink.records[-1].event.type == "run_finished"
    assert sink.closed


async def test_no_key_gets_into_journal_sinks_or_listeners() -> None:
    heard: list[Record] = []
    sink = Kept()
    leak = f"The key is {CANARY}, says the model."
    model = {"provider": "vllm", "model": "m", "api_key": "${CANARY_KEY}"}
    with ModelServer(Text(leak, chunks=(leak[:20], leak[20:]))) as server:
        model["base_url"] = server.url
        agent = {"id": "ada", "backend": {"type": "openai", "model": "m"}}
        config = _config(agent, models={"m": model}, sinks=["kept"])
        result = await run(config, sink, listeners=[heard.append])
        assert server.requests[0].api_key == CANARY

    path = RunIndex().path(result.run_id)
    everything = await to_thread.run_sync(path.read_bytes)
    assert b"[secret]" in everything
    assert CANARY.encode() not in everything
    for records in (heard, sink.records):
        text = "".join(record.model_dump_json() for record in records)
        assert "[secret]" in text
        assert CANARY not in text
