"""Pictures: what the model is shown has the pixels that were meant."""

# ruff: noqa: D205, S101 - tests assert, and their guarantees take several lines

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final

from anyio import to_thread

from massgen_bridge.connection import ImageLimits
from massgen_bridge.media.prepare import prepare_image
from massgen_bridge.messages import ImagePart, Message, TextPart
from massgen_bridge.testing.agents import collect, turn
from massgen_bridge.testing.conformance._checks import assert_refused
from massgen_bridge.testing.conformance._model import ModelConformanceBase
from massgen_bridge.testing.conformance._sent import asked
from massgen_bridge.testing.fixtures import StartModelServer
from massgen_bridge.testing.servers import Text

__all__ = ["PictureTests"]

_MAX_SIDE: Final = 1000
_EVERYWHERE: Final = frozenset({"image/jpeg", "image/png", "image/webp"})
_GIF: Final = frozenset({"image/gif"})


class PictureTests(ModelConformanceBase):
    """The pictures of a question arrive with the pixels that they are meant to have."""

    async def test_pictures_of_every_kind_arrive_as_they_are_meant(
        self, serve: StartModelServer
    ) -> None:
        """More than sixty pictures in one question - JPEG, PNG, GIF, WebP, and what the host makes
        of BMP, TIFF, AVIF and others; gray, of a palette, of 16 bits, transparent, turned by Exif,
        moving; of one pixel, long and thin, scaled down - arrive in order, byte for byte as the
        host has made them fit. Decoded, they show what is meant: to the pixel where nothing on the
        way may lose any. An agent that carries no pictures refuses them before any model call.
        """
        from massgen_bridge.testing.pictures import (  # noqa: PLC0415 - only this one needs Pillow
            PICTURES,
            unlike,
        )

        server = serve(Text("I see."))
        formats = _EVERYWHERE if self.protocol == "gemini" else _EVERYWHERE | _GIF
        given = await to_thread.run_sync(_fit_pictures, formats)
        shown = turn(Message(role="user", parts=(TextPart(text="What are they?"), *given)))
        async with self.agent_at(server) as agent:
            if self.lacks("image"):
                await assert_refused(agent, shown)
                assert server.calls == 0
                return
            await agent.run(shown, collect())
        message = asked(server).messages[-1]
        assert message.text == "What are they?"
        assert len(message.media) == len(given), "each picture arrives once"
        changed = [
            kind.name
            for kind, part, media in zip(PICTURES, given, message.media, strict=True)
            if media.data != part.data
        ]
        assert not changed, "the bytes of these pictures were changed on the way, or their order"
        wrong = {
            kind.name: unlike(media.data or b"", kind, max_side=_MAX_SIDE)
            for kind, media in zip(PICTURES, message.media, strict=True)
        }
        assert not {name: what for name, what in wrong.items() if what}


@cache
def _fit_pictures(formats: frozenset[str]) -> Sequence[ImagePart]:
    """The pictures as the host hands them over to a model that takes these formats."""
    from massgen_bridge.testing.pictures import PICTURES, make  # noqa: PLC0415 - likewise

    limits = ImageLimits(formats=formats, max_side=_MAX_SIDE)
    given = [ImagePart(media_type="image/png", data=make(one), name=one.name) for one in PICTURES]
    return tuple(prepare_image(part, limits).part for part in given)
