"""The fixtures work in the test suite of an adapter."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from openai import OpenAI

from massgen_bridge.testing.fixtures import StartModelServer, model_server
from massgen_bridge.testing.servers import Text

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["model_server"]

ADAPTER_TEST = """
import urllib.error
import urllib.request

import pytest

from massgen_bridge.testing.fixtures import model_server


def broken(request):
    raise LookupError("no such reply")


def test_one(model_server):
    server = model_server(broken)
    body = b'{"model": "m", "messages": [{"role": "user", "content": "x"}]}'
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(server.url + "/chat/completions", body)
    raised.value.close()
"""


def test_servers_of_a_test_are_independent(model_server: StartModelServer) -> None:
    one, two = model_server(Text("one")), model_server([Text("two")], latency_s=0.01)
    for server, text in ((one, "one"), (two, "two")):
        with OpenAI(base_url=server.url, api_key="k", max_retries=0) as client:
            answer = client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "x"}]
            )
        assert answer.choices[0].message.content == text


def test_a_broken_script_fails_the_test_that_wrote_it(tmp_path: Path) -> None:
    (tmp_path / "test_adapter.py").write_text(ADAPTER_TEST)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert "1 passed, 1 error" in run.stdout
    assert "ScriptFailed: LookupError: no such reply" in run.stdout
