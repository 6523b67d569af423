from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from massgen_bridge.models.local import child

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, "-P", str(Path(child.__file__))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as running:
        yield running
        running.kill()


def _settings(weights: Path) -> bytes:
    settings = {
        "weights": str(weights),
        "model": "local",
        "slots": 1,
        "context_per_slot": 256,
        "default_max_tokens": 8,
        "threads": 1,
        "api_key": "key",
    }
    return json.dumps(settings).encode() + b"\n"


def test_it_says_one_line_when_it_is_ready_and_ends_with_its_stdin(
    process: subprocess.Popen[bytes], local_weights: Path
) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(_settings(local_weights))
    process.stdin.flush()
    url = json.loads(process.stdout.readline())["url"]
    with urlopen(f"{url}/health", timeout=30) as answer:  # noqa: S310  # loopback
        assert json.load(answer) == {"status": "ok"}
    process.stdin.close()
    assert process.wait(timeout=30) == 0
    assert process.stdout.read() == b""


def test_it_ends_when_its_stdin_ends_while_it_loads(
    process: subprocess.Popen[bytes], local_weights: Path
) -> None:
    assert process.stdin is not None
    process.stdin.write(_settings(local_weights))
    process.stdin.close()
    assert process.wait(timeout=30) == 0


def test_weights_that_cannot_be_loaded_are_explained_on_stderr(
    process: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(_settings(tmp_path / "missing.gguf"))
    process.stdin.flush()
    assert process.stdout.read() == b""
    errors = process.stderr.read()
    assert process.wait(timeout=30) == 1
    assert b"missing.gguf" in errors
    assert b"Traceback" not in errors
