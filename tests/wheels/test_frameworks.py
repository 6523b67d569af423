"""Every framework in one run, from nothing but the core: each in an environment of its own.

noxfile.py installs the core's wheel and the local model into the environment `frameworks`, and has
it build what `configs/frameworks/all_together.yaml` and `configs/providers/gemini.yaml` need.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet
from wheels.environments import ENVIRONMENTS, OUTSIDE

from massgen_bridge.testing.servers import AutoToolCall, ModelServer

CONFIG = OUTSIDE / "configs" / "frameworks" / "all_together.yaml"
AGENTS = ("crewai", "ag2", "ag2-classic", "langchain", "openai", "anthropic")
QUESTION = "Why is the sky blue?"
SECONDS = 280
CORE_OF_THE_SUITE = ("turns", "stopping", "tools", "cut-off")
GRACE_S = 2.0

SLOW_TOOL = """
from collections.abc import Iterable
from pathlib import Path

import anyio

from massgen_bridge import ToolDefinition, ToolSpec, hookimpl

MARKS = Path(__file__).with_name("marks.txt")


async def wait(_arguments):
    mark("begun")
    try:
        await anyio.sleep_forever()
    finally:
        mark("stopped")


def mark(word):
    with MARKS.open("a") as file:
        file.write(f"{word}\\n")


SCHEMA = {"type": "object", "properties": {"what": {"type": "string"}}, "required": ["what"]}


@hookimpl
def bridge_tools() -> Iterable[ToolSpec]:
    definition = ToolDefinition(name="slow", description="Waits.", input_schema=SCHEMA)
    return [ToolSpec(definition=definition, call=wait)]
"""

NEWEST = {
    "ag2": ">=1.2",
    "ag2_classic": ">=0.14,<1",
    "anthropic": ">=2",
    "crewai": ">=1.15",
    "gemini": ">=3.4",
    "langchain": ">=1.4",
    "openai": ">=3",
}

# Google's API never shows such arguments: the calls fail instead.
UNKEPT = {"gemini": "test_arguments_that_are_no_json_are_never_made_up"}

# Each with a model of the test's; the built-in one speaks to all kinds but Gemini.
WITH_TOOLS = (*AGENTS, "gemini")
MODELS = {"anthropic": "messages", "gemini": "gemini"}

pytestmark = pytest.mark.timeout(SECONDS + 20)


@contextmanager
def started(*command: str, home: Path, **env: str) -> Iterator[subprocess.Popen[str]]:
    """A command of the environment, with nothing of ours in its surroundings."""
    cache = os.environ["MASSGEN_BRIDGE_CACHE"]
    process = subprocess.Popen(
        [ENVIRONMENTS / "frameworks" / "bin" / "massgen-bridge", *command],
        cwd=home,
        env={"PATH": os.defpath, "HOME": str(home), "MASSGEN_BRIDGE_CACHE": cache, **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def run(*command: str, home: Path) -> Any:
    """The one JSON object that a command prints."""
    with started(*command, home=home) as process:
        out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, f"exit {process.returncode}\n{out}\n{err}"
    return json.loads(out)


def descendants(pid: int) -> dict[int, str]:
    """The processes below one, each with its command line."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = status.read_text()
        except OSError:  # it has ended meanwhile
            continue
        parents[int(status.parent.name)] = int(text.rpartition(")")[2].split()[1])
    found: dict[int, str] = {}
    level = {pid}
    while level:
        level = {child for child, parent in parents.items() if parent in level}
        found |= {child: _command(child) for child in level}
    return found


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def _workers(pid: int) -> list[int]:
    """The processes below one that run agents or watch over them, parents first."""
    return [one for one, line in descendants(pid).items() if "isolation/child.py" in line]


def wait_for(happened: Callable[[], Any], *, what: str, seconds: float = 120) -> Any:
    """What it gives, as soon as that is something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = happened()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not seen: {what}")


def test_six_frameworks_answer_and_vote_together(tmp_path: Path) -> None:
    result = run("run", str(CONFIG), QUESTION, "--output", "json", home=tmp_path)
    assert (result["status"], result["errors"]) == ("answered", [])
    assert {author for one in result["answers"] for author in one["authors"]} == set(AGENTS)
    assert all(one["text"].strip() for one in result["answers"])
    # What a model of 135 million parameters says may be no ballot; most of them are.
    voters = {vote["voter"] for vote in result["votes"]}
    assert voters <= set(AGENTS)
    assert len(voters) > len(AGENTS) // 2
    assert result["usage"]["calls"] >= len(AGENTS) + len(voters)


def test_each_one_is_told_with_the_version_that_it_runs_on(tmp_path: Path) -> None:
    listed = run("adapters", "--json", home=tmp_path)
    versions = {one["kind"]: one.get("framework_version") for one in listed["adapters"]}
    told = {kind: versions[kind] for kind in NEWEST}
    assert all(SpecifierSet(NEWEST[kind]).contains(told[kind]) for kind in told), told


@pytest.mark.parametrize("kind", NEWEST)
def test_each_one_keeps_its_promises_in_its_own_environment(kind: str, tmp_path: Path) -> None:
    groups = [word for group in CORE_OF_THE_SUITE for word in ("--only", group)]
    if unkept := UNKEPT.get(kind):
        groups += ["--expect-failure", f"{unkept}=the API shows none"]
    command = ("adapters", "test", kind, "--isolation", "environment", *groups)
    report = run(*command, "--output", "json", home=tmp_path)
    assert {one["name"] for one in report["groups"]} == set(CORE_OF_THE_SUITE)
    (first, *_) = report["adapter"]["packages"]
    assert SpecifierSet(NEWEST[kind]).contains(first["version"]), first


@pytest.mark.parametrize("moment_s", [0.2, 3.0, 8.0])
def test_a_run_goes_on_without_a_worker_that_is_killed(moment_s: float, tmp_path: Path) -> None:
    config = tmp_path / "team.yaml"
    config.write_text(
        "version: 1\n"
        "agents:\n"
        "  - {id: crewai, backend: {type: crewai, model: local}}\n"
        "  - id: ada\n"
        "    backend: {type: scripted, answers: [Forty-two.], votes: [agent2], delay_s: 1}\n"
    )
    with started("run", str(config), QUESTION, "--output", "json", home=tmp_path) as process:
        # The first one watches the worker, which is its child.
        _, worker = wait_for(
            lambda: _workers(process.pid)[:2] if len(_workers(process.pid)) > 1 else None,
            what="the worker of CrewAI",
        )
        time.sleep(moment_s)
        os.kill(worker, signal.SIGKILL)
        out, err = process.communicate(timeout=SECONDS)
    result = json.loads(out)
    assert process.returncode == 0, err
    assert result["answer"], result


def test_ctrl_c_with_tools_in_flight_leaves_nothing(tmp_path: Path) -> None:
    marks = tmp_path / "marks.txt"
    marks.touch()
    (tmp_path / "slow.py").write_text(SLOW_TOOL)
    config = tmp_path / "team.yaml"
    with ModelServer(default=AutoToolCall(name="slow", again=True)) as server:
        config.write_text(_team_with_tools(server))
        with started(
            "run", str(config), QUESTION, "--trust", home=tmp_path, A_KEY="any"
        ) as process:
            wait_for(
                lambda: marks.read_text().count("begun") == len(WITH_TOOLS),
                what="a call of the tool by each agent",
            )
            below = descendants(process.pid)
            assert [line for line in below.values() if "isolation/child.py" in line]
            os.kill(process.pid, signal.SIGINT)
            began, calls = time.monotonic(), server.calls
            _, err = process.communicate(timeout=60)
            took = time.monotonic() - began
        assert process.returncode == 130, err
        assert took < GRACE_S, f"it took {took:.1f} s to stop"
        left = [line for pid, line in below.items() if Path(f"/proc/{pid}").exists()]
        assert not left, left
        time.sleep(0.5)
        assert (server.calls, server.running_calls) == (calls, 0)
    told = marks.read_text().split()
    assert told == ["begun"] * len(WITH_TOOLS) + ["stopped"] * len(WITH_TOOLS)


def _team_with_tools(server: ModelServer) -> str:
    """The agents of all frameworks, with models of the test's and a tool that never ends."""
    kinds = {name: name.replace("-", "_") for name in WITH_TOOLS}
    agents = [
        f"  - {{id: {name}, tools: [slow],"
        f" backend: {{type: {kind}, model: {MODELS.get(kind, 'chat')}}}}}"
        for name, kind in kinds.items()
    ]
    models = [
        f"  {name}: {{provider: {provider}, model: any, api_key: '${{A_KEY}}', base_url: {url}}}"
        for name, provider, url in (
            ("chat", "openai", server.base_url("chat")),
            ("gemini", "gemini", server.base_url("gemini")),
            ("messages", "anthropic", server.base_url("messages")),
        )
    ]
    return "\n".join(
        ["version: 1", "plugins: [slow.py]", "models:", *models, "agents:", *agents, ""]
    )
