"""The cost alarm of examples/hooks: what it counts, when it sounds, and how it stops a run."""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from massgen_bridge import Record, RunResult, Usage, price_of, run
from massgen_bridge.testing import servers
from massgen_bridge.testing.servers import ModelServer, Text

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "configs" / "hooks" / "cost-alarm.yaml"
HOOKS = ROOT / "examples" / "hooks"


UNTIL_ALARM = """
import anyio
from massgen_bridge import ToolDefinition, ToolSpec, hookimpl

async def until_alarm(arguments):
    while not await anyio.Path(arguments["file"]).exists():
        await anyio.sleep(0.01)
    return "heard"

@hookimpl
def bridge_tools():
    definition = ToolDefinition(
        name="until_alarm", description="Wait.", input_schema={"type": "object"}
    )
    return [ToolSpec(definition=definition, call=until_alarm)]
"""


def _run(config: Path | dict[str, Any] | None = None, **options: Any) -> RunResult:
    return run(config or _at_once(), "Why learn Python?", trust=True, keep=False, **options)


def _at_once() -> dict[str, Any]:
    """The configuration without its delay, which only stopping a run needs."""
    config: dict[str, Any] = YAML(typ="safe").load(CONFIG)
    config["plugins"] = [str(HOOKS / "cost_alarm.py")]
    del config["agents"][1]["backend"]["delay_s"]
    return config


def _told(capfd: pytest.CaptureFixture[str]) -> list[str]:
    lines = capfd.readouterr().err.splitlines()
    return [line.removeprefix("cost alarm: ") for line in lines if line.startswith("cost alarm: ")]


def _at(server: ModelServer, name: str) -> dict[str, Any]:
    """One agent with a model at a server."""
    model = {"provider": "openai", "model": name, "base_url": server.url, "api_key": "${A_KEY}"}
    return {
        "version": 1,
        "plugins": [str(HOOKS / "cost_alarm.py")],
        "models": {"priced": model},
        "agents": [{"id": "ada", "backend": {"type": "openai", "model": "priced"}}],
        "strategy": "single",
    }


def test_without_a_limit_nothing_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    assert _run().status == "answered"
    assert _told(capfd) == []


def test_it_sounds_once_and_calls_the_command(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "tell.py"
    script.write_text(
        "import sys; open(sys.argv[1], 'a').write(sys.argv[-1] + '\\n'); print('never an answer')"
    )
    calls = tmp_path / "calls.txt"
    monkeypatch.setenv("COST_ALARM_TOKENS", "10")
    monkeypatch.setenv("COST_ALARM_COMMAND", f"'{sys.executable}' '{script}' '{calls}'")
    result = _run()
    assert result.status == "answered"
    (alarm,) = _told(capfd)
    assert alarm.startswith(f"run {result.run_id} has used ")
    assert alarm.endswith(" of 10 tokens")
    assert calls.read_text() == alarm + "\n"


def test_it_stops_the_run_with_the_best_answer_so_far(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COST_ALARM_TOKENS", "5")
    monkeypatch.setenv("COST_ALARM_STOP", "yes")
    config = _at_once()
    config["agents"][1]["backend"]["delay_s"] = 4  # ada's answer alone is too much; time to hear it
    result = _run(config)
    assert (result.status, result.winner, result.calls) == ("best_so_far", "ada", 2)
    assert [(error.turn_id, error.kind) for error in result.errors] == [
        ("ada.2", "limit"),
        ("lin.2", "limit"),
    ]
    (alarm,) = _told(capfd)
    assert alarm in result.errors[0].message


def test_tool_calls_are_denied_once_the_budget_is_used_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first agent uses up the budget; the second one reads once the alarm was heard."""
    (tmp_path / "notes.txt").write_text("Python is easy to read.")
    (tmp_path / "until_alarm.py").write_text(UNTIL_ALARM)
    (tmp_path / "hear.py").write_text("import sys; open(sys.argv[1], 'w').close()")
    monkeypatch.chdir(tmp_path)
    calls = [{"until_alarm": {"file": ""}}, {"read_file": {"path": "notes.txt"}}]
    tools = ["until_alarm", "read_file"]
    config = {
        "version": 1,
        "plugins": [
            *(str(HOOKS / name) for name in ("cost_alarm.py", "read_file_tool.py")),
            str(tmp_path / "until_alarm.py"),
        ],
        "agents": [
            {"id": "ada", "backend": {"type": "scripted", "answers": ["It is easy to read."]}},
            {"id": "lin", "backend": {"type": "scripted", "calls": calls}, "tools": tools},
        ],
    }
    results = {}
    for stop in ("", "yes"):
        records: list[Record] = []
        heard = tmp_path / f"heard{stop}"
        calls[0]["until_alarm"]["file"] = str(heard)
        monkeypatch.setenv("COST_ALARM_TOKENS", "5")
        monkeypatch.setenv("COST_ALARM_COMMAND", f"'{sys.executable}' hear.py '{heard}'")
        monkeypatch.setenv("COST_ALARM_STOP", stop)
        _run(config, on_record=records.append)
        results[stop] = [
            one.event.result.content
            for one in records
            if one.event.type == "tool_call_finished" and one.event.result.name == "read_file"
        ]
    assert results[""] == ["Python is easy to read."]
    assert results["yes"] == ["denied: the budget is used up; answer with what you have"]


@pytest.mark.parametrize("limit", ["0.0001", "100"])
def test_it_adds_up_what_models_cost(
    limit: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COST_ALARM_USD", limit)
    used = Usage(input_tokens=3000, output_tokens=500, calls=1)
    price = price_of(used, provider="openai", model="gpt-4o-mini")
    assert price is not None
    told = servers.Usage(input_tokens=3000, output_tokens=500)
    with ModelServer([Text("It is easy to read.", usage=told)], api_key="a-key") as server:
        monkeypatch.setenv("A_KEY", "a-key")
        result = _run(_at(server, "gpt-4o-mini"))
    assert result.answer == "It is easy to read."
    expected = [f"run {result.run_id} has used ${price:.4f} of ${limit}"]
    assert _told(capfd) == (expected if price > Decimal(limit) else [])


def test_it_says_what_it_cannot_price(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COST_ALARM_USD", "1")
    assert _run().status == "answered"
    assert _told(capfd) == []  # what nobody charges for has a price, too
    monkeypatch.setenv("A_KEY", "a-key")
    with ModelServer([Text("It is easy to read.")], api_key="a-key") as server:
        result = _run(_at(server, "of-nobody"))
    assert _told(capfd) == [
        f"run {result.run_id}: the calls of of-nobody are not counted; no usage or price is known"
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("COST_ALARM_TOKENS", "a whole number of tokens, such as 50000"),
        ("COST_ALARM_USD", "a number of dollars, such as 0.50"),
    ],
)
def test_a_limit_that_is_no_number_is_told_and_the_run_goes_on(
    name: str, expected: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "many")
    assert _run().status == "answered"
    (message,) = caplog.messages
    assert "cost_alarm.py" in message
    assert message.endswith(f"{name}: expected {expected}, found 'many'")
