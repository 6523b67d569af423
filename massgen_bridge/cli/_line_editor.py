"""A line that is being typed: what keys make of it, whatever draws it."""

from __future__ import annotations

import codecs
import re
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Line", "LineEditor"]

# What keys such as arrows send, and the marks around what is pasted.
_SEQUENCE = re.compile(r"\x1b(?:\[([0-?]*)[ -/]*([@-~])|O.|[^\[O])", re.DOTALL)
_BEGUN = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|O)?\Z")
_WORD = re.compile(r"\S*\s*\Z")
_TAB = "    "


class Line(NamedTuple):
    """A line that was ended: by Enter, within something pasted, or by Ctrl-D as the last one."""

    text: str
    pasted: bool = False
    last: bool = False


class LineEditor:
    """Takes bytes from a keyboard; `text` is the line as it stands.

    There is no moving about in it: Backspace takes back a character, Ctrl-W a word, Ctrl-U all.
    """

    def __init__(self) -> None:
        self.text = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._pasting = False
        self._returned = False

    def feed(self, data: bytes) -> Iterator[Line]:
        """Take in what was typed; the lines that it ends."""
        text = self._rest + self._decoder.decode(data)
        self._rest = ""
        place = 0
        while place < len(text):
            if text[place] != "\x1b":
                line = self._key(text[place])
                place += 1
            elif found := _SEQUENCE.match(text, place):
                line, place = None, found.end()
                if found[2] == "~" and found[1] in {"200", "201"}:
                    self._pasting = found[1] == "200"
            elif _BEGUN.match(text, place):
                self._rest = text[place:]
                return
            else:
                line, place = None, place + 1
            if line is not None:
                yield line

    def _key(self, key: str) -> Line | None:
        returned, self._returned = self._returned, key == "\r"
        match key:
            case "\n" if returned:
                return None  # a line end of two characters
            case "\r" | "\n":
                return self._ended(pasted=self._pasting)
            case "\x04":
                return self._ended(last=True)
            case "\x7f" | "\b":
                self.text = _without_last(self.text)
            case "\x15":
                self.text = ""
            case "\x17":
                self.text = _WORD.sub("", self.text.rstrip())
            case "\t":
                self.text += _TAB
            case _ if unicodedata.category(key) not in {"Cc", "Cs"}:
                self.text += key
        return None

    def _ended(self, *, pasted: bool = False, last: bool = False) -> Line:
        text, self.text = self.text, ""
        return Line(text, pasted=pasted, last=last)


def _without_last(text: str) -> str:
    """Without the last character and the marks that belong to it."""
    while text and unicodedata.combining(text[-1]):
        text = text[:-1]
    return text[:-1]
