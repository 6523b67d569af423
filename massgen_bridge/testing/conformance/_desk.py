"""Tools by the host's own way: argument check, permission, call and result are everywhere alike."""

# ruff: noqa: D205, S101 - tests assert, and their guarantees take several lines

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from massgen_bridge.agent import Limits, Turn
from massgen_bridge.errors import ToolFailed
from massgen_bridge.events import (
    ToolCallFinished,
    ToolCallStarted,
    TurnDone,
    TurnFailed,
)
from massgen_bridge.hookspecs import hookimpl
from massgen_bridge.messages import ToolCall
from massgen_bridge.specs import ToolSpec
from massgen_bridge.testing.agents import collect, turn
from massgen_bridge.testing.conformance._checks import assert_events, assert_refused
from massgen_bridge.testing.conformance._model import ModelConformanceBase
from massgen_bridge.testing.conformance._sent import asked
from massgen_bridge.testing.conformance._turns import LOOKUP
from massgen_bridge.testing.fixtures import StartModelServer
from massgen_bridge.testing.servers import AutoToolCall, ModelServer, Text, ToolCalls
from massgen_bridge.verdicts import ToolVerdict

__all__ = ["DeskTests", "lookup_tool"]


@dataclass(frozen=True, kw_only=True)
class _Case:
    """A tool call and what comes of it, whatever the adapter.

    Attributes:
        name: The tool that the model calls.
        arguments: With what.
        got: What the tool's function gets; None: it is not called.
        told: What the model is told, to the letter.
        failed: Whether that is an error.
    """

    name: str = "lookup"
    arguments: Mapping[str, Any] | str
    got: Mapping[str, Any] | None = None
    told: str
    failed: bool = True


_CASES = {
    "result": _Case(
        arguments={"query": 'größer "als"\n  zwei', "limit": 3},
        got={"query": 'größer "als"\n  zwei', "limit": 3},
        told='3 times größer "als"\n  zwei\n\n  in all\n',
        failed=False,
    ),
    "wrong-type": _Case(
        arguments={"query": 5, "limit": 3}, told="wrong arguments: data.query must be string"
    ),
    "missing": _Case(
        arguments={"query": "x"},
        told="wrong arguments: data must contain ['limit'] properties",
    ),
    "unknown-key": _Case(
        arguments={"query": "x", "limit": 3, "more": 1},
        told="wrong arguments: data must not contain {'more'} properties",
    ),
    "no-json": _Case(arguments='{"query": "unfinished', told="the arguments are no JSON object"),
    "no-number": _Case(
        arguments='{"query": "x", "limit": NaN}', told="the arguments are no JSON object"
    ),
    "unknown-tool": _Case(
        name="erase", arguments={}, told="there is no tool 'erase'; tools: lookup"
    ),
    "denied": _Case(arguments={"query": "deny", "limit": 1}, told="denied: nobody may know"),
    "asked": _Case(
        arguments={"query": "ask", "limit": 1},
        told="denied: who knows (it needs a person's consent, and nobody can be asked)",
    ),
    "edited": _Case(
        arguments={"query": "edit", "limit": 900},
        got={"query": "edited", "limit": 1},
        told="1 times edited\n\n  in all\n",
        failed=False,
    ),
    "raises": _Case(
        arguments={"query": "raise", "limit": 1},
        got={"query": "raise", "limit": 1},
        told="ValueError: no luck\n  today",
    ),
}


class _Guard:
    """A plugin with an opinion on some calls."""

    @hookimpl
    def bridge_tool_call(self, call: ToolCall) -> ToolVerdict | None:
        match call.arguments.get("query"):
            case "deny":
                return ToolVerdict(action="deny", reason="nobody may know")
            case "ask":
                return ToolVerdict(action="ask", reason="who knows")
            case "edit":
                return ToolVerdict(action="edit", arguments={"query": "edited", "limit": 1})
            case _:
                return None


def lookup_tool(seen: list[Mapping[str, Any]]) -> ToolSpec:
    """The host's tool of these tests.

    Args:
        seen: Gets the arguments of each call.
    """

    async def call(arguments: Mapping[str, Any]) -> str:
        seen.append(arguments)
        match arguments["query"]:
            case "raise":
                raise ValueError("no luck\n  today")
            case "break":
                raise ToolFailed("the tool broke")
            case query:
                return f"{arguments['limit']} times {query}\n\n  in all\n"

    return ToolSpec(definition=LOOKUP, call=call)


def _look(limits: Limits | None = None) -> Turn:
    return turn("Look it up.", tools=[LOOKUP], limits=limits)


class DeskTests(ModelConformanceBase):
    """The same tool gives the same call, result, error, check and permission in every adapter."""

    @pytest.mark.parametrize("case", _CASES.values(), ids=_CASES)
    async def test_a_tool_call_goes_the_way_of_the_host(
        self, serve: StartModelServer, case: _Case
    ) -> None:
        """Behind the real executor, with the host's tool desk and a plugin that judges calls, each
        way that a call can go - done, wrong arguments, no JSON, no such tool, denied, edited,
        raised - gives the tool the same arguments, tells the model the same result to the letter,
        emits one start and one end, and leaves the call and its result in the history. Edited
        arguments reach the tool; the history keeps what the model wrote.
        """
        server = serve([ToolCalls((case.name, case.arguments)), Text("So it is.")])
        seen: list[Mapping[str, Any]] = []
        events = collect()
        if await self._refused(server):
            return
        async with self.hosted(
            self.connect(server), tools=[lookup_tool(seen)], plugins=[_Guard()]
        ) as agent:
            outcome = await agent.run(_look(), events)
        assert isinstance(outcome, TurnDone), f"{outcome}"
        assert seen == ([] if case.got is None else [case.got])
        _assert_told(server, case)
        (started,), (finished,) = events.of(ToolCallStarted), events.of(ToolCallFinished)
        written = case.arguments if isinstance(case.arguments, dict) else {}
        malformed = case.arguments if isinstance(case.arguments, str) else None
        call = started.call
        assert (call.name, call.arguments, call.malformed) == (case.name, written, malformed)
        result = finished.result
        assert (result.call_id, result.content, result.is_error) == (
            call.call_id,
            case.told,
            case.failed,
        )
        calling, answering, final = outcome.result.new_messages
        assert (calling.tool_calls, answering.parts, final.text) == (
            (call,),
            (result,),
            "So it is.",
        )
        assert_events(events.events, outcome.result, streaming=self.capabilities().streaming)

    async def test_a_tool_that_breaks_fails_the_turn(self, serve: StartModelServer) -> None:
        """What a tool raises as an `AgentError` ends the turn as `TurnFailed` with its kind and
        its words; the model is not asked again.
        """
        broken = ToolCalls(("lookup", {"query": "break", "limit": 1}))
        server = serve([broken, Text("This must not be asked for.")])
        seen: list[Mapping[str, Any]] = []
        if await self._refused(server):
            return
        async with self.hosted(self.connect(server), tools=[lookup_tool(seen)]) as agent:
            outcome = await agent.run(_look(), collect())
        assert outcome == TurnFailed(kind="tool", message="the tool broke", retryable=False)
        assert (len(seen), server.calls) == (1, 1)

    async def test_the_limit_of_tool_calls_holds(self, serve: StartModelServer) -> None:
        """A turn that may call tools twice calls them twice. The third call fails it with kind
        `limit`, and the model is not asked again.
        """
        server = serve(AutoToolCall(again=True))
        seen: list[Mapping[str, Any]] = []
        if await self._refused(server):
            return
        async with self.hosted(self.connect(server), tools=[lookup_tool(seen)]) as agent:
            outcome = await agent.run(_look(Limits(max_tool_calls=2)), collect())
        assert isinstance(outcome, TurnFailed), f"{outcome}"
        assert outcome.kind == "limit", f"{outcome}"
        assert (len(seen), server.calls) == (2, 3)

    async def _refused(self, server: ModelServer) -> bool:
        """Whether the agent has no tools, and says so."""
        if not self.lacks("tools"):
            return False
        async with self.agent_at(server) as agent:
            await assert_refused(agent, _look())
        assert server.calls == 0
        return True


def _assert_told(server: ModelServer, case: _Case) -> None:
    """The model's second call holds its first answer and the result, and nothing else new."""
    assert [request.status for request in server.requests] == [200, 200]
    message = asked(server).messages[-1]
    assert (message.role, message.text) == ("tool", case.told)
    assert message.is_error in {None, case.failed}
    (call,) = asked(server).messages[-2].calls
    assert call.name == case.name
    if isinstance(case.arguments, dict):
        assert call.arguments == case.arguments
    assert message.answers == call.call_id
