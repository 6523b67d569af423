"""Agents that say what they are told to: for tests, demos and benchmarks, without any model."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from pydantic import Field

from massgen_bridge.agent import Agent, Capabilities, Turn, TurnResult, Usage
from massgen_bridge.errors import ErrorKind, error_of_kind
from massgen_bridge.hookspecs import hookimpl
from massgen_bridge.messages import (
    JsonValue,
    Message,
    TextPart,
    ToolCall,
    ToolResult,
    assistant,
    structured_value,
)
from massgen_bridge.specs import AdapterSpec, AgentContext, NoOptions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from massgen_bridge.agent import Emit

__all__ = ["ScriptedAgent", "ScriptedOptions", "bridge_adapters"]

_MODEL = "scripted"
_ABLE = Capabilities(tools=True, structured=True)
_PIECES = re.compile(r"\s*\S+\s*|\s+")
# The turn's own mark stands first; whatever an answer holds comes after it.
# The first of them is the host's, and so is the last form of a ballot: answers stand between.
_OWN_MARK = re.compile(r"<(?:user|task|answer)-([0-9a-f]{8})[ >]")
_FORM = re.compile(r"```ballot-([0-9a-f]{8})\n")


class ScriptedOptions(NoOptions):
    """What a scripted agent says and when."""

    answers: tuple[str, ...] = Field(
        default=("An answer.",),
        min_length=1,
        description="Its answers, one a turn; the last one is given again and again.",
    )
    calls: tuple[dict[str, dict[str, JsonValue]], ...] = Field(
        default=(),
        description="Tools it calls before each answer, each as `{name: arguments}`; what they "
        "give stands below the answer, one a line.",
    )
    votes: tuple[str, ...] = Field(
        default=("agent1",),
        min_length=1,
        description="Labels it votes for, one a ballot (the last one again and again); "
        "`improve` gives its next answer instead, `end` ends a conversation that it chairs.",
    )
    rankings: tuple[tuple[str, ...], ...] = Field(
        default=(),
        description="Labels in its order, the best first, one list a ranking (the last one again "
        "and again); what a ballot shows and a list does not name comes last, as shown. Default: "
        "what it votes for comes first.",
    )
    reason: str = Field(default="It is the best one.", description="The reason of each vote.")
    delay_s: float = Field(default=0.0, ge=0, description="Seconds before its first word.")
    tokens_per_second: float | None = Field(
        default=None, gt=0, description="Pace of its words; all at once where not given."
    )
    fails: ErrorKind | None = Field(
        default=None, description="Kind of the error that each of its turns fails with."
    )


@hookimpl
def bridge_adapters() -> Iterable[AdapterSpec]:
    """The kind `scripted`."""
    return (
        AdapterSpec(
            kind="scripted",
            summary="Says what the configuration tells it to: tests and demos without a model.",
            factory=_make,
            options=ScriptedOptions,
            capabilities=_ABLE,
        ),
    )


def _make(context: AgentContext) -> Agent:
    agent = ScriptedAgent(context.options)
    for one in context.finished:
        agent.recall(one.turn)
    return agent


class ScriptedAgent:
    """Follows its script; keeps count of what it has said."""

    def __init__(self, options: ScriptedOptions) -> None:
        self._options = options
        self._answered = 0
        self._voted = 0
        self._ranked = 0

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        """Say the next thing of the script."""
        from anyio import sleep  # noqa: PLC0415 - a kind is cheap to import

        from massgen_bridge.events import ModelCallStarted  # noqa: PLC0415 - as above

        _ABLE.check(turn)
        await emit(ModelCallStarted(model=_MODEL))
        if self._options.delay_s:
            await sleep(self._options.delay_s)
        if self._options.fails is not None:
            raise error_of_kind(self._options.fails)("the script says that this turn fails")
        if not _is_ballot(turn):
            return await self._answer(turn, emit)
        shown = _to_rank(turn)
        if shown:
            return await self._rank(self._next_ranking(shown), turn, emit)
        return await self._vote(self._next_vote(), turn, emit)

    def recall(self, turn: Turn) -> None:
        """Count a turn that was finished before the run was resumed."""
        shown = _to_rank(turn)
        if shown:
            self._next_ranking(shown)
        elif not _is_ballot(turn) or (
            self._next_vote() == "improve" and turn.output_schema is None
        ):
            self._next_answer()

    async def aclose(self) -> None:
        """Nothing to give back."""

    def _next_vote(self) -> str:
        choice = self._options.votes[min(self._voted, len(self._options.votes) - 1)]
        self._voted += 1
        return choice

    def _next_ranking(self, shown: list[str]) -> list[str]:
        rankings = self._options.rankings or ((self._next_vote(),),)
        liked = rankings[min(self._ranked, len(rankings) - 1)]
        self._ranked += 1
        first = [label for label in liked if label in shown]
        return [*first, *(label for label in shown if label not in first)]

    def _next_answer(self) -> str:
        answer = self._options.answers[min(self._answered, len(self._options.answers) - 1)]
        self._answered += 1
        return answer

    async def _answer(self, turn: Turn, emit: Emit) -> TurnResult:
        called: list[Message] = []
        lines = [self._next_answer()]
        script = [call for calls in self._options.calls for call in calls.items()]
        for number, (name, arguments) in enumerate(script, 1):
            call_id = f"{turn.turn_id}-call-{number}"
            call = ToolCall(call_id=call_id, name=name, arguments=arguments)
            result = await _call(call, turn, emit)
            called += [
                Message(role="assistant", parts=(call,)),
                Message(role="tool", parts=(result,)),
            ]
            lines.append(result.content)
        said = await self._say("\n".join(lines), turn, emit)
        structured = (
            None
            if turn.output_schema is None
            else structured_value(said.text, what="the script's answer")
        )
        return said.model_copy(
            update={"new_messages": (*called, *said.new_messages), "structured": structured}
        )

    async def _vote(self, choice: str, turn: Turn, emit: Emit) -> TurnResult:
        ballot = {"vote": choice, "reason": self._options.reason}
        if turn.output_schema is not None:
            result = await self._say(json.dumps(ballot), turn, emit)
            return result.model_copy(update={"structured": ballot})
        if choice == "improve":
            better = self._next_answer()
            mark = _mark(turn)
            return await self._say(
                f"```answer-{mark}\n{better}\n```" if mark else better, turn, emit
            )
        if turn.tools:
            return await self._call_vote({"label": choice}, turn, emit)
        text = f"```ballot-{_mark(turn)}\nvote: {choice}\nreason: {self._options.reason}\n```"
        return await self._say(text, turn, emit)

    async def _rank(self, ranking: list[str], turn: Turn, emit: Emit) -> TurnResult:
        labels: list[JsonValue] = [*ranking]
        ballot: dict[str, JsonValue] = {"ranking": labels, "reason": self._options.reason}
        if turn.output_schema is not None:
            result = await self._say(json.dumps(ballot), turn, emit)
            return result.model_copy(update={"structured": ballot})
        if turn.tools:
            return await self._call_vote({"ranking": labels}, turn, emit)
        lines = f"ranking: {', '.join(ranking)}\nreason: {self._options.reason}"
        return await self._say(f"```ballot-{_mark(turn)}\n{lines}\n```", turn, emit)

    async def _call_vote(self, choice: dict[str, JsonValue], turn: Turn, emit: Emit) -> TurnResult:
        call = ToolCall(
            call_id=f"{turn.turn_id}-call",
            name=turn.tools[0].name,
            arguments={**choice, "reason": self._options.reason},
        )
        result = await _call(call, turn, emit)
        message = Message(role="assistant", parts=(call,))
        usage = await self._count(turn, "", emit)
        return TurnResult(
            message=message,
            new_messages=(message, Message(role="tool", parts=(result,))),
            stop_reason="tool",
            usage=usage,
        )

    async def _say(self, text: str, turn: Turn, emit: Emit) -> TurnResult:
        from anyio import sleep  # noqa: PLC0415 - a kind is cheap to import

        from massgen_bridge.events import TextDelta  # noqa: PLC0415 - as above

        pace = self._options.tokens_per_second
        for piece in _PIECES.findall(text) if pace else [text]:
            if pace:
                await sleep(1 / pace)
            await emit(TextDelta(text=piece))
        usage = await self._count(turn, text, emit)
        message = assistant(text)
        return TurnResult(message=message, new_messages=(message,), usage=usage)

    @staticmethod
    async def _count(turn: Turn, text: str, emit: Emit) -> Usage:
        """Words stand for tokens."""
        from massgen_bridge.events import ModelCallFinished  # noqa: PLC0415 - a kind is cheap to import

        prompt = sum(
            len(part.text.split())
            for message in turn.messages
            for part in message.parts
            if isinstance(part, TextPart)
        )
        usage = Usage(input_tokens=prompt, output_tokens=len(text.split()), calls=1)
        await emit(ModelCallFinished(model=_MODEL, usage=usage, cost_usd=0.0))
        return usage


async def _call(call: ToolCall, turn: Turn, emit: Emit) -> ToolResult:
    from massgen_bridge.events import ToolCallFinished, ToolCallStarted  # noqa: PLC0415 - a kind is cheap to import

    await emit(ToolCallStarted(call=call))
    result = await turn.call_tool(call)
    await emit(ToolCallFinished(result=result))
    return result


def _is_ballot(turn: Turn) -> bool:
    """Whether it is to choose; a chair does so before anything is shown to it."""
    if turn.output_schema is not None:
        return bool(turn.shown) or turn.output_schema.get("title") == "Ballot"
    return bool(turn.tools and turn.tools[0].ends_turn) or _mark(turn) is not None


def _to_rank(turn: Turn) -> list[str]:
    """The labels to be put in order; none where no ranking is asked for."""
    if not _is_ballot(turn):
        return []
    schema: Any = turn.output_schema or (turn.tools[0].input_schema if turn.tools else {})
    is_asked = "ranking" in schema.get("properties", {})
    mark = _mark(turn)
    if mark is not None:
        is_asked = f"```ballot-{mark}\nranking: " in turn.question
    return [answer.label for answer in turn.shown] if is_asked else []


def _mark(turn: Turn) -> str | None:
    forms = _FORM.findall(turn.question)
    found = _OWN_MARK.search(turn.question)
    if found is None:
        return forms[-1] if forms else None
    return found.group(1) if found.group(1) in forms else None
