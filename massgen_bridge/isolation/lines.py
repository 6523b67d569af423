"""Lines out of what a program prints."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Lines"]

_LONGEST: Final = 4000


class Lines:
    """Puts pieces of bytes together to lines; a very long one is told in parts."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._open = ""

    def feed(self, data: bytes) -> Iterator[str]:
        """The lines that are whole by now."""
        *whole, self._open = (self._open + self._decoder.decode(data)).split("\n")
        for line in whole:
            yield from _parts(line.removesuffix("\r"))
        while len(self._open) >= _LONGEST:
            yield self._open[:_LONGEST]
            self._open = self._open[_LONGEST:]

    def rest(self) -> Iterator[str]:
        """What is left in the end."""
        left, self._open = self._open + self._decoder.decode(b"", final=True), ""
        if left:
            yield from _parts(left)


def _parts(line: str) -> Iterator[str]:
    yield line[:_LONGEST]
    for start in range(_LONGEST, len(line), _LONGEST):
        yield line[start : start + _LONGEST]
