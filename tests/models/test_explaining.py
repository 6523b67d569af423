"""Failures of model calls say what helps."""

from __future__ import annotations

import pytest

import massgen_bridge
from massgen_bridge.testing.servers import ModelServer


def _failure(**model: str) -> str:
    config = {
        "version": 1,
        "models": {"own": {"provider": "openai", "protocol": "chat", "model": "m", **model}},
        "agents": [{"id": "ada", "backend": {"type": "openai", "model": "own"}}],
    }
    (error,) = massgen_bridge.run(config, "q", keep=False).errors
    assert error.kind == "auth"
    return error.message


def test_a_server_that_wanted_a_key_and_was_sent_none_is_told_as_such(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "the-key")
    monkeypatch.setenv("WRONG_KEY", "wrong")
    with ModelServer(api_key="the-key") as server:
        origin = server.url.removesuffix("/v1")
        told = _failure(base_url=server.url)
        assert "(no key was sent: " in told
        assert told.endswith(f"'api_key_env' of the connection names the one for {origin})")
        assert "no key was sent" not in _failure(base_url=server.url, api_key_env="WRONG_KEY")
        assert not any("the-key" in str(one.headers) for one in server.requests)
