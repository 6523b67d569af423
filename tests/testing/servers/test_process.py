"""The server as a process, by its helper and by the command line."""

from __future__ import annotations

import signal
import subprocess
import sys

import openai
import pytest
from openai import OpenAI
from testing.servers.plain_http import events_of, post

from massgen_bridge.testing.servers import ModelServerProcess
from massgen_bridge.testing.servers.scenarios import SCENARIOS


def ask(url: str, model: str, *, key: str = "k") -> str | None:
    with OpenAI(base_url=url, api_key=key, max_retries=0, timeout=10) as client:
        answer = client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "Hello"}]
        )
    return answer.choices[0].message.content


def test_a_server_process_answers_by_scenario_and_tells_its_figures() -> None:
    with ModelServerProcess(latency_s=0.01, tokens_per_second=1000) as server:
        assert ask(server.url, "anything") == "Hello"
        assert (ask(server.url, "tokens-3") or "").split() == ["word0", "word1", "word2"]
        with pytest.raises(openai.RateLimitError):
            ask(server.url, "http-429")
        with OpenAI(base_url=server.url, api_key="k") as client:
            assert {model.id for model in client.models.list()} == set(SCENARIOS)
        stats = server.stats()
        assert stats.calls == 3
        assert stats.running_calls == 0
        assert stats.connections_opened == 5
        assert stats.cpu_s > 0
        assert server.pid > 0


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, None])
def test_the_command_serves_until_it_is_told_to_end(ending: signal.Signals | None) -> None:
    options = ["--tokens", "2", "--api-key", "secret"]
    if ending is None:
        options.append("--while-stdin-is-open")
    with subprocess.Popen(
        [sys.executable, "-m", "massgen_bridge.testing.servers", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        assert process.stdout.readline().strip() == url.removesuffix("/v1")
        assert ask(url, "m", key="secret") == " word0 word1"
        with pytest.raises(openai.AuthenticationError):
            ask(url, "m", key="wrong")
        if ending is not None:
            process.send_signal(ending)
        rest, errors = process.communicate(timeout=20)
    assert (process.returncode, rest, errors) == (0, "", "")


def test_a_server_process_speaks_both_protocols() -> None:
    body = {"max_tokens": 1000, "messages": [{"role": "user", "content": "Hello"}], "stream": True}
    headers = {"anthropic-version": "2023-06-01"}
    with ModelServerProcess() as server:
        assert f"{server.base_url('messages')}/v1" == server.base_url("chat") == server.url
        for model, status in (("tokens-3", 200), ("http-529", 529), ("context-overflow", 400)):
            for path in ("/v1/messages", "/v1/chat/completions"):
                answer = post(server.url, path, {**body, "model": model}, headers=headers)
                assert answer.status == status
        events = events_of(
            post(server.url, "/v1/messages", {**body, "model": "tokens-3"}, headers=headers).body
        )
        assert [event.name for event in events].count("content_block_delta") == 3


def test_a_process_that_cannot_serve_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="ended with 2 before it served"):
        ModelServerProcess(latency_s="soon").__enter__()  # type: ignore[arg-type] # the command refuses it


def test_the_id_of_a_process_that_does_not_run_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="does not run"):
        _ = ModelServerProcess().pid


def test_a_port_that_cannot_be_used_is_told_in_a_line() -> None:
    with ModelServerProcess() as server:
        taken = server.url.rpartition(":")[2].partition("/")[0]
        for port in (taken, "65536"):
            done = subprocess.run(
                [sys.executable, "-m", "massgen_bridge.testing.servers", "--port", port],
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 2
            assert f"error: cannot listen at 127.0.0.1:{port}: " in done.stderr
            assert "Traceback" not in done.stderr
