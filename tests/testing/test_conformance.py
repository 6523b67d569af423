"""The suite has to fail for agents that break a promise: each one here breaks a single one."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import anyio
import pytest
from massgen_bridge_openai import bridge_adapters
from pydantic import BaseModel

from massgen_bridge import (
    AgentError,
    BadRequest,
    ImagePart,
    Message,
    ServerFailed,
    TextDelta,
    TextPart,
    ToolCall,
    ToolResult,
    Truncated,
    Turn,
    TurnResult,
    assistant,
)
from massgen_bridge.testing.agents import TEST_KEY
from massgen_bridge.testing.conformance import ModelAgentConformance
from massgen_bridge.testing.fixtures import StartModelServer, model_server
from massgen_bridge.testing.servers import EndsEarly, HttpError, Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from massgen_bridge import AdapterSpec, Agent, AgentContext, Emit, TurnEvent

__all__ = ["model_server"]

pytestmark = pytest.mark.anyio


class Faithful:
    """Hands everything on."""

    def __init__(self, context: AgentContext) -> None:
        (spec,) = bridge_adapters()
        self.context = context
        self.inner: Agent = spec.factory(context)

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        return await self.inner.run(turn, emit)

    async def aclose(self) -> None:
        await self.inner.aclose()


class SplitsAtSpaces(Faithful):
    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        result = await super().run(turn, emit)
        message = assistant(" ".join(result.text.split()))
        return result.model_copy(update={"message": message, "new_messages": (message,)})


class StreamsSomethingElse(Faithful):
    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        async def tidy(event: TurnEvent, /) -> None:
            text = event.text.strip() if isinstance(event, TextDelta) else ""
            await emit(TextDelta(text=text) if isinstance(event, TextDelta) else event)

        return await super().run(turn, tidy)


class SavesUpItsWords(Faithful):
    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        saved: list[TurnEvent] = []

        async def save(event: TurnEvent, /) -> None:
            saved.append(event)

        result = await super().run(turn, save)
        for event in saved:
            await emit(event)
        return result


class SwallowsCancellation(Faithful):
    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        try:
            return await super().run(turn, emit)
        except anyio.get_cancelled_exc_class():
            return TurnResult(message=assistant("cancelled"))


class GoesOnAfterCancellation(Faithful):
    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        try:
            return await super().run(turn, emit)
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await super().run(turn, emit)
            raise


class TakesTruncationForSuccess(Faithful):
    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        try:
            return await super().run(turn, emit)
        except Truncated:
            return TurnResult(message=assistant("half"), new_messages=(assistant("half"),))


class HasOneErrorForAll(Faithful):
    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        try:
            return await super().run(turn, emit)
        except AgentError as error:
            raise ServerFailed(str(error)) from error


class TellsTheKey(Faithful):
    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        try:
            return await super().run(turn, emit)
        except AgentError as error:
            raise type(error)(f"{error} with {TEST_KEY}") from error


class TriesAgain(Faithful):
    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        try:
            return await super().run(turn, emit)
        except AgentError:
            return await super().run(turn, emit)


class ChangesTheTurn(Faithful):
    def changed(self, part: Any) -> Any:
        return part

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        messages = tuple(
            message.model_copy(
                update={"parts": tuple(filter(None, map(self.changed, message.parts)))}
            )
            for message in turn.messages
        )
        return await super().run(turn.model_copy(update={"messages": messages}), emit)


class DropsPictures(ChangesTheTurn):
    def changed(self, part: Any) -> Any:
        return None if isinstance(part, ImagePart) else part


class SendsPicturesAsText(ChangesTheTurn):
    def changed(self, part: Any) -> Any:
        if not isinstance(part, ImagePart):
            return part
        return TextPart(text=base64.b64encode(part.data or b"").decode())


class FlattensTheHistory(Faithful):
    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        text = "\n".join(message.text for message in turn.messages)
        flat = (Message(role="user", parts=(TextPart(text=text),)),)
        return await super().run(turn.model_copy(update={"messages": flat}), emit)


class ChangesResults(Faithful):
    change: ClassVar[dict[str, Any]] = {}

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        async def call_tool(call: ToolCall) -> ToolResult:
            result = await turn.call_tool(call)
            return result.model_copy(update=self.change)

        return await super().run(turn.bind(call_tool), emit)


class HidesToolErrors(ChangesResults):
    change: ClassVar = {"content": "done", "is_error": False}


class IgnoresTheEndOfTheTurn(ChangesResults):
    change: ClassVar = {"ends_turn": False}


class MakesUpArguments(Faithful):
    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        async def call_tool(call: ToolCall) -> ToolResult:
            return await turn.call_tool(call.model_copy(update={"malformed": None}))

        return await super().run(turn.bind(call_tool), emit)


class SwallowsToolFailures(Faithful):
    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        async def call_tool(call: ToolCall) -> ToolResult:
            try:
                return await turn.call_tool(call)
            except AgentError as error:
                return ToolResult(call_id=call.call_id, name=call.name, content=str(error))

        return await super().run(turn.bind(call_tool), emit)


class LeavesOutTheCache(Faithful):
    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        result = await super().run(turn, emit)
        assert result.usage is not None
        billed = result.usage.input_tokens - result.usage.cached_tokens
        return result.model_copy(
            update={"usage": result.usage.model_copy(update={"input_tokens": billed})}
        )


class MixesTurnsUp(Faithful):
    last = ""

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        self.last = turn.question
        result = await super().run(turn, emit)
        return result.model_copy(update={"message": assistant(self.last)})


class WaitsForOthers(Faithful):
    def __init__(self, context: AgentContext) -> None:
        super().__init__(context)
        self.lock = anyio.Lock()

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        async with self.lock:
            return await super().run(turn, emit)


class IsNeverClosed(Faithful):
    async def aclose(self) -> None:
        """Leaves its connections open."""


Case: TypeAlias = tuple[type[Faithful], str, tuple[Any, ...]]

BROKEN: list[Case] = [
    (SplitsAtSpaces, "test_the_answer_is_exactly_what_the_model_said", (Text("a\n  b"),)),
    (StreamsSomethingElse, "test_the_answer_is_exactly_what_the_model_said", (Text("a\n  b"),)),
    (SavesUpItsWords, "test_text_is_told_of_while_the_model_speaks", ()),
    (
        SwallowsCancellation,
        "test_a_cancelled_model_call_is_given_up",
        (Text.of_tokens(20, tokens_per_second=20),),
    ),
    (
        GoesOnAfterCancellation,
        "test_a_cancelled_model_call_is_given_up",
        (Text.of_tokens(20, tokens_per_second=20),),
    ),
    (TakesTruncationForSuccess, "test_a_cut_stream_is_no_success", ()),
    (
        TakesTruncationForSuccess,
        "test_each_fault_has_its_kind",
        (EndsEarly(after=0), Truncated),
    ),
    (HasOneErrorForAll, "test_each_fault_has_its_kind", (HttpError(status=400), BadRequest)),
    (TellsTheKey, "test_a_key_does_not_get_out_with_an_error", ()),
    (TriesAgain, "test_each_fault_has_its_kind", (HttpError(status=500), ServerFailed)),
    (DropsPictures, "test_media_pass_or_are_refused", ("image",)),
    (SendsPicturesAsText, "test_media_pass_or_are_refused", ("image",)),
    (DropsPictures, "test_a_picture_by_address_passes_or_is_refused", ()),
    (DropsPictures, "test_media_that_the_model_does_not_take_are_refused", ()),
    (FlattensTheHistory, "test_the_history_reaches_the_model_in_order", ()),
    (HidesToolErrors, "test_a_failed_call_is_told_to_the_model", ()),
    (IgnoresTheEndOfTheTurn, "test_a_tool_may_end_the_turn", ()),
    (MakesUpArguments, "test_arguments_that_are_no_json_are_never_made_up", ()),
    (
        SwallowsToolFailures,
        "test_a_tool_that_cannot_be_called_fails_the_turn",
        (ServerFailed("gone"),),
    ),
    (LeavesOutTheCache, "test_usage_has_one_meaning", ()),
    (MixesTurnsUp, "test_model_calls_run_at_the_same_time", ()),
    (WaitsForOthers, "test_model_calls_run_at_the_same_time", ()),
]


class Suite(ModelAgentConformance):
    """The suite for an agent of one of the classes above."""

    def __init__(self, agent: Callable[[AgentContext], Agent], **changes: Any) -> None:
        (spec,) = bridge_adapters()
        self._spec = replace(spec, factory=agent, **changes)

    def adapter(self) -> AdapterSpec:
        return self._spec

    def options(self) -> dict[str, Any]:
        return {}


async def _run(suite: Suite, test: str, server: StartModelServer, arguments: Any) -> None:
    await getattr(suite, test)(server, *arguments)


@pytest.mark.parametrize(("agent", "test", "arguments"), BROKEN)
async def test_a_broken_promise_is_found(
    model_server: StartModelServer,
    agent: type[Faithful],
    test: str,
    arguments: tuple[Any, ...],
) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception, TimeoutError)):
        await _run(Suite(agent), test, model_server, arguments)


@pytest.mark.parametrize(("test", "arguments"), [case[1:] for case in BROKEN])
async def test_what_finds_it_is_the_broken_promise(
    model_server: StartModelServer,
    test: str,
    arguments: tuple[Any, ...],
) -> None:
    await _run(Suite(Faithful), test, model_server, arguments)


async def test_an_agent_that_keeps_its_connections_is_found(
    model_server: StartModelServer,
) -> None:
    agents: list[Faithful] = []

    class IsFoundAgain(IsNeverClosed):
        def __init__(self, context: AgentContext) -> None:
            super().__init__(context)
            agents.append(self)

    suite = Suite(IsFoundAgain)
    with pytest.raises(TimeoutError, match="closed connections"):
        await suite.test_no_connection_is_left_of_a_closed_agent(model_server)
    for agent in agents:
        await agent.inner.aclose()


class Careless(BaseModel):
    """Options that let every key pass."""


@pytest.mark.parametrize(
    ("changes", "test"),
    [
        ({"kind": "Open AI"}, "test_the_specification_is_well_formed"),
        ({"requires": ("openai",)}, "test_the_specification_is_well_formed"),
        ({"options": Careless}, "test_the_options_forbid_what_they_do_not_know"),
        ({"imports_code": ("graph",)}, "test_options_that_import_code_are_named"),
        (
            {"requires": ("pydantic>=2",)},
            "test_importing_the_adapter_does_not_import_its_framework",
        ),
    ],
)
def test_a_false_specification_is_found(changes: dict[str, Any], test: str) -> None:
    (spec,) = bridge_adapters()
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        getattr(Suite(spec.factory, **changes), test)()
    getattr(Suite(spec.factory), test)()


def _overriding(mark: pytest.MarkDecorator | None) -> Suite:
    async def override(self: ModelAgentConformance, serve: StartModelServer) -> None:
        """Promises nothing."""

    test = override if mark is None else mark(override)
    suite = type("Overriding", (Suite,), {"test_usage_has_one_meaning": test})(Faithful)
    assert isinstance(suite, Suite)
    return suite


@pytest.mark.parametrize(
    "mark", [None, pytest.mark.skip(reason="no"), pytest.mark.xfail, pytest.mark.xfail(reason="")]
)
def test_a_weakened_suite_is_found(mark: pytest.MarkDecorator | None) -> None:
    with pytest.raises(AssertionError, match="overridden"):
        _overriding(mark).test_no_test_of_the_suite_is_weakened()


def test_an_expected_failure_with_a_reason_is_honest() -> None:
    mark = pytest.mark.xfail(reason="the framework counts nothing")
    _overriding(mark).test_no_test_of_the_suite_is_weakened()


@pytest.mark.parametrize("named", [{"test_of_nothing": "because"}, {"test_it_is_an_agent": " "}])
def test_expected_failures_name_tests_and_reasons(named: dict[str, str]) -> None:
    class Expecting(Suite):
        def expected_failures(self) -> dict[str, str]:
            return named

    with pytest.raises(AssertionError):
        Expecting(Faithful).test_no_test_of_the_suite_is_weakened()


def test_a_suite_that_is_skipped_as_a_whole_is_found() -> None:
    skipped = type("Skipped", (Suite,), {"pytestmark": pytest.mark.skip(reason="later")})
    with pytest.raises(AssertionError, match="mark single tests"):
        skipped(Faithful).test_no_test_of_the_suite_is_weakened()
