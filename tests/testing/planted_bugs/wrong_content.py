"""Agents that change, lose or invent what goes to the model."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import TYPE_CHECKING, Any

from PIL import Image
from testing.planted_bugs.faithful import Faithful

from massgen_bridge import ImagePart, Message, TextPart, ToolResult, system
from massgen_bridge.connection import Sampling

if TYPE_CHECKING:
    from massgen_bridge import Connection, Part, ToolCall, Turn

__all__ = ["WRONG"]

_LARGE_BYTES = 4000


class _ChangesParts(Faithful):
    """Changes each part of each message."""

    def part(self, part: Part) -> Part | None:
        """What goes out instead; None: nothing."""
        raise NotImplementedError

    def asked(self, turn: Turn) -> Turn:
        messages = tuple(
            message.model_copy(update={"parts": tuple(filter(None, map(self.part, message.parts)))})
            for message in turn.messages
        )
        return turn.model_copy(update={"messages": messages})


class DropsPictures(_ChangesParts):
    """Sends the text alone. CrewAI drops the pictures in the messages that its agents get."""

    caught_by = (
        "test_media_pass_or_are_refused[image]",
        "test_a_picture_by_address_passes_or_is_refused",
        "test_media_that_the_model_does_not_take_are_refused",
        "test_each_part_of_a_history_arrives",
        "test_no_part_of_a_history_is_lost",
        "test_pictures_of_every_kind_arrive_as_they_are_meant",
    )

    def part(self, part: Part) -> Part | None:
        return None if isinstance(part, ImagePart) else part


class SendsPicturesAsText(_ChangesParts):
    """Sends a picture's base64 as text, which burns tokens and shows nothing. The ReAct agent of
    NVIDIA's NeMo Agent Toolkit did.
    """

    caught_by = ("test_media_pass_or_are_refused[image]",)

    def part(self, part: Part) -> Part | None:
        if not isinstance(part, ImagePart):
            return part
        return TextPart(text=base64.b64encode(part.data or b"").decode())


class ShrinksPictures(_ChangesParts):
    """Sends thumbnails of large pictures, on which nobody can read what is written."""

    caught_by = ("test_pictures_of_every_kind_arrive_as_they_are_meant",)

    def part(self, part: Part) -> Part | None:
        if not isinstance(part, ImagePart) or part.data is None or len(part.data) < _LARGE_BYTES:
            return part
        with Image.open(BytesIO(part.data)) as picture:
            small = picture.convert("RGB")
        small.thumbnail((256, 256))
        written = BytesIO()
        small.save(written, "PNG")
        return part.model_copy(update={"data": written.getvalue(), "media_type": "image/png"})


class ForgetsWhatToolsShowed(_ChangesParts):
    """Sends the text of a tool's earlier result, without its media."""

    caught_by = ("test_no_part_of_a_history_is_lost",)

    def part(self, part: Part) -> Part | None:
        return part.model_copy(update={"media": ()}) if isinstance(part, ToolResult) else part


class HidesWhatToolsShow(Faithful):
    """Gives the model the text of a tool's result, without its media."""

    caught_by = ("test_media_of_tools_reach_the_model[image]",)

    async def call_tool(self, turn: Turn, call: ToolCall) -> ToolResult:
        result = await super().call_tool(turn, call)
        return result.model_copy(update={"media": ()})


class TidiesTheQuestion(_ChangesParts):
    """Strips and joins the lines of what the user wrote."""

    caught_by = ("test_the_question_reaches_the_model_unchanged",)

    def part(self, part: Part) -> Part | None:
        return TextPart(text=" ".join(part.text.split())) if isinstance(part, TextPart) else part


class WrapsTheQuestion(_ChangesParts):
    """Puts a frame of its own around the question. CrewAI adds a preamble of role and goal, and a
    frame for the current task.
    """

    caught_by = ("test_the_question_reaches_the_model_unchanged",)

    def part(self, part: Part) -> Part | None:
        return TextPart(text=f"Current Task: {part.text}") if isinstance(part, TextPart) else part


class FlattensTheHistory(Faithful):
    """Makes one user message of a conversation."""

    caught_by = ("test_the_history_reaches_the_model_in_order",)

    def asked(self, turn: Turn) -> Turn:
        text = "\n".join(message.text for message in turn.messages)
        flat = (Message(role="user", parts=(TextPart(text=text),)),)
        return turn.model_copy(update={"messages": flat})


class ForgetsTheBeginning(Faithful):
    """Keeps the last twenty messages and tells nobody."""

    caught_by = ("test_a_long_history_reaches_the_model_whole",)

    def asked(self, turn: Turn) -> Turn:
        return turn.model_copy(update={"messages": turn.messages[-20:]})


class RemembersEarlierTurns(Faithful):
    """Puts the turns that it did before in front of the next one. MassGen's adapter for AG2 only
    ever added tools, and its group chat changed its caller's messages.
    """

    caught_by = ("test_a_turn_adds_nothing_to_the_next",)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.memory: list[str] = []

    def asked(self, turn: Turn) -> Turn:
        self.memory.append(turn.question)
        before = system(f"Asked so far: {self.memory}")
        return turn.model_copy(update={"messages": (before, *turn.messages)})


class ForgetsToolCalls(Faithful):
    """Takes tool calls and their results out of the history."""

    caught_by = (
        "test_earlier_tool_calls_reach_the_model",
        "test_what_a_turn_adds_can_be_handed_back",
    )

    def asked(self, turn: Turn) -> Turn:
        spoken = tuple(m for m in turn.messages if m.role != "tool" and not m.tool_calls)
        return turn.model_copy(update={"messages": spoken})


class SamplesAsItLikes(Faithful):
    """Leaves out what the connection says of sampling."""

    caught_by = (
        "test_sampling_reaches_the_model_or_is_refused[temperature]",
        "test_sampling_reaches_the_model_or_is_refused[seed]",
        "test_extra_settings_reach_the_request_unchanged",
    )

    def connection(self, connection: Connection) -> Connection:
        return connection.model_copy(update={"sampling": Sampling()})


class ForgetsTheOutputLimit(Faithful):
    """Lets the model write as long as it likes."""

    caught_by = ("test_the_output_limit_of_a_turn_holds",)

    def connection(self, connection: Connection) -> Connection:
        return connection.model_copy(update={"sampling": Sampling()})

    def asked(self, turn: Turn) -> Turn:
        unlimited = turn.limits.model_copy(update={"max_output_tokens": None})
        return turn.model_copy(update={"limits": unlimited})


class UsesAnotherModel(Faithful):
    """Takes a default of its own. An unknown model name in CrewAI goes to OpenAI."""

    caught_by = ("test_the_connection_is_used_as_it_is",)

    def connection(self, connection: Connection) -> Connection:
        return connection.model_copy(update={"model": "the-default"})


WRONG: tuple[type[Faithful], ...] = (
    DropsPictures,
    SendsPicturesAsText,
    ShrinksPictures,
    ForgetsWhatToolsShowed,
    HidesWhatToolsShow,
    TidiesTheQuestion,
    WrapsTheQuestion,
    FlattensTheHistory,
    ForgetsTheBeginning,
    RemembersEarlierTurns,
    ForgetsToolCalls,
    SamplesAsItLikes,
    ForgetsTheOutputLimit,
    UsesAnotherModel,
)
