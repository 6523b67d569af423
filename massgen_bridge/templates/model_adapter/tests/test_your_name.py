"""What is particular to agents of the kind `your_name`."""

from __future__ import annotations

from pathlib import Path

import pytest
from massgen_bridge import Team, run
from massgen_bridge.testing.servers import ModelServer, Text, ToolCalls

EXAMPLE = Path(__file__).parents[1] / "example.yaml"


def test_the_example_gives_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with ModelServer([Text("It is easy to read.")]) as server:
        monkeypatch.setenv("MODEL_URL", server.url)
        result = run(EXAMPLE, "Why learn Python?", keep=False)
        (request,) = server.requests
    assert result.answer == "It is easy to read."
    assert request.body["messages"][-1]["content"] == "Why learn Python?"


def test_nothing_of_the_environment_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "ambient")
    monkeypatch.setenv("OPENAI_ORG_ID", "ambient")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "ambient")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Own: ambient\nAuthorization: ambient")
    with ModelServer([Text("It is easy to read.")]) as server:
        monkeypatch.setenv("MODEL_URL", server.url)
        assert run(EXAMPLE, "Why learn Python?", keep=False).answer == "It is easy to read."
        (request,) = server.requests
    assert "ambient" not in str(request.headers)


def test_it_votes_in_a_team() -> None:
    vote = ToolCalls(("vote", {"label": "agent2", "reason": "It is shorter."}))
    with ModelServer([Text("It is easy to read."), vote]) as server:
        own = {"provider": "vllm", "base_url": server.url, "model": "some-model"}
        team = Team(models={"own": own})
        team.add("ada", "your_name", model="own")
        team.add("lin", "scripted", answers=["Easy."], votes=["agent2"])
        result = team.run("Why learn Python?", keep=False)
    assert (result.winner, len(result.votes)) == ("lin", 2)
