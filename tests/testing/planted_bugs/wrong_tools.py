"""Agents that call tools as they like, or hide what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from testing.planted_bugs.faithful import Faithful

from massgen_bridge import (
    AgentError,
    LimitReached,
    ToolCall,
    ToolCallStarted,
    ToolResult,
    Truncated,
)
from massgen_bridge.agent import ToolDefinition

if TYPE_CHECKING:
    from massgen_bridge import Emit, Turn, TurnEvent, TurnResult

__all__ = ["WRONG"]

_HOST = "test_a_tool_call_goes_the_way_of_the_host"


class ForgesAVote(Faithful):
    """Votes in the model's name where it did not. MassGen's adapter for AG2 votes for the first
    agent once a vote is enforced, whatever its own agent thinks.
    """

    caught_by = ("test_no_tool_is_called_unless_the_model_does",)

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        result = await super().run(turn, emit)
        offered = {tool.name for tool in turn.tools}
        if "vote" in offered and not any(message.tool_calls for message in result.new_messages):
            arguments = {"query": "agent1", "limit": 1}
            await turn.call_tool(ToolCall(call_id="forged", name="vote", arguments=arguments))
        return result


class _ChangesResults(Faithful):
    """Changes what a tool gave."""

    change: ClassVar[dict[str, Any]] = {}

    async def call_tool(self, turn: Turn, call: ToolCall) -> ToolResult:
        return (await turn.call_tool(call)).model_copy(update=self.change)


class HidesToolErrors(_ChangesResults):
    """Tells the model that a failed call went well. AG2 1.x hides a tool's error from its caller;
    any-agent makes a text of every exception.
    """

    caught_by = (
        "test_a_failed_call_is_told_to_the_model",
        f"{_HOST}[denied]",
        f"{_HOST}[raises]",
        f"{_HOST}[wrong-type]",
    )
    change: ClassVar = {"content": "done", "is_error": False}


class ShortensResults(Faithful):
    """Hands a tool's result on without its white space."""

    caught_by = ("test_a_tool_gets_its_arguments_and_the_model_its_result", f"{_HOST}[result]")

    async def call_tool(self, turn: Turn, call: ToolCall) -> ToolResult:
        result = await turn.call_tool(call)
        return result.model_copy(update={"content": " ".join(result.content.split())})


class IgnoresTheEndOfTheTurn(_ChangesResults):
    """Asks the model again although the host has what it wanted."""

    caught_by = ("test_a_tool_may_end_the_turn",)
    change: ClassVar = {"ends_turn": False}


class MakesUpArguments(Faithful):
    """Calls a tool with no arguments where the model wrote no JSON. LangChain's own parser mends
    arguments that were cut off.
    """

    caught_by = ("test_arguments_that_are_no_json_are_never_made_up", f"{_HOST}[no-json]")

    async def call_tool(self, turn: Turn, call: ToolCall) -> ToolResult:
        return await turn.call_tool(call.model_copy(update={"malformed": None}))


class ChangesArguments(Faithful):
    """Makes the arguments fit before the host has seen them."""

    caught_by = (f"{_HOST}[wrong-type]",)

    async def call_tool(self, turn: Turn, call: ToolCall) -> ToolResult:
        arguments = {**call.arguments, "query": str(call.arguments.get("query"))}
        return await turn.call_tool(call.model_copy(update={"arguments": arguments}))


class TriesARefusedCallAgain(Faithful):
    """Calls a tool again until it works."""

    caught_by = ("test_a_failed_call_is_told_to_the_model",)

    async def call_tool(self, turn: Turn, call: ToolCall) -> ToolResult:
        result = await turn.call_tool(call)
        return await turn.call_tool(call) if result.is_error else result


class SwallowsToolFailures(Faithful):
    """Goes on with the model where the host has ended the turn. any-agent makes a text of every
    exception.
    """

    caught_by = (
        "test_a_tool_that_breaks_fails_the_turn",
        "test_a_tool_that_cannot_be_called_fails_the_turn[error0]",
        "test_the_limit_of_tool_calls_holds",
    )

    async def call_tool(self, turn: Turn, call: ToolCall) -> ToolResult:
        try:
            return await turn.call_tool(call)
        except AgentError as error:
            return ToolResult(call_id=call.call_id, name=call.name, content=str(error))


class CallsHalfTools(Faithful):
    """Calls a tool of which only the beginning came. LangChain's own parser mends arguments that
    were cut off.
    """

    caught_by = (
        "test_a_cut_tool_call_is_not_made",
        "test_a_tool_call_that_the_limit_cut_off_is_not_made",
    )

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        try:
            return await super().run(turn, emit)
        except (LimitReached, Truncated):
            await turn.call_tool(ToolCall(call_id="half", name="lookup", arguments={}))
            raise


class GivesAllCallsOneResult(Faithful):
    """Takes a call's result from a memory of calls to the same tool."""

    caught_by = ("test_calls_made_at_once_keep_their_order",)
    remembered = ""

    async def call_tool(self, turn: Turn, call: ToolCall) -> ToolResult:
        result = await turn.call_tool(call)
        self.remembered = self.remembered or result.content
        return result.model_copy(update={"content": self.remembered})


class DropsWordsBeforeCalls(Faithful):
    """Keeps the calls of a message, and not what the model said with them."""

    caught_by = ("test_what_the_model_says_before_a_call_is_kept",)

    def answered(self, result: TurnResult) -> TurnResult:
        kept = tuple(
            one.model_copy(update={"parts": one.tool_calls}) if one.tool_calls else one
            for one in result.new_messages
        )
        return result.model_copy(update={"new_messages": kept})


class RenamesTools(Faithful):
    """Offers the model tools of other descriptions than the host's."""

    caught_by = ("test_tools_are_offered_as_the_host_defines_them",)

    def asked(self, turn: Turn) -> Turn:
        vague = tuple(_vague(tool) for tool in turn.tools)
        return turn.model_copy(update={"tools": vague})


def _vague(tool: ToolDefinition) -> ToolDefinition:
    return tool.model_copy(update={"description": f"The tool {tool.name}."})


class OffersNoTools(Faithful):
    """Claims tools and leaves them out."""

    caught_by = ("test_tools_are_offered_as_the_host_defines_them",)

    def asked(self, turn: Turn) -> Turn:
        return turn.model_copy(update={"tools": ()})


class TellsOfToolsInDisorder(Faithful):
    """Tells of a call's end before its start, as CrewAI's event bus and AG2's subscriptions do."""

    caught_by = ("test_tool_calls_are_told_of_in_order", f"{_HOST}[result]")

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.held: ToolCallStarted | None = None

    async def tell(self, event: TurnEvent, emit: Emit) -> None:
        if isinstance(event, ToolCallStarted):
            self.held = event
            return
        await emit(event)
        if self.held is not None and event.type == "tool_call_finished":
            await emit(self.held)
            self.held = None


class TellsOfToolsTwice(Faithful):
    """Tells of each call when the model wants it and again when it is made."""

    caught_by = ("test_tool_calls_are_told_of_in_order", f"{_HOST}[result]")

    async def tell(self, event: TurnEvent, emit: Emit) -> None:
        if isinstance(event, ToolCallStarted):
            await emit(event)
        await emit(event)


class LosesTheHistory(Faithful):
    """Returns the final message alone."""

    caught_by = ("test_a_tool_gets_its_arguments_and_the_model_its_result", f"{_HOST}[result]")

    def answered(self, result: TurnResult) -> TurnResult:
        return result.model_copy(update={"new_messages": (result.message,)})


class NeverStopsCalling(Faithful):
    """Forgets how often it may ask the model. A discussion of AG2 1.x made 43 calls in 15 s."""

    caught_by = ("test_a_model_that_never_stops_calling_is_stopped",)

    def asked(self, turn: Turn) -> Turn:
        endless = turn.limits.model_copy(update={"max_model_calls": 8})
        return turn.model_copy(update={"limits": endless})


WRONG: tuple[type[Faithful], ...] = (
    ForgesAVote,
    HidesToolErrors,
    ShortensResults,
    IgnoresTheEndOfTheTurn,
    MakesUpArguments,
    ChangesArguments,
    TriesARefusedCallAgain,
    SwallowsToolFailures,
    CallsHalfTools,
    GivesAllCallsOneResult,
    DropsWordsBeforeCalls,
    RenamesTools,
    OffersNoTools,
    TellsOfToolsInDisorder,
    TellsOfToolsTwice,
    LosesTheHistory,
    NeverStopsCalling,
)
