"""What each file of examples/hooks does, by the configuration that loads it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from massgen_bridge import Record, RunResult, run
from massgen_bridge.testing.servers import ModelServer, Reply, Text, ToolCalls

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs" / "hooks"


def _run(name: str, records: list[Record] | None = None) -> RunResult:
    heard = [] if records is None else records
    return run(CONFIGS / name, "Why learn Python?", trust=True, keep=False, on_record=heard.append)


def test_every_example_is_loaded_by_a_configuration() -> None:
    named = "\n".join(path.read_text() for path in CONFIGS.glob("*.yaml"))
    files = sorted(path.name for path in (ROOT / "examples" / "hooks").glob("*.py"))
    assert files
    assert [name for name in files if f"/examples/hooks/{name}" not in named] == []


def test_change_prompts() -> None:
    told = _run("change-prompts.yaml").require_answer()
    assert told.startswith("system: You are a surveyor.\nToday is 20")
    assert "SI units" in told
    assert told.endswith("user: Why learn Python?")


def test_filter_answers() -> None:
    records: list[Record] = []
    assert _run("filter-answers.yaml", records).answer == "It is easy to read."
    refused = [one.event.reason for one in records if one.event.type == "answer_rejected"]
    assert refused == ["it holds an e-mail address; leave personal data out"]


def test_break_ties() -> None:
    result = _run("break-ties.yaml")
    assert result.winner == "lin"
    assert "break_ties.py" in (result.tie_broken_by or "")


def test_watch_runs(capfd: pytest.CaptureFixture[str]) -> None:
    result = _run("watch-runs.yaml")
    about = f"watch {result.run_id}: "
    told = [line.removeprefix(about) for line in capfd.readouterr().err.splitlines()]
    assert told[0] == "consensus of ada (scripted), lin (scripted)"
    assert sorted(told[1:3]) == ["ada chose agent1", "lin chose agent1"]
    tokens = result.usage.input_tokens + result.usage.output_tokens
    assert told[3] == f"answered after 4 model calls, {tokens} tokens"


def test_csv_sink(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = _run("csv-sink.yaml")
    rows = [line.split(",") for line in (tmp_path / "turns.csv").read_text().splitlines()]
    assert {row[0] for row in rows} == {result.run_id}
    assert sorted(row[2] for row in rows) == ["ada.1", "ada.2", "lin.1", "lin.2"]
    assert sum(int(row[3]) for row in rows) == result.usage.input_tokens


def test_a_strategy_takes_less_than_80_lines() -> None:
    strategy = ROOT / "examples" / "hooks" / "fastest_strategy.py"

    assert len(strategy.read_text().splitlines()) < 80


def test_fastest_strategy() -> None:
    records: list[Record] = []
    result = _run("fastest.yaml", records)
    assert (result.winner, result.answer) == ("quick", "In short.")
    stopped = [one.agent_id for one in records if one.event.type == "turn_cancelled"]
    assert stopped == ["slow"]


def test_name_errors() -> None:
    result = _run("name-errors.yaml")
    assert [(error.agent_id, error.kind) for error in result.errors] == [("flaky", "network")]
    assert result.winner == "steady"


def test_company_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    with ModelServer([Text("It is easy to read.")], api_key="the-key") as server:
        monkeypatch.setenv("COMPANY_GATEWAY", server.url.removesuffix("/v1"))
        monkeypatch.setenv("COMPANY_KEY", "the-key")
        assert _run("company-provider.yaml").answer == "It is easy to read."
        (request,) = server.requests
    assert request.body["model"] == "house-model"


def test_reader_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "notes.txt").write_text("Python is easy to read.")
    monkeypatch.chdir(tmp_path)
    file = CONFIGS / "guard-tool-calls.yaml"
    for question, answer in (
        ("Read notes.txt", "Python is easy to read."),
        ("Read .env", "denied: '.env' is hidden, and hidden files may hold secrets"),
    ):
        assert run(file, question, trust=True, keep=False).answer == answer


@pytest.mark.parametrize(
    ("asked_for", "told"),
    [
        ("notes.txt", "Python is easy to read."),
        (".env", "denied: '.env' is hidden"),
        ("../outside.txt", "denied: '../outside.txt' is outside the working directory"),
        ("huge.txt", "at most 50000 fit"),
        ("missing.txt", "FileNotFoundError"),
    ],
)
def test_a_tool_and_a_guard_before_it(
    asked_for: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("configs", "examples"):
        shutil.copytree(ROOT / folder, tmp_path / "copy" / folder)
    work = tmp_path / "work"
    work.mkdir()
    (work / "notes.txt").write_text("Python is easy to read.")
    (work / ".env").write_text("SECRET=1")
    (work / "huge.txt").write_text("x" * 50_001)
    (tmp_path / "outside.txt").write_text("not for you")
    monkeypatch.chdir(work)
    script: list[Reply] = [ToolCalls(("read_file", {"path": asked_for})), Text("Done.")]
    with ModelServer(script) as server:
        file = tmp_path / "copy" / "configs" / "hooks" / "read-files.yaml"
        own = f"{{provider: vllm, base_url: '{server.url}', model: scripted}}"
        text = file.read_text()
        file.write_text(text.replace("{provider: openai, model: gpt-5-mini}", own))
        assert file.read_text() != text
        assert run(file, "What do the notes say?", trust=True, keep=False).answer == "Done."
        _, second = server.requests
    assert told in second.body["messages"][-1]["content"]
