"""What is counted, with one meaning for every provider."""

# ruff: noqa: D205, S101, PLR2004 - tests assert, and their guarantees take several lines

from __future__ import annotations

from massgen_bridge.agent import Usage
from massgen_bridge.events import ModelCallFinished
from massgen_bridge.testing import servers
from massgen_bridge.testing.agents import ScriptedTools, collect, turn
from massgen_bridge.testing.conformance._checks import assert_refused
from massgen_bridge.testing.conformance._model import ModelConformanceBase
from massgen_bridge.testing.conformance._turns import LOOKUP
from massgen_bridge.testing.fixtures import StartModelServer
from massgen_bridge.testing.servers import Reply, Text, ToolCalls

__all__ = ["UsageTests"]


class UsageTests(ModelConformanceBase):
    """Tokens mean the same whoever counted them."""

    async def test_usage_has_one_meaning(self, serve: StartModelServer) -> None:
        """`input_tokens` counts the whole prompt, the part that came from a cache included;
        `output_tokens` all that was generated, the part spent on reasoning included; `calls` the
        model calls. Result and `ModelCallFinished` say the same.
        """
        counted = servers.Usage(
            input_tokens=100, output_tokens=30, cached_tokens=40, reasoning_tokens=12
        )
        events = collect()
        async with self.agent_at(serve(Text("Counted.", usage=counted))) as agent:
            result = await agent.run(turn("Count."), events)
        assert result.usage == Usage(
            input_tokens=100, cached_tokens=40, output_tokens=30, reasoning_tokens=12, calls=1
        )
        assert [event.usage for event in events.of(ModelCallFinished)] == [result.usage]

    async def test_usage_of_several_calls_is_added_up(self, serve: StartModelServer) -> None:
        """A turn's usage is that of all its model calls."""
        replies: list[Reply] = [
            ToolCalls(
                ("lookup", {"query": "x", "limit": 1}),
                usage=servers.Usage(input_tokens=10, output_tokens=5),
            ),
            Text("Done.", usage=servers.Usage(input_tokens=20, output_tokens=7, cached_tokens=10)),
        ]
        events = collect()
        asked = turn("Look it up.", tools=[LOOKUP], call_tool=ScriptedTools("found"))
        async with self.agent_at(serve(replies)) as agent:
            if self.lacks("tools"):
                await assert_refused(agent, asked)
                return
            result = await agent.run(asked, events)
        assert result.usage == Usage(input_tokens=30, cached_tokens=10, output_tokens=12, calls=2)
        parts = [event.usage for event in events.of(ModelCallFinished)]
        assert len(parts) == 2
        assert sum((part for part in parts if part), Usage()) == result.usage

    async def test_usage_that_nobody_counted_is_unknown(self, serve: StartModelServer) -> None:
        """Where the provider counts nothing, usage is None: unknown is not zero."""
        async with self.agent_at(serve(Text("Uncounted.", usage="absent"))) as agent:
            result = await agent.run(turn("Count."), collect())
        assert result.usage is None
