"""Agents that get the model's words wrong, or what they cost."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from testing.planted_bugs.faithful import Faithful, Speech

from massgen_bridge import ProtocolFailed, ReasoningDelta, TextDelta, TurnResult, Usage, assistant

if TYPE_CHECKING:
    from massgen_bridge import Emit, Message, Turn, TurnEvent

__all__ = ["WRONG"]

_EXACT = "test_the_answer_is_exactly_what_the_model_said"


def _said(result: TurnResult, message: Message) -> TurnResult:
    """The result with another final message."""
    history = (*result.new_messages[:-1], message)
    return result.model_copy(update={"message": message, "new_messages": history})


class FakesItsStream(Faithful):
    """Splits the whole answer at white space and tells it word by word: newlines and indentation
    are gone. MassGen's adapter for AG2 did so, with a pause of 10 ms a word.
    """

    caught_by = (f"{_EXACT}[code]", "test_text_is_told_of_while_the_model_speaks")

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        async def keep_quiet(event: TurnEvent, /) -> None:
            if not isinstance(event, TextDelta):
                await emit(event)

        result = await super().run(turn, keep_quiet)
        for word in result.text.split():
            await emit(TextDelta(text=f"{word} "))
        return result


class JoinsTheLines(Faithful):
    """Makes one line of an answer: a function of two lines became one in MassGen's final
    presentation, which was built from such words.
    """

    caught_by = (f"{_EXACT}[code]", f"{_EXACT}[edges]")

    def answered(self, result: TurnResult) -> TurnResult:
        return _said(result, assistant(" ".join(result.text.split())))


class TrimsItsDeltas(Faithful):
    """Strips each piece of a stream, so that what was shown is not what counts."""

    caught_by = (f"{_EXACT}[code]",)

    async def tell(self, event: TurnEvent, emit: Emit) -> None:
        await emit(TextDelta(text=event.text.strip()) if isinstance(event, TextDelta) else event)


class SavesUpItsWords(Faithful):
    """Tells of everything when all is over. any-agent has no streaming; its users wait."""

    caught_by = ("test_text_is_told_of_while_the_model_speaks",)

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        saved: list[TurnEvent] = []

        async def save(event: TurnEvent, /) -> None:
            saved.append(event)

        result = await super().run(turn, save)
        for event in saved:
            await emit(event)
        return result


class CutsLongAnswers(Faithful):
    """Keeps the first hundred thousand characters, as a fixed buffer does."""

    caught_by = (f"{_EXACT}[megabyte]",)

    def answered(self, result: TurnResult) -> TurnResult:
        return _said(result, assistant(result.text[:100_000])) if result.text else result


class SpeaksAsciiOnly(Faithful):
    """Reads bytes one by one, and makes a question mark of every character of several."""

    caught_by = ("test_characters_cut_apart_on_the_way_are_joined", f"{_EXACT}[unicode]")

    def answered(self, result: TurnResult) -> TurnResult:
        return _said(result, assistant(result.text.encode("ascii", "replace").decode()))


class LeavesJsonAsText(Faithful):
    """Asks for an output schema, and decodes nothing."""

    caught_by = ("test_structured_output_is_decoded",)

    def answered(self, result: TurnResult) -> TurnResult:
        return result.model_copy(update={"structured": None})


class SaysItsThoughts(Faithful):
    """Tells of the model's reasoning as if it were the answer."""

    caught_by = ("test_reasoning_is_told_apart_from_the_answer",)

    async def tell(self, event: TurnEvent, emit: Emit) -> None:
        if isinstance(event, ReasoningDelta):
            event = TextDelta(text=event.text)
        await emit(event)


class HidesWhyItStopped(Faithful):
    """Says of every answer that it is complete. CrewAI does not show the reason to stop."""

    caught_by = (
        "test_why_the_model_stopped_is_told[length]",
        "test_why_the_model_stopped_is_told[refusal]",
    )

    def answered(self, result: TurnResult) -> TurnResult:
        return result.model_copy(update={"stop_reason": "end"})


class TakesProseForADecision(Faithful):
    """Reads the choice out of the words where the model wrote no JSON."""

    caught_by = ("test_structured_output_that_is_no_json_is_a_failure[prose]",)

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        speech = Speech()

        async def listen(event: TurnEvent, /) -> None:
            speech.hear(event)
            await emit(event)

        try:
            return await super().run(turn, listen)
        except ProtocolFailed:
            text = "".join(speech.said)
            if (found := re.search(r"agent\d", text)) is None:
                raise
            message = assistant(text)
            value = {"choice": found[0], "score": 1}
            return TurnResult(message=message, new_messages=(message,), structured=value)


class DoublesTextAfterARetry(Faithful):
    """Puts the answer together from all deltas, those of a failed attempt included."""

    caught_by = (
        "test_text_of_a_failed_attempt_does_not_count[ends]",
        "test_text_of_a_failed_attempt_does_not_count[error-event]",
    )

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        speech = Speech()

        async def listen(event: TurnEvent, /) -> None:
            speech.hear(event)
            await emit(event)

        result = await super().run(turn, listen)
        if speech.attempts < 2:
            return result
        return _said(result, assistant("".join(speech.said)))


class _CountsWrongly(Faithful):
    """Changes the figures."""

    def counted(self, usage: Usage | None) -> Usage | None:
        """What is reported instead."""
        raise NotImplementedError

    def answered(self, result: TurnResult) -> TurnResult:
        return result.model_copy(update={"usage": self.counted(result.usage)})


class CountsTwice(_CountsWrongly):
    """Adds the figures of the stream's last chunk to those of the whole answer."""

    caught_by = ("test_usage_has_one_meaning", "test_usage_of_several_calls_is_added_up")

    def counted(self, usage: Usage | None) -> Usage | None:
        return None if usage is None else usage + usage


class CountsTheLastCallAlone(_CountsWrongly):
    """Reports the usage of the last model call as that of the turn."""

    caught_by = ("test_usage_of_several_calls_is_added_up",)
    last: ClassVar[Usage | None] = None

    async def tell(self, event: TurnEvent, emit: Emit) -> None:
        if event.type == "model_call_finished":
            type(self).last = event.usage
        await emit(event)

    def counted(self, usage: Usage | None) -> Usage | None:
        return self.last or usage


class LeavesOutTheCache(_CountsWrongly):
    """Counts only what was not in the provider's cache. AG2 and Anthropic's SDK report 11 input
    tokens where LangChain reports 14.
    """

    caught_by = ("test_usage_has_one_meaning",)

    def counted(self, usage: Usage | None) -> Usage | None:
        if usage is None:
            return None
        billed = usage.input_tokens - usage.cached_tokens
        return usage.model_copy(update={"input_tokens": billed})


class TakesUnknownForNothing(_CountsWrongly):
    """Reports zero tokens where nobody counted."""

    caught_by = ("test_usage_that_nobody_counted_is_unknown",)

    def counted(self, usage: Usage | None) -> Usage | None:
        return usage or Usage(calls=1)


WRONG: tuple[type[Faithful], ...] = (
    FakesItsStream,
    JoinsTheLines,
    TrimsItsDeltas,
    SavesUpItsWords,
    CutsLongAnswers,
    SpeaksAsciiOnly,
    LeavesJsonAsText,
    SaysItsThoughts,
    HidesWhyItStopped,
    TakesProseForADecision,
    DoublesTextAfterARetry,
    CountsTwice,
    CountsTheLastCallAlone,
    LeavesOutTheCache,
    TakesUnknownForNothing,
)
