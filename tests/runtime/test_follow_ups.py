"""Agents that are asked again keep what they were asked and said, over each SDK and protocol."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

import massgen_bridge
from massgen_bridge.testing.servers import ModelServer, Text, ToolCalls

if TYPE_CHECKING:
    from massgen_bridge.testing.servers import ModelRequest, Reply, SentMessage

pytestmark = pytest.mark.anyio

FORM = re.compile(r"```ballot-([0-9a-f]{8})\n")


def reply(request: ModelRequest) -> Reply:
    """`quick` votes at once, `better` improves while `slow` still thinks; then all vote for it."""
    form = FORM.findall(request.last_text)
    if not request.tools and not form:
        return Text(f"By {request.model}.")
    again = "New answers" in request.last_text or "Two." in request.last_text
    if request.model == "slow" and not again:
        return Text("I think", latency_s=30)
    if request.model == "better" and not again:
        answer = f"```answer-{form[-1]}\nTwo.\n```" if form else "Two."
        return Text(answer, latency_s=0.5)
    if form:
        return Text(f"```ballot-{form[-1]}\nvote: agent1\nreason: clear\n```")
    return ToolCalls(("vote", {"label": "agent1", "reason": "clear"}))


@pytest.mark.parametrize("way", ["tools", "text"])
@pytest.mark.parametrize("kind", ["anthropic", "langchain", "openai"])
async def test_what_was_said_before_reaches_the_model_as_its_own_words(kind: str, way: str) -> None:
    sent: dict[str, tuple[SentMessage, ...]] = {}

    def kept(request: ModelRequest) -> Reply:
        sent[request.model] = request.messages
        return reply(request)

    with ModelServer(kept) as server:
        url = server.base_url("messages" if kind == "anthropic" else "chat")
        names = ("better", "quick", "slow")
        config: dict[str, Any] = {
            "version": 1,
            "models": {n: {"provider": "vllm", "model": n, "base_url": url} for n in names},
            "agents": [
                {
                    "id": n,
                    "system_message": "Be brief.",
                    "ballot": way,
                    "backend": {"type": kind, "model": n},
                }
                for n in names
            ],
        }
        result = await massgen_bridge.arun(config, "Which?", keep=False)

    assert (result.winner, result.answer, len(result.votes)) == ("better", "Two.", 3)
    for name, said in (("better", "Two."), ("quick", "agent1")):
        first, asked, before, again = sent[name]
        assert [m.role for m in sent[name]] == ["system", "user", "assistant", "user"]
        assert first.text == "Be brief."
        assert "By quick." in asked.text
        assert said in before.text
        assert "Two." in again.text
        assert "By quick." not in again.text
    # It had said nothing yet, so there is nothing to go on from.
    assert [m.role for m in sent["slow"]] == ["system", "user"]
    assert "By quick." in sent["slow"][-1].text
