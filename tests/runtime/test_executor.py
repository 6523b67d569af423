"""What agents may do in a turn, and what becomes of it when they break: the executor's side."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from runtime.plans import new_host, plan_for, play

from massgen_bridge.agent import Agent, Limits, ToolDefinition, Turn, TurnResult
from massgen_bridge.errors import ProtocolFailed
from massgen_bridge.events import (
    Abstained,
    ModelCallStarted,
    ModelWaiting,
    PersonAsked,
    PersonReplied,
    Record,
    ToolCallFinished,
    TurnStarted,
)
from massgen_bridge.hookspecs import hookimpl
from massgen_bridge.messages import (
    ImagePart,
    Message,
    TextPart,
    ToolCall,
    assistant,
)
from massgen_bridge.specs import AdapterSpec, ToolSpec
from massgen_bridge.verdicts import ToolVerdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

pytestmark = pytest.mark.anyio
SECOND = {"votes": ["agent2"]}


async def test_a_silent_agent_is_given_up_after_its_idle_time() -> None:
    host = new_host()
    silent = {"delay_s": 30, "limits": Limits(idle_s=0.2)}
    result = await play(plan_for(host, silent, SECOND), host)

    assert result.winner == "a2"
    assert [(error.agent_id, error.kind) for error in result.errors] == [("a1", "timeout")]
    assert "no progress for 0.2 s" in result.errors[0].message


async def test_a_slow_agent_that_makes_progress_is_not_idle() -> None:
    host = new_host()
    slow = {
        "answers": ["one two three four five six"],
        "tokens_per_second": 10.0,
        "limits": Limits(idle_s=0.4),
    }
    result = await play(plan_for(host, slow), host)

    assert result.status == "answered"


class Own:
    """A plugin that offers one ready agent as the kind `own`."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    @hookimpl
    def bridge_adapters(self) -> list[AdapterSpec]:
        return [AdapterSpec(kind="own", summary="One's own.", factory=lambda _context: self._agent)]


class Asks:
    """An agent that waits for somebody for a while; then it says nothing for as long."""

    def __init__(self, *, replies: bool, waits: PersonAsked | ModelWaiting | None = None) -> None:
        self._replies = replies
        self._waits = waits or PersonAsked()

    async def run(self, _turn: Turn, emit: Any) -> Any:
        await emit(self._waits)
        await anyio.sleep(1.2)
        if self._replies:
            await emit(PersonReplied())
            await anyio.sleep(30)
        return TurnResult(message=assistant("Well."))

    async def aclose(self) -> None:
        pass


@pytest.mark.parametrize(("replies", "status"), [(False, "answered"), (True, "failed")])
async def test_an_agent_is_not_idle_while_a_person_thinks(*, replies: bool, status: str) -> None:
    host = new_host(Own(Asks(replies=replies)))
    result = await play(plan_for(host, {"kind": "own", "limits": Limits(idle_s=0.5)}), host)

    assert result.status == status


async def test_an_agent_is_not_idle_while_its_connection_has_no_room() -> None:
    waits = ModelWaiting(model="m", reason="concurrency")
    host = new_host(Own(Asks(replies=False, waits=waits)))
    result = await play(plan_for(host, {"kind": "own", "limits": Limits(idle_s=0.5)}), host)

    assert result.status == "answered"


class Abstainer:
    """An agent that has nothing to say."""

    async def run(self, _turn: Turn, _emit: Any) -> Any:
        return TurnResult(message=assistant(""), abstained="it is late")

    async def aclose(self) -> None:
        pass


async def test_an_agent_that_abstains_has_not_failed_and_is_not_asked_again() -> None:
    host = new_host(Own(Abstainer()))
    records: list[Record] = []
    plan = plan_for(host, {"kind": "own"}, SECOND, {**SECOND, "answers": ["two"]})
    result = await play(plan, host, records)

    assert (result.status, result.errors) == ("answered", ())
    own = [record.event for record in records if record.agent_id == "a1"]
    assert [one.reason for one in own if isinstance(one, Abstained)] == ["it is late"] * 2
    assert len([one for one in own if isinstance(one, TurnStarted)]) == 2
    assert {vote.voter for vote in result.votes} == {"a2", "a3"}


class CallsATool:
    """An agent of one's own that calls one tool and reports what it gave."""

    def __init__(self, call: ToolCall) -> None:
        self._call = call

    async def run(self, turn: Turn, emit: Any) -> Any:
        result = await turn.call_tool(self._call)
        await emit(ToolCallFinished(result=result))
        return TurnResult(message=assistant(f"{result.is_error} {result.content}"))

    async def aclose(self) -> None:
        pass


class Guard:
    def __init__(self, verdict: ToolVerdict) -> None:
        self._verdict = verdict

    @hookimpl
    def bridge_tool_call(self, turn: Turn, call: ToolCall) -> ToolVerdict:
        assert turn.agent_id == "a1"
        assert call.name == "add"
        return self._verdict


async def _add(arguments: Mapping[str, Any]) -> str:
    return str(arguments["a"] + arguments["b"])


ADD = ToolSpec(
    definition=ToolDefinition(
        name="add",
        description="Adds.",
        input_schema={
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
            "required": ["a", "b"],
        },
    ),
    call=_add,
)


async def _tool_answer(
    call: ToolCall, *plugins: object, tool: ToolSpec = ADD, **limits: Any
) -> str:
    host = new_host(*plugins, Own(CallsATool(call)))
    plan = plan_for(host, {"kind": "own", "tools": (tool,), "limits": Limits(**limits)})
    result = await play(plan, host)
    return result.answer or str([error.message for error in result.errors])


def _call(name: str = "add", **arguments: Any) -> ToolCall:
    return ToolCall(call_id="c1", name=name, arguments=arguments)


async def test_a_tool_is_called_with_its_arguments() -> None:
    assert await _tool_answer(_call(a=1, b=2)) == "False 3"


async def test_a_tool_that_returns_no_text_fails_the_turn() -> None:
    async def add(arguments: Mapping[str, Any]) -> Any:
        return arguments["a"] + arguments["b"]

    said = await _tool_answer(_call(a=1, b=2), tool=replace(ADD, call=add))
    assert "the tool 'add' returned a value of type 'int', and a tool returns text" in said


async def test_a_tool_whose_schema_is_none_fails_the_turn() -> None:
    definition = ADD.definition.model_copy(update={"input_schema": {"type": "objekt"}})
    said = await _tool_answer(_call(a=1, b=2), tool=replace(ADD, definition=definition))
    assert "the 'input_schema' of the tool 'add' is no JSON Schema: Unknown type" in said


async def test_wrong_arguments_and_unknown_tools_are_told_to_the_model() -> None:
    assert "wrong arguments" in await _tool_answer(_call(a="x"))
    assert "there is no tool 'sub'; tools: add" in await _tool_answer(_call("sub"))
    broken = ToolCall(call_id="c", name="add", malformed="{")
    assert "no JSON object" in await _tool_answer(broken)


@pytest.mark.parametrize(
    ("verdict", "answer"),
    [
        (ToolVerdict(action="deny", reason="not today"), "True denied: not today"),
        (ToolVerdict(action="allow"), "False 3"),
        (ToolVerdict(action="edit", arguments={"a": 5, "b": 5}), "False 10"),
    ],
)
async def test_a_plugin_decides_on_tool_calls(verdict: ToolVerdict, answer: str) -> None:
    assert await _tool_answer(_call(a=1, b=2), Guard(verdict)) == answer


async def test_asking_a_person_denies_where_nobody_can_be_asked() -> None:
    answer = await _tool_answer(_call(a=1, b=2), Guard(ToolVerdict(action="ask")))

    assert "nobody can be asked" in answer


async def test_the_limit_of_tool_calls_ends_the_turn() -> None:
    assert "more than 0 tool calls" in await _tool_answer(_call(a=1, b=2), max_tool_calls=0)


class WordlessError(Exception):
    """An exception whose own code is broken, too."""

    def __str__(self) -> str:
        raise ValueError("there is nothing to say")


class Bug:
    """An agent whose own code is broken."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def run(self, turn: Turn, emit: Any) -> TurnResult:
        del turn, emit
        raise self._error

    async def aclose(self) -> None:
        pass


@pytest.mark.parametrize(
    ("error", "told"),
    [(ZeroDivisionError("oops"), "ZeroDivisionError: oops"), (WordlessError(), "WordlessError: ")],
)
async def test_unforeseen_exceptions_of_an_agent_cost_only_its_turn(
    error: Exception, told: str
) -> None:
    host = new_host(Own(Bug(error)))
    plan = plan_for(host, {"kind": "own"}, SECOND)
    result = await play(plan, host)

    assert result.winner == "a2"
    assert result.errors[0].message == told
    assert result.errors[0].kind == "crash"


class FailsOnBallots:
    """Answers well, and breaks down when it votes: before the vote, or after it."""

    def __init__(self, *, votes_first: bool) -> None:
        self._votes_first = votes_first
        self.ballots = 0

    async def run(self, turn: Turn, emit: Any) -> TurnResult:
        del emit
        if not turn.tools:
            return TurnResult(message=assistant("an answer"))
        self.ballots += 1
        if self._votes_first:
            await turn.call_tool(ToolCall(call_id="c", name="vote", arguments={"label": "agent2"}))
        raise ProtocolFailed("this is no JSON")

    async def aclose(self) -> None:
        pass


async def test_a_reply_that_breaks_the_protocol_spoils_a_ballot_and_is_repaired_once() -> None:
    agent = FailsOnBallots(votes_first=False)
    host = new_host(Own(agent))
    result = await play(plan_for(host, {"kind": "own", "ballot": "tools"}, SECOND), host)

    assert agent.ballots == 2
    assert [vote.voter for vote in result.votes] == ["a2"]


async def test_a_vote_counts_even_if_its_turn_fails_afterwards() -> None:
    agent = FailsOnBallots(votes_first=True)
    host = new_host(Own(agent))
    result = await play(plan_for(host, {"kind": "own", "ballot": "tools"}, SECOND), host)

    assert agent.ballots == 1
    assert [vote.voter for vote in result.votes] == ["a1", "a2"]


class Classifier:
    @hookimpl
    def bridge_classify_error(self, kind: str, error: Exception) -> str | None:
        assert kind == "own"
        return "rate_limit" if isinstance(error, ZeroDivisionError) else None


async def test_a_plugin_can_name_the_kind_of_a_foreign_exception() -> None:
    host = new_host(Classifier(), Own(Bug(ZeroDivisionError("oops"))))
    plan = plan_for(host, {"kind": "own"})
    result = await play(plan, host)

    assert result.errors[0].kind == "rate_limit"


async def test_a_picture_that_an_agent_cannot_carry_is_refused_before_any_call() -> None:
    host = new_host()
    records: list[Record] = []
    picture = ImagePart(media_type="image/png", data=b"png")
    question = Message(role="user", parts=(TextPart(text="What is it?"), picture))
    result = await play(plan_for(host, {}), host, records, question=question)

    assert result.status == "failed"
    assert [error.kind for error in result.errors] == ["unsupported"]
    assert "'image' (it carries: text alone)" in result.errors[0].message
    assert result.calls == 0


class Misbehaves:
    """An agent whose code cancels itself, and which cannot be closed."""

    async def run(self, turn: Turn, emit: Any) -> TurnResult:
        del turn, emit
        raise asyncio.CancelledError

    async def aclose(self) -> None:
        raise OSError("cannot close")


async def test_an_agent_that_cancels_itself_or_cannot_be_closed_costs_only_itself(
    caplog: pytest.LogCaptureFixture,
) -> None:
    host = new_host(Own(Misbehaves()))
    with anyio.fail_after(10):
        result = await play(plan_for(host, {"kind": "own"}, SECOND), host)

    assert result.winner == "a2"
    assert [(error.agent_id, error.kind) for error in result.errors] == [("a1", "crash")]
    assert "cannot close" in caplog.text


class Returns:
    """An agent whose `run` returns anything at all, at once or when it is awaited."""

    def __init__(self, value: object, *, is_async: bool) -> None:
        self._value = value
        self._is_async = is_async

    def run(self, turn: Turn, emit: Any) -> Any:
        del turn, emit
        return self._later() if self._is_async else self._value

    async def _later(self) -> object:
        return self._value

    async def aclose(self) -> None:
        pass


@pytest.mark.parametrize(
    ("agent", "told"),
    [
        (Returns({"message": "hello"}, is_async=True), "TurnResult; this one gave a value of type"),
        (Returns("hello", is_async=True), "returns a TurnResult; this one gave a value of type 's"),
        (Returns(None, is_async=True), "an agent's `run` returns a TurnResult; this one gave None"),
        (Returns("hello", is_async=False), "`run` is `async def`; this one returned a value of ty"),
        (Returns(None, is_async=False), "an agent's `run` is `async def`; this one returned None"),
    ],
)
async def test_what_run_returned_in_place_of_a_result_is_named(agent: Returns, told: str) -> None:
    host = new_host(Own(agent))
    result = await play(plan_for(host, {"kind": "own"}, SECOND), host)

    assert result.winner == "a2"
    (error,) = result.errors
    assert error.kind == "crash"
    assert told in error.message


class Yielding:
    """A journal in memory that takes a moment for each commit, as a disk does.

    While some turns have begun and some have not, it takes until the first of them calls its model.
    """

    is_crowded = False

    def __init__(self, first: int, turns: int) -> None:
        self._some = range(first + 1, turns)
        self._begun = 0
        self._called = anyio.Event()

    def append(self, records: Sequence[Record]) -> None:
        for record in records:
            self._begun += isinstance(record.event, TurnStarted)
            if isinstance(record.event, ModelCallStarted):
                self._called.set()

    async def commit(self) -> None:
        await anyio.sleep(0.1)
        if self._begun in self._some:
            with anyio.fail_after(20):
                await self._called.wait()


class Silent:
    """An agent that makes no model call of its own."""

    async def run(self, turn: Turn, emit: object) -> TurnResult:
        del turn, emit
        return TurnResult(message=assistant("the same"))

    async def aclose(self) -> None:
        pass


@pytest.mark.parametrize(("last_kind", "before"), [("scripted", True), ("own", False)])
async def test_the_first_of_many_agents_begin_at_once_unless_a_kind_is_still_to_import(
    last_kind: str, *, before: bool
) -> None:
    host = new_host(Own(Silent()))
    records: list[Record] = []
    scripts = [{"answers": ["the same"]} for _ in range(200)]
    last = {"kind": last_kind} if last_kind == "own" else {"answers": ["the same"]}
    plan = plan_for(host, *scripts, last)
    result = await play(plan, host, records, journal=Yielding(100, 201))

    assert result.status == "answered"
    last_start = max(
        r.seq for r in records if isinstance(r.event, TurnStarted) and not r.event.round
    )
    first_call = min(r.seq for r in records if isinstance(r.event, ModelCallStarted))
    assert (first_call < last_start) is before
