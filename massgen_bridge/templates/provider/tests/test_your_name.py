"""The provider, used by an agent. The model is a scripted server on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from massgen_bridge import run
from massgen_bridge.testing.servers import ModelServer, Text

EXAMPLE = Path(__file__).parents[1] / "example.yaml"


def test_an_agent_reaches_its_model(monkeypatch: pytest.MonkeyPatch) -> None:
    with ModelServer([Text("It is easy to read.")], api_key="the-key") as server:
        monkeypatch.setenv("YOUR_NAME_URL", server.url)
        monkeypatch.setenv("YOUR_NAME_API_KEY", "the-key")
        assert run(EXAMPLE, "Why learn Python?", keep=False).answer == "It is easy to read."
        (request,) = server.requests
    assert request.body["model"] == "some-model"


def test_a_key_that_is_refused_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with ModelServer(api_key="the-key") as server:
        monkeypatch.setenv("YOUR_NAME_URL", server.url)
        monkeypatch.setenv("YOUR_NAME_API_KEY", "another-key")
        result = run(EXAMPLE, "Why learn Python?", keep=False)
    assert result.status == "failed"
    assert [error.kind for error in result.errors] == ["auth"]
