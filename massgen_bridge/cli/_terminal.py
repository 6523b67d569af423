"""The terminal as a place where a person types, while the run goes on around it."""

from __future__ import annotations

import io
import os
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

import anyio

from massgen_bridge.cli._line_editor import LineEditor
from massgen_bridge.display.text import steady

try:
    import termios
except ImportError:  # Windows has none
    HAS_TERMIOS = False
else:
    HAS_TERMIOS = True

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from massgen_bridge.cli._line_editor import Line

__all__ = ["Above", "Terminal", "can_ask", "give_back"]

_TICK_S = 0.25
_PASTE_ON, _PASTE_OFF = "\x1b[?2004h", "\x1b[?2004l"
_LOCAL_MODES = 3
_STDERR = 2
_NARROW, _USUAL = 20, 80
_given: list[Callable[[], None]] = []


def can_ask() -> bool:
    """Whether a person sits at a terminal that can be typed at: the one that stderr is."""
    # The object may be a stand-in, and the descriptor may be something else.
    if not HAS_TERMIOS or sys.stderr is None or not (sys.stderr.isatty() and os.isatty(_STDERR)):
        return False
    try:
        os.close(_open(os.O_RDONLY))
    except OSError:
        return False
    return True


def give_back() -> None:
    """Make the terminal what it was before it was typed at; for an end without any other."""
    while _given:
        _given.pop()()


class Terminal:
    """Reads lines and draws the one that is being typed, in a single row at the bottom.

    Args:
        stream: Where it is drawn: stderr.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.RLock()
        self._editor = LineEditor()
        self._lines: list[Line] = []
        self._prompt: Callable[[], str] | None = None
        self._drawn = ""
        self._held: list[str] | None = None
        self._fd = -1
        self._restore: Callable[[], None] = _nothing
        self._simple = os.environ.get("TERM", "dumb") in {"dumb", "unknown"}

    @contextmanager
    def typing(self) -> Iterator[None]:
        """Take the keyboard; what was typed before belongs to nothing here and is dropped."""
        fd = self._fd = _open(os.O_RDONLY | os.O_NONBLOCK)
        restore = self._restore = _restoring(fd, termios.tcgetattr(fd))
        _given.append(restore)
        try:
            self._take(fd)
            yield
        finally:
            self._erase()
            self._write("" if self._simple else _PASTE_OFF)
            with suppress(termios.error):
                termios.tcflush(fd, termios.TCIFLUSH)
            restore()
            if restore in _given:
                _given.remove(restore)
            os.close(fd)

    def _take(self, fd: int) -> None:
        modes = termios.tcgetattr(fd)
        # Keys come one by one and are drawn here; Ctrl-C and Ctrl-Z stay signals.
        modes[_LOCAL_MODES] &= ~(termios.ICANON | termios.ECHO)
        termios.tcsetattr(fd, termios.TCSAFLUSH, modes)
        self._write("" if self._simple else _PASTE_ON)

    @contextmanager
    def lent(self) -> Iterator[int]:
        """Lend the terminal to another program, such as an editor: a file descriptor of it."""
        fd = _open(os.O_RDWR)
        before = termios.tcgetattr(self._fd)
        self._erase()
        with self._lock:
            self._held = []
        self._restore()
        try:
            yield fd
        finally:
            os.close(fd)
            termios.tcsetattr(self._fd, termios.TCSAFLUSH, before)
            with self._lock:
                held, self._held = self._held or [], None
            self._write("\r" if self._simple else f"\r{_PASTE_ON}")
            self.say("".join(held))

    async def line(self, prompt: Callable[[], str]) -> Line:
        """The next line that is typed; `prompt` is asked again and again, for time runs."""
        self._prompt = prompt
        try:
            while not self._lines:
                self._draw()
                with anyio.move_on_after(_TICK_S):
                    await anyio.wait_readable(self._fd)
                self._lines += self._editor.feed(self._read())
        finally:
            self._erase()
            shown = prompt()
            self._prompt = None
        line = self._lines.pop(0)
        self._write(f"{shown}{steady(line.text)}\n")
        return line

    def say(self, text: str) -> None:
        """Write lines above what is being typed; from any thread."""
        with self._lock:
            if self._held is not None:
                self._held.append(text)
                return
            self._erase()
            self._write(text)
            self._draw()

    def _read(self) -> bytes:
        try:
            data = os.read(self._fd, 65_536)
        except BlockingIOError:
            return b""
        if not data:
            raise EOFError("the terminal was closed")
        return data

    def _draw(self) -> None:
        with self._lock:
            if self._prompt is None or self._held is not None:
                return
            row = _fitting(self._prompt(), steady(self._editor.text), self._columns())
            if row != self._drawn:
                self._erase()
                self._write(row)
                self._drawn = row

    def _erase(self) -> None:
        with self._lock:
            if self._drawn:
                # Blanks do on every terminal what only some have a sequence for.
                self._write(f"\r{' ' * (self._columns() - 1)}\r")
                self._drawn = ""

    def _columns(self) -> int:
        try:
            known = os.get_terminal_size(self._stream.fileno()).columns
        except OSError:
            known = 0
        return max(known, _NARROW) if known else _USUAL

    def _write(self, text: str) -> None:
        with self._lock, suppress(OSError):
            self._stream.write(text)
            self._stream.flush()


class Above(io.TextIOBase):
    """A stream whose whole lines appear above what is being typed."""

    def __init__(self, terminal: Terminal, encoding: str) -> None:
        self._terminal = terminal
        self._encoding = encoding
        self._rest = ""

    @property
    def encoding(self) -> str:  # type: ignore[override]  # a plain attribute in the stub
        """That of the terminal."""
        return self._encoding

    def writable(self) -> bool:
        """It is."""
        return True

    def isatty(self) -> bool:
        """What it writes to is one."""
        return True

    def write(self, text: str, /) -> int:
        """Write, as soon as a line is whole."""
        whole, end, self._rest = (self._rest + text).rpartition("\n")
        if end:
            self._terminal.say(whole + end)
        return len(text)


def _open(flags: int) -> int:
    """The terminal once more, by its name: with flags of its own, which nobody else gets."""
    return os.open(os.ttyname(_STDERR), flags | os.O_NOCTTY)


def _nothing() -> None:
    """There is nothing to restore."""


def _restoring(fd: int, modes: list[object]) -> Callable[[], None]:
    def restore() -> None:
        with suppress(termios.error):
            termios.tcsetattr(fd, termios.TCSANOW, modes)  # type: ignore[arg-type]  # as they came

    return restore


def _fitting(prompt: str, text: str, columns: int) -> str:
    """The prompt and as much of the end of the text as fits into one row."""
    from rich.cells import cell_len  # noqa: PLC0415 - Rich, only where somebody types

    room = max(columns - 1 - cell_len(prompt), 8)
    if cell_len(text) <= room:
        return prompt + text
    shown = text[-room:]
    while cell_len(shown) > room - 1:
        shown = shown[1:]
    return f"{prompt}…{shown}"
