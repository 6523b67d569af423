"""Text from models made safe for a terminal, and text that grows while it is read.

Whatever an agent writes is hostile until shown otherwise: it may move the cursor, set the title
of the window, write to the clipboard, or reverse the direction of what stands beside it.
"""

from __future__ import annotations

import re

__all__ = ["TextLog", "clean", "clip", "one_line", "steady"]

_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*(?:[@-~]|\Z)"  # CSI: colours, cursor, screen
    # OSC, DCS, SOS, PM, APC, with all that they carry: titles, links, the clipboard
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x90-\x9f\n]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]"  # every other escape sequence, and the start of an unfinished one
)
_LINE_ENDS = re.compile(r"\r\n?|[\v\f\x1c-\x1e\x85\u2028\u2029]")
# Controls; marks that reverse the reading direction; the byte order mark.
_CONTROLS = dict.fromkeys(
    (
        *(code for code in range(0x20) if chr(code) not in "\n\t"),
        *range(0x7F, 0xA0),
        *range(0x200E, 0x2010),
        *range(0x202A, 0x202F),
        *range(0x2066, 0x206A),
        0x061C,
        0xFEFF,
    )
)
_SURROGATES = re.compile("[\ud800-\udfff]")
# Joiners, variation selectors, skin tones, tags: terminals disagree on what they do to the width.
_UNSTEADY = re.compile("[\u200b-\u200d\ufe00-\ufe0f\U0001f3fb-\U0001f3ff\U000e0000-\U000e01ef]")
_TAB = 4
_SMALL_PIECES = 512


def clean(text: str) -> str:
    """The same text without anything that a terminal would act on; lines end in a newline."""
    if not text.isascii() or not text.isprintable():
        text = _LINE_ENDS.sub("\n", _SEQUENCES.sub("", text))
        text = _SURROGATES.sub("\ufffd", text.translate(_CONTROLS)).expandtabs(_TAB)
    return text


def steady(text: str) -> str:
    """`clean`, and without the marks on whose width terminals disagree, so that columns hold."""
    return _UNSTEADY.sub("", clean(text))


def one_line(text: str) -> str:
    """`steady` in one line, each run of white space a single space."""
    return " ".join(steady(text).split())


def clip(text: str, limit: int) -> str:
    """At most `limit` characters, with an ellipsis where something was cut off."""
    return text if len(text) <= limit else f"{text[: max(limit - 1, 0)]}…"


class TextLog:
    """Text that grows piece by piece; a piece more costs the same however much is there."""

    def __init__(self) -> None:
        self.length = 0
        self._pieces: list[str] = []
        self._packed = 0
        self._marked = (0, 0)

    @property
    def text(self) -> str:
        """All of it."""
        self._pack()
        return "".join(self._pieces)

    def add(self, piece: str) -> None:
        """Append a piece."""
        self._pieces.append(piece)
        self.length += len(piece)
        if len(self._pieces) - self._packed >= _SMALL_PIECES:
            self._pack()

    def mark(self) -> None:
        """Remember this place."""
        self._pack()
        self._marked = (len(self._pieces), self.length)

    def rewind(self) -> None:
        """Drop everything since the last mark."""
        count, self.length = self._marked
        del self._pieces[count:]
        self._packed = count

    def tail(self, limit: int) -> str:
        """The end: at least `limit` characters, if there are as many, and fewer than twice that.

        Its beginning moves in steps of `limit`, so that wrapped lines do not change with each
        new piece.
        """
        wanted = self.length - max(0, (self.length // limit - 1) * limit)
        kept: list[str] = []
        for piece in reversed(self._pieces):
            if wanted <= 0:
                break
            kept.append(piece[-wanted:])
            wanted -= len(piece)
        return "".join(reversed(kept))

    def _pack(self) -> None:
        # Joined blocks instead of many small strings; never across the mark.
        if len(self._pieces) - self._packed > 1:
            self._pieces[self._packed :] = ["".join(self._pieces[self._packed :])]
        self._packed = len(self._pieces)
