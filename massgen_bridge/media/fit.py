"""Media of a turn made fit for the agent that gets it, before it gets it.

What belongs to the question is brought within what the agent takes, or refused. What others made,
or a tool gave, is brought within it, or named in words: it must not cost anybody a turn.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from massgen_bridge.connection import ImageLimits
from massgen_bridge.errors import MediaError, UnsupportedContent
from massgen_bridge.media import words
from massgen_bridge.media.fetch import Fetcher
from massgen_bridge.media.ocr import Reader
from massgen_bridge.media.prepare import Preparer
from massgen_bridge.messages import ImagePart, MediaPart, TextPart, ToolResult

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_bridge.agent import InputKind, Turn
    from massgen_bridge.media.sight import Sight
    from massgen_bridge.messages import Message, Part

__all__ = ["Describe", "Fitter", "Say", "Used"]

Say = Callable[[str], Awaitable[None]]
"""Takes a note of something that was done to media."""

Describe = Callable[[ImagePart], Awaitable[tuple[str, str]]]
"""Gives what is on a picture, and who says so; raises MediaError."""

_READABLE: Final = ImageLimits(formats=frozenset({"image/png", "image/jpeg"}), max_side=4096)


@dataclass
class Used:
    """What the pictures of a turn use of the limits of one request; bytes are in base64."""

    count: int = 0
    size: int = 0

    def add(self, part: Part) -> None:
        """Count a picture in; nothing for other parts."""
        if isinstance(part, ImagePart):
            self.count += 1
            self.size += _encoded_size(part)


@dataclass
class _Place:
    """A part of a turn that may be replaced."""

    message: int
    position: int
    part: MediaPart
    is_asked: bool
    made: MediaPart | TextPart = field(init=False)

    def __post_init__(self) -> None:
        self.made = self.part

    @property
    def is_picture(self) -> bool:
        return isinstance(self.made, ImagePart)


@dataclass(frozen=True, kw_only=True)
class _Tools:
    """What does the work, one for all agents of a run: each has a cache of its own."""

    prepare: Preparer
    fetch: Fetcher
    read: Reader


class Fitter:
    """Fits the media of one run.

    Args:
        preparer: Prepares pictures.
        fetcher: Fetches what has an address.
    """

    def __init__(self, *, preparer: Preparer | None = None, fetcher: Fetcher | None = None) -> None:
        self._tools = _Tools(
            prepare=preparer or Preparer(), fetch=fetcher or Fetcher(), read=Reader()
        )

    async def turn(
        self, turn: Turn, sight: Sight, *, say: Say, describe: Describe | None = None
    ) -> tuple[Turn, Used]:
        """Fit the media of a turn's messages.

        Args:
            turn: The turn; what its `task` holds was asked by the user.
            sight: What the agent takes.
            say: Is told what was done.
            describe: Describes a picture, where `sight.blind` says so.

        Returns:
            The turn as the agent gets it, and what its pictures use.

        Raises:
            UnsupportedContent: The agent cannot take what belongs to the question.
        """
        places = list(_places(turn))
        hand = _Hand(self._tools, sight, say, describe)
        for place in places:
            await hand.fit(place)
        await hand.keep_count(places)
        await hand.keep_size(places)
        messages = await hand.results(_rebuilt(turn.messages, places))
        fitted = (
            turn if messages == turn.messages else turn.model_copy(update={"messages": messages})
        )
        return fitted, hand.used

    async def result(
        self,
        result: ToolResult,
        sight: Sight,
        used: Used,
        *,
        say: Say,
        describe: Describe | None = None,
    ) -> ToolResult:
        """Fit the media in the result of a tool; nothing in it is refused.

        Args:
            result: What the tool gave.
            sight: What the agent takes.
            used: What the turn's pictures use so far; those that stay are added.
            say: Is told what was done.
            describe: Describes a picture, where `sight.blind` says so.
        """
        hand = _Hand(self._tools, sight, say, describe)
        hand.used = used
        return await hand.result(result)


class _Hand:
    """Fits media for one agent."""

    def __init__(self, tools: _Tools, sight: Sight, say: Say, describe: Describe | None) -> None:
        self._tools = tools
        self._sight = sight
        self._limits = sight.images or ImageLimits()
        self._say = say
        self._describe = describe
        self.used = Used()

    async def fit(self, place: _Place) -> None:
        """Fit one part of a message by itself."""
        part = place.part
        # What others wrote stays out of the message itself: it is to be judged, not followed.
        if place.is_asked and part.type not in self._sight.inputs and words.is_text(part):
            place.made = TextPart(text=words.written_out(part))
            await self._say(f"{words.told(part)}: given as text")
            return
        try:
            place.made = await self._fitted(place.part, self._sight.inputs)
        except MediaError as error:
            await self._leave_out(place, error.message)

    async def keep_count(self, places: list[_Place]) -> None:
        """Leave out the oldest pictures of others beyond the limit."""
        most = self._limits.max_count
        seen = [place for place in places if place.is_picture]
        if most is None or len(seen) <= most:
            return
        asked = sum(place.is_asked for place in seen)
        if asked > most:
            raise UnsupportedContent(
                f"the question has {asked} pictures, and {self._sight.where} takes at most {most} "
                "in one request: leave some out"
            )
        too_many = [place for place in seen if not place.is_asked][: len(seen) - most]
        for place in too_many:
            await self._leave_out(place, self._too_many())

    async def keep_size(self, places: list[_Place]) -> None:
        """See that all pictures together are small enough for one request."""
        most = self._limits.max_request_bytes
        seen = [place for place in places if place.is_picture]
        size = sum(_encoded_size(place.made) for place in seen)
        if most is not None and size > most:
            for place in [place for place in seen if not place.is_asked]:
                size -= _encoded_size(place.made)
                await self._leave_out(place, self._too_large())
                if size <= most:
                    break
            else:
                await self._shrink([place for place in seen if place.is_asked], most)
        for place in places:
            self.used.add(place.made)

    async def results(self, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        """Fit what tools gave in earlier turns."""
        fitted = []
        for message in messages:
            parts = [
                await self.result(part) if isinstance(part, ToolResult) else part
                for part in message.parts
            ]
            changed = tuple(parts) != message.parts
            fitted.append(
                message.model_copy(update={"parts": tuple(parts)}) if changed else message
            )
        return tuple(fitted)

    async def result(self, result: ToolResult) -> ToolResult:
        """Fit the media in the result of a tool."""
        kept: list[MediaPart] = []
        texts = [result.content]
        for part in result.media:
            try:
                self._check_count(part)
                made = await self._fitted(part, self._sight.tool_media)
                self._check_size(made)
            except MediaError as error:
                source = f"from the tool {result.name!r}"
                made = TextPart(text=words.placeholder(part, error.message, source=source))
                await self._say(made.text.strip("[]"))
            if isinstance(made, TextPart):
                texts.append(made.text)
            else:
                self.used.add(made)
                kept.append(made)
        if not result.media:
            return result
        content = "\n".join(text for text in texts if text)
        return result.model_copy(update={"content": content, "media": tuple(kept)})

    def _check_count(self, part: MediaPart) -> None:
        most = self._limits.max_count
        if most is not None and isinstance(part, ImagePart) and self.used.count >= most:
            raise MediaError(self._too_many())

    def _check_size(self, part: MediaPart | TextPart) -> None:
        most = self._limits.max_request_bytes
        if most is not None and self.used.size + _encoded_size(part) > most:
            raise MediaError(self._too_large())

    def _too_many(self) -> str:
        return f"{self._sight.where} takes at most {self._limits.max_count} pictures"

    def _too_large(self) -> str:
        most = self._limits.max_request_bytes
        return f"all pictures of a request may have {most:,} bytes together"

    async def _fitted(self, part: MediaPart, inputs: frozenset[InputKind]) -> MediaPart | TextPart:
        sight = self._sight
        if part.type not in inputs:
            if isinstance(part, ImagePart) and sight.blind != "refuse":
                return await self._in_words(part)
            raise MediaError(_not_taken(part, inputs))
        if part.url is not None and sight.fetch_urls:
            part = await self._tools.fetch(part)
        if not isinstance(part, ImagePart) or sight.images is None:
            return part
        if part.url is not None:
            if sight.images.urls:
                return part
            raise MediaError(
                f"{sight.where} fetches no pictures from addresses: add 'fetch_urls: true' to its "
                "connection, or download the picture and give its path"
            )
        done = await self._tools.prepare(part, sight.images, animated=sight.animated)
        for note in done.notes:
            await self._say(note)
        return done.part

    async def _in_words(self, part: ImagePart) -> TextPart:
        if self._sight.blind == "describe" and self._describe is not None:
            text, by = await self._describe(part)
            made = TextPart(text=words.described(part, text, by=by))
        else:
            seen = part
            if part.url is not None:
                if not self._sight.fetch_urls:
                    raise MediaError(
                        "its text cannot be read: add 'fetch_urls: true' to the connection, or "
                        "download the picture and give its path"
                    )
                seen = await self._fitted_picture(part)
            done = await self._tools.prepare(seen, _READABLE)
            text = await self._tools.read(done.part)
            made = TextPart(text=words.read_aloud(part, text))
        await self._say(made.text)
        return made

    async def _fitted_picture(self, part: ImagePart) -> ImagePart:
        fetched = await self._tools.fetch(part)
        if not isinstance(fetched, ImagePart):
            raise MediaError(f"what is at {part.url!r} is no picture")
        return fetched

    async def _leave_out(self, place: _Place, why: str) -> None:
        if place.is_asked:
            raise UnsupportedContent(why)
        place.made = TextPart(text=words.placeholder(place.part, why))
        await self._say(place.made.text.strip("[]"))

    async def _shrink(self, places: list[_Place], most: int) -> None:
        """Bring the question's own pictures within the limit of a request, in equal shares."""
        share = most // len(places) * 3 // 4 - 2
        limits = self._limits
        size = min(share, limits.max_bytes or share)
        for place in places:
            part = place.made
            if size < 1 or not isinstance(part, ImagePart) or part.data is None:
                continue
            try:
                done = await self._tools.prepare(
                    part, limits.model_copy(update={"max_bytes": size})
                )
            except MediaError as error:
                raise UnsupportedContent(error.message) from None
            for note in done.notes:
                await self._say(note)
            place.made = done.part
        together = sum(_encoded_size(place.made) for place in places)
        if together > most:
            raise UnsupportedContent(
                f"the question's {len(places)} pictures have {together:,} bytes in base64, and "
                f"{self._sight.where} takes at most {most:,} in one request: leave some out"
            )


def _not_taken(part: MediaPart, inputs: frozenset[InputKind]) -> str:
    carried = ", ".join(sorted(inputs)) or "text alone"
    advice = ""
    if isinstance(part, ImagePart):
        advice = (
            "; 'images: ocr' on its connection gives it the text on pictures, and 'images: "
            "describe' what another model sees on them"
        )
    return f"this agent cannot carry {part.type!r} (it carries: {carried}){advice}"


def _places(turn: Turn) -> list[_Place]:
    asked = [part for part in (turn.task.parts if turn.task else ()) if isinstance(part, MediaPart)]
    return [
        _Place(
            message=number,
            position=position,
            part=part,
            # A turn without a task has nothing but what it was given.
            is_asked=turn.task is None or any(part == one for one in asked),
        )
        for number, message in enumerate(turn.messages)
        for position, part in enumerate(message.parts)
        if isinstance(part, MediaPart)
    ]


def _rebuilt(messages: tuple[Message, ...], places: list[_Place]) -> tuple[Message, ...]:
    made: dict[int, dict[int, Part]] = {}
    for place in places:
        if place.made is not place.part:
            made.setdefault(place.message, {})[place.position] = place.made
    return tuple(
        message.model_copy(update={"parts": _with(message.parts, made[number])})
        if number in made
        else message
        for number, message in enumerate(messages)
    )


def _with(parts: tuple[Part, ...], made: Mapping[int, Part]) -> tuple[Part, ...]:
    """The parts with those made of some; words in the place of one are a paragraph of their own."""
    done: list[Part] = []
    for position, part in enumerate(parts):
        new = made.get(position, part)
        before = done[-1] if done else None
        if (
            isinstance(new, TextPart)
            and isinstance(before, TextPart)
            and {position, position - 1} & made.keys()
            and not before.text.endswith("\n")
        ):
            new = TextPart(text=f"\n\n{new.text}")
        done.append(new)
    return tuple(done)


def _encoded_size(part: Part) -> int:
    """Bytes of a picture in base64; none of one that is told by its address."""
    data = part.data if isinstance(part, ImagePart) else None
    return 0 if data is None else (len(data) + 2) // 3 * 4
