"""Runs that are recorded, and answered again with nobody to ask."""

# ruff: noqa: D205, S101 - tests assert, and their guarantees take several lines

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import anyio.to_thread
import pytest

from massgen_bridge.api import arun
from massgen_bridge.connection import Protocols
from massgen_bridge.testing.agents import TEST_KEY
from massgen_bridge.testing.conformance._model import ModelConformanceBase
from massgen_bridge.testing.fixtures import StartModelServer
from massgen_bridge.testing.servers import Disconnect, HttpError, Reply, Text

__all__ = ["RecordingTests"]

_PROVIDERS: Final[Mapping[Protocols, str]] = {
    "chat": "openai",
    "gemini": "gemini",
    "messages": "anthropic",
    "responses": "openai",
}
_NOBODY: Final = "http://127.0.0.1:9"


class RecordingTests(ModelConformanceBase):
    """A run is recorded below the agent's client. Its kind has to be installed by its entry point,
    where the run finds it.
    """

    async def test_a_recorded_run_is_answered_again(
        self, serve: StartModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A run with a refused call, a broken stream and an answer with reasoning is recorded, and
        then gives the same answer, the same usage and the same events, without a server and
        without the key, which is not in the recording.
        """
        monkeypatch.setenv("MASSGEN_BRIDGE_DATA", str(tmp_path / "data"))
        monkeypatch.setenv("CANARY_KEY", TEST_KEY)
        replies: list[Reply] = [
            HttpError(status=503),
            Disconnect(after=2),
            Text("Yes.", reasoning="Hm."),
        ]
        server, tape = serve(replies), tmp_path / "run.jsonl"
        told: list[Any] = []
        there = self._config(server.base_url(self._spoken()))
        then = await arun(there, "Is it?", record=tape, on_record=told.append)
        monkeypatch.delenv("CANARY_KEY")
        again: list[Any] = []
        nowhere = self._config(self.address(_NOBODY))
        now = await arun(nowhere, "Is it?", replay=tape, on_record=again.append)
        assert now.answer == then.answer == "Yes."
        assert now.usage == then.usage
        assert [one.event.type for one in again] == [one.event.type for one in told]
        assert server.calls == len(replies)
        assert TEST_KEY not in await anyio.to_thread.run_sync(tape.read_text)

    def _config(self, url: str) -> dict[str, Any]:
        model = {
            "provider": _PROVIDERS[self._spoken()],
            "protocol": self._spoken(),
            "base_url": url,
            "model": "m",
            "api_key": "${CANARY_KEY}",
            "retry": {"base_s": 0.01},
        }
        backend = {"type": self.adapter().kind, "model": "one", "isolation": self.isolation}
        return {
            "version": 1,
            "models": {"one": model},
            "strategy": "single",
            "agents": [{"id": "ada", "backend": backend | self.options()}],
        }
