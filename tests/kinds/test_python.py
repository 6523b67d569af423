"""Your own code as an agent."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
from anyio import to_thread

from massgen_bridge.agent import ShownAnswer, Turn, TurnResult
from massgen_bridge.errors import AgentCrashed, ConfigError, ProtocolFailed
from massgen_bridge.events import TextDelta, TurnEvent
from massgen_bridge.kinds.python import PythonAgent, PythonOptions, bridge_adapters
from massgen_bridge.messages import assistant, user
from massgen_bridge.plugins import load_object
from massgen_bridge.specs import AgentContext

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from massgen_bridge.agent import Emit

pytestmark = pytest.mark.anyio
SPEC = next(iter(bridge_adapters()))


def turn(**changes: Any) -> Turn:
    given = {"run_id": "r", "turn_id": "t", "agent_id": "a", "messages": (user("Which?"),)}
    return Turn(**{**given, **changes})


def ballot() -> Turn:
    shown = (ShownAnswer(label="agent2", version=1, text="two"),)
    return turn(task=user("Which?"), shown=shown, output_schema={"type": "object"})


async def run(function: Any, given: Turn | None = None, vote: Any = None) -> Any:
    events: list[TurnEvent] = []

    async def emit(event: TurnEvent, /) -> None:
        events.append(event)

    result = await PythonAgent(function, vote).run(given or turn(), emit)
    return result, events


async def test_a_plain_function_gets_the_question_in_a_thread_of_its_own() -> None:
    threads: list[threading.Thread] = []

    def answer(prompt: str) -> str:
        threads.append(threading.current_thread())
        return f"{prompt} That one."

    result, _ = await run(answer)
    assert result.text == "Which? That one."
    assert threads[0] is not threading.main_thread()


async def test_a_coroutine_function_gets_what_it_names() -> None:
    async def answer(turn: Turn, emit: Emit, connection: object) -> str:
        await emit(TextDelta(text="x"))
        return f"{turn.agent_id} {connection}"

    result, events = await run(answer)
    assert result.text == "a None"
    assert events == [TextDelta(text="x")]


async def test_an_async_generator_streams() -> None:
    async def answer(question: str) -> AsyncIterator[str]:
        yield question
        yield " So."

    result, events = await run(answer)
    assert result.text == "Which? So."
    assert [event.text for event in events] == ["Which?", " So."]


async def test_a_full_result_passes_unchanged() -> None:
    made = TurnResult(message=assistant("x"), stop_reason="length")

    result, _ = await run(lambda question: made if question else None)
    assert result is made


async def test_a_dict_is_a_structured_result() -> None:
    result, _ = await run(lambda turn: {"vote": turn.agent_id})

    assert result.structured == {"vote": "a"}
    assert result.text == '{"vote": "a"}'


async def test_a_vote_function_gets_task_and_answers_by_label() -> None:
    def vote(task: str, answers: dict[str, str]) -> tuple[str, str]:
        return next(iter(answers)), f"{task} {answers['agent2']}"

    result, _ = await run(lambda question: question, ballot(), vote)
    assert result.structured == {"vote": "agent2", "reason": "Which? two"}


async def test_a_vote_may_be_a_label_alone_and_a_coroutine() -> None:
    async def vote(task: str, answers: dict[str, str]) -> str:
        await anyio.lowlevel.checkpoint()
        return max(answers, key=lambda label: (answers[label], task))

    result, _ = await run(lambda question: question, ballot(), vote)
    assert result.structured == {"vote": "agent2", "reason": ""}


async def test_a_vote_function_that_puts_all_in_order_votes_and_ranks() -> None:
    def vote(task: str, answers: dict[str, str]) -> tuple[list[str], str]:
        return sorted(answers), task

    schema: dict[str, Any] = {"type": "object", "properties": {"ranking": {"type": "array"}}}
    to_rank = ballot().model_copy(update={"output_schema": schema})
    ranked, _ = await run(lambda question: question, to_rank, vote)
    voted, _ = await run(lambda question: question, ballot(), vote)

    first, *rest = sorted(answer.label for answer in ballot().shown)
    assert ranked.structured == {"ranking": [first, *rest], "reason": "Which?"}
    assert voted.structured == {"vote": first, "reason": "Which?"}


@pytest.mark.parametrize("value", [None, 3, ["x"]])
async def test_anything_else_is_no_answer(value: object) -> None:
    with pytest.raises(ProtocolFailed, match="expected str, dict or TurnResult"):
        await run(lambda question: value if question else None)


async def test_a_dict_that_is_no_json_is_the_agents_fault() -> None:
    with pytest.raises(AgentCrashed, match="no JSON"):
        await run(lambda question: {"x": object(), "q": question})


async def test_its_exceptions_come_out_as_they_are() -> None:
    def answer(question: str) -> str:
        raise KeyError(question)

    with pytest.raises(KeyError):
        await run(answer)


async def test_cancelling_does_not_wait_for_a_blocking_function() -> None:
    release = threading.Event()
    with anyio.move_on_after(0.1) as scope:
        await run(lambda question: release.wait(20) and question)
    release.set()

    assert scope.cancelled_caught


def test_a_function_that_needs_something_unknown_is_refused_with_what_there_is() -> None:
    with pytest.raises(ConfigError, match=r"needs colour; .* question, turn, emit, connection"):
        PythonAgent(lambda question, colour: (question, colour))


def _context(**options: Any) -> AgentContext:
    async def no_model(attempt: Any, emit: Any) -> Any:
        raise AssertionError((attempt, emit))

    return AgentContext(
        agent_id="own",
        options=PythonOptions(**options),
        connection=None,
        call_model=no_model,
        load=lambda path: load_object(path, Path(__file__).parent),
        base_dir=Path(__file__).parent,
    )


async def test_the_function_is_found_by_import_path() -> None:
    agent = await to_thread.run_sync(SPEC.factory, _context(function="json:dumps"))
    result = await agent.run(turn(), lambda _event: anyio.lowlevel.checkpoint())

    assert result.text == '"Which?"'


def test_what_is_found_must_be_callable() -> None:
    with pytest.raises(ConfigError, match="'json:__name__' is not callable"):
        SPEC.factory(_context(function="json:__name__"))


def test_only_code_that_can_fill_in_a_schema_is_asked_to() -> None:
    refine = SPEC.refine
    assert refine is not None

    assert not refine(PythonOptions(function="m:f"), None).structured
    assert refine(PythonOptions(function="m:f", structured=True), None).structured
    assert refine(PythonOptions(function="m:f", vote="m:v"), None).structured
