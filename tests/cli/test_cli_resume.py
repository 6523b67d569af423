"""`massgen-bridge runs resume`: runs that were killed or interrupted go on."""

from __future__ import annotations

import json
import signal
import sqlite3
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cli.conftest import DATA

from massgen_bridge.runtime.index import RunIndex
from massgen_bridge.runtime.journal_file import read_ends
from massgen_bridge.testing.servers import ModelRequest, ModelServer, Structured, Text, ToolCalls

if TYPE_CHECKING:
    import subprocess

    from cli.conftest import Commands, Shell

    from massgen_bridge.testing.servers import Reply

KEY = "canary-of-the-house"
JSON = ("--output", "json", "--display", "none")


def reply(request: ModelRequest) -> Reply:
    """Each model gives an answer of its own, and all vote for that of the third."""
    if request.output_schema is not None:
        return Structured({"vote": "agent3", "reason": "sound"}, latency_s=0.3)
    if request.tools:
        return ToolCalls(("vote", {"label": "agent3", "reason": "sound"}), latency_s=0.1)
    return Text(f"answer of {request.model}", latency_s=0.05 * int(request.model[1]))


def calls_of(server: ModelServer) -> Counter[str]:
    return Counter(one.body["model"] for one in server.requests)


def run_until(shell: Shell, config: Path, number: int, **env: str) -> str:
    """Kill a run after so many records; its id."""
    process = shell.start("run", config, "Which?", "--output", "jsonl", "--trust", **env)
    record: dict[str, Any] = {}
    assert process.stdout is not None
    for _ in range(number):
        record = json.loads(process.stdout.readline())
    journal = RunIndex(shell.home / "data").path(str(record["run_id"]))
    while read_ends(journal) is None:
        time.sleep(0.01)
    kill(process)
    return str(record["run_id"])


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=20)


def records(shell: Shell, run_id: str) -> list[dict[str, Any]]:
    lines = shell("runs", "show", run_id, "--output", "jsonl").stdout.splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("number", [9, 16, 24, 35])
def test_a_killed_run_calls_no_model_again_for_what_was_finished(shell: Shell, number: int) -> None:
    with ModelServer(reply) as server:
        env = {"MODEL_SERVER": server.url, "HOUSE_KEY": KEY}
        run_id = run_until(shell, DATA / "three.yaml", number, **env)
        server.wait_for_idle()
        called = calls_of(server)
        finished = Counter(
            {"ada": "m1", "lin": "m2", "own": "m3"}[one["agent_id"]]
            for one in records(shell, run_id)
            if one["event"]["type"] == "turn_done"
        )
        done = shell("runs", "resume", run_id[:-2], *JSON, **env)
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)
        # Two turns for each agent: those that were not finished are all that is asked for.
        assert calls_of(server) - called == Counter(m1=2, m2=2, m3=2) - finished
        assert (result["status"], result["winner"]) == ("answered", "own")
        assert result["answer"] == "answer of m3"
        assert [vote["label"] for vote in result["votes"]] == ["agent3"] * 3
        shown = shell("runs", "show", run_id, "--output", "json")
        assert json.loads(shown.stdout) == result
        assert shell("runs", "list").stdout.splitlines()[1].split()[3] == "answered"
        assert KEY.encode() not in (shell.home / "data" / "runs" / f"{run_id}.sqlite").read_bytes()


def test_a_run_that_has_ended_is_not_resumed(commands: Commands) -> None:
    commands("run", DATA / "two.yaml", "q", *JSON)
    run_id = json.loads(commands("runs", "list", "--json").stdout)[0]["run_id"]
    done = commands("runs", "resume", run_id)
    assert done.returncode == 1
    said = f"has ended (answered): there is nothing to resume; `massgen-bridge runs show {run_id}`"
    assert said in done.stderr


def test_a_run_that_is_running_is_left_alone(shell: Shell) -> None:
    process = shell.start("run", DATA / "slow.yaml", "q", "--output", "jsonl")
    assert process.stdout is not None
    run_id = json.loads(process.stdout.readline())["run_id"]
    for _ in range(4):
        process.stdout.readline()
    done = shell("runs", "resume", run_id)
    kill(process)
    assert done.returncode == 1
    assert f"is running: process {process.pid} of this machine has it" in done.stderr


def test_an_interrupted_run_goes_on_and_shows_what_it_did_before(shell: Shell) -> None:
    config = shell.home / "team.yaml"
    config.write_text(
        "version: 1\nagents:\n"
        "  - {id: ada, backend: {type: scripted, answers: [Paris.]}}\n"
        "  - {id: lin, backend: {type: scripted, answers: [Lyon.], delay_s: 1}}\n"
    )
    process = shell.start("run", config, "Capital?", "--output", "jsonl")
    assert process.stdout is not None
    while json.loads(process.stdout.readline())["event"]["type"] != "answered":
        pass
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    run_id = json.loads(shell("runs", "list", "--json").stdout)[0]["run_id"]

    config.write_text("version: 1\nagents: []\n")
    done = shell("runs", "resume", run_id, "--display", "plain")
    assert (done.returncode, done.stdout) == (0, "Paris.\n")
    assert f"note: {config} has changed since; the run goes on with what it said before" in (
        done.stderr
    )
    lines = [line.partition("] ")[2] for line in done.stderr.splitlines()]
    told = ["ada (agent1): gave its answer", "resumed", "lin (agent2): gave its answer"]
    assert [line for line in lines if line in told] == told
    assert lines.count("ada (agent1): begins its answer") == 1
    assert lines.count("lin (agent2): begins its answer") == 2


def test_the_new_records_alone_are_printed(shell: Shell) -> None:
    run_id = run_until(shell, DATA / "steady.yaml", 8)
    durable = records(shell, run_id)
    done = shell("runs", "resume", run_id, "--output", "jsonl", "--display", "none")
    printed = [json.loads(line) for line in done.stdout.splitlines()]
    assert printed[0]["event"]["type"] == "run_resumed"
    assert printed[0]["seq"] == durable[-1]["seq"] + 1
    assert printed[-1]["event"]["type"] == "run_finished"


def test_code_asks_for_trust_again_and_a_change_of_it_is_told(shell: Shell) -> None:
    folder = shell.home
    (folder / "team.yaml").write_text(
        'version: 1\nagents: [{id: own, backend: {type: python, function: "own.py:answer"}}]\n'
    )
    (folder / "own.py").write_text("import time\ndef answer(q):\n    time.sleep(30)\n")
    run_id = run_until(shell, folder / "team.yaml", 2)
    (folder / "own.py").write_text("def answer(q):\n    return 'quick'\n")
    refused = shell("runs", "resume", run_id)
    assert refused.returncode == 2
    assert "imports code that nobody has allowed yet" in refused.stderr
    done = shell("runs", "resume", run_id, "--trust", "--display", "none")
    assert (done.returncode, done.stdout) == (0, "quick\n")
    assert "code that the configuration imports has changed since" in done.stderr


def test_a_secret_of_the_configuration_is_taken_from_the_file_and_never_kept(shell: Shell) -> None:
    folder = shell.home
    text = (
        'version: 1\nplugins: ["./kind.py"]\n'
        "agents: [{id: own, backend: {type: keyed, password: hunter2hunter2}}]\n"
    )
    (folder / "team.yaml").write_text(text)
    (folder / "kind.py").write_text(_KEYED)
    run_id = run_until(shell, folder / "team.yaml", 2)
    for file in (folder / "data" / "runs").iterdir():
        assert b"hunter2hunter2" not in file.read_bytes()
    (folder / "team.yaml").write_text(text.replace("own", "other"))
    refused = shell("runs", "resume", run_id, "--trust")
    assert refused.returncode == 2
    assert "holds secrets, which are not kept" in refused.stderr
    (folder / "copy.yaml").write_text(text)
    (folder / "go").touch()
    other = shell("runs", "resume", run_id, "--trust", "--config", "team.yaml")
    assert "the run began with other agents: own (keyed)" in other.stderr
    done = shell("runs", "resume", run_id, "--trust", "--config", "copy.yaml")
    assert (done.returncode, done.stdout) == (0, "14 letters\n")


_KEYED = """
from pathlib import Path

import anyio
from massgen_bridge import AdapterSpec, NoOptions, TurnResult, assistant, hookimpl


class Options(NoOptions):
    password: str


class Keyed:
    def __init__(self, context):
        self.context = context

    async def run(self, turn, emit):
        while not (self.context.base_dir / "go").exists():
            await anyio.sleep(0.05)
        return TurnResult(message=assistant(f"{len(self.context.options.password)} letters"))

    async def aclose(self):
        pass


@hookimpl
def bridge_adapters():
    return [AdapterSpec(kind="keyed", summary="x", factory=Keyed, options=Options)]
"""


def test_a_run_of_another_machine_is_taken_only_where_that_is_said(shell: Shell) -> None:
    run_id = run_until(shell, DATA / "steady.yaml", 8)
    with closing(sqlite3.connect(shell.home / "data" / "runs" / f"{run_id}.sqlite")) as file:
        file.execute(
            "UPDATE about SET value = json_set(value, '$.owner.host', 'elsewhere')"
            " WHERE name = 'header'"
        )
        file.commit()
    refused = shell("runs", "resume", run_id)
    assert refused.returncode == 1
    assert "of the machine 'elsewhere'; if that is known to be gone, add --take-over" in (
        refused.stderr
    )
    done = shell("runs", "resume", run_id, "--take-over", "--display", "none")
    assert (done.returncode, done.stdout) == (0, "Paris is the capital.\n")


# --- replay ---------------------------------------------------------------------------------------


def test_a_replay_gives_what_the_run_gave_without_any_agent(shell: Shell) -> None:
    run = shell("run", DATA / "two.yaml", "Capital?", "--display", "plain")
    run_id = json.loads(shell("runs", "list", "--json").stdout)[0]["run_id"]
    # An environment without plugins and configuration: nothing but the journal is used.
    again = shell("runs", "replay", run_id, "--no-wait", "--display", "plain")
    assert (again.returncode, again.stdout, again.stderr) == (0, run.stdout, run.stderr)


@pytest.mark.parametrize("output", ["json", "jsonl"])
def test_a_replay_prints_what_show_prints(commands: Commands, output: str) -> None:
    commands("run", DATA / "two.yaml", "q", *JSON)
    run_id = json.loads(commands("runs", "list", "--json").stdout)[0]["run_id"]
    arguments = (run_id, "--output", output)
    again = commands("runs", "replay", *arguments, "--no-wait", "--display", "none")
    assert again.stdout == commands("runs", "show", *arguments).stdout
    assert again.returncode == 0


def test_a_replay_takes_the_time_that_it_is_given(commands: Commands) -> None:
    commands("run", DATA / "two.yaml", "q", *JSON)
    run_id = json.loads(commands("runs", "list", "--json").stdout)[0]["run_id"]
    done = commands("runs", "replay", run_id, "--speed", "100")
    assert (done.returncode, done.stdout) == (0, "Paris is the capital.\n")
    wrong = commands("runs", "replay", run_id, "--speed", "0")
    assert wrong.returncode == 2
    assert "--speed: expected a number above 0" in wrong.stderr


def test_a_replay_of_a_run_without_end_says_so(shell: Shell) -> None:
    run_id = run_until(shell, DATA / "steady.yaml", 8)
    done = shell("runs", "replay", run_id, "--no-wait", "--output", "json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["status"] == "interrupted"
    assert f"`massgen-bridge runs resume {run_id}` goes on with it" in done.stderr
    assert "begins its answer" in done.stderr


def test_an_old_journal_is_replayed(commands: Commands, shell: Shell) -> None:
    runs = shell.home / "data" / "runs"
    runs.mkdir(parents=True)
    old = Path(__file__).parents[1] / "runtime" / "data" / "version-1.sqlite"
    (runs / "20261122-163501-7f3a9c12.sqlite").write_bytes(old.read_bytes())
    done = commands("runs", "replay", "2026", "--no-wait")
    assert (done.returncode, done.stdout) == (0, "42\n")
    resumed = commands("runs", "resume", "2026")
    assert "has ended (answered)" in resumed.stderr
