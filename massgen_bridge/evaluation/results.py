"""The results of an evaluation while it grows: a JSONL file to which every line is durable at once.

Three kinds of lines: what is evaluated, a run that begins, an answer that was graded. The last
line may be torn by a crash; it is then as if it had not been written.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, NamedTuple, Self

from pydantic import Field, TypeAdapter, ValidationError

from massgen_bridge.errors import ConfigError, JournalError
from massgen_bridge.locks import try_lock
from massgen_bridge.messages import Frozen
from massgen_bridge.runtime.index import data_path
from massgen_bridge.runtime.owner import Owner

if TYPE_CHECKING:
    from types import TracebackType
    from typing import BinaryIO

__all__ = ["Begun", "Cell", "Graded", "Opening", "Results", "find_results", "new_results"]

_FOLDER: Final = "evaluations"


class Cell(NamedTuple):
    """One answer that an evaluation asks for; `agent` is None for the team."""

    question: str
    repeat: int
    agent: str | None


class Opening(Frozen):
    """The first line: what is evaluated.

    Attributes:
        evaluation_id: Its id.
        config_file: The configuration, as it was named.
        config_digest: A hash over the configuration and the code that it names.
        dataset: The data set, as it was named.
        dataset_digest: SHA-256 of the data set, in hex.
    """

    type: Literal["evaluation"] = "evaluation"
    v: Literal[1] = 1
    evaluation_id: str
    bridge_version: str
    config_file: str | None = None
    config_digest: str
    dataset: str
    dataset_digest: str

    def is_of(self, other: Opening) -> bool:
        """Whether both evaluate the same configuration by the same questions."""
        mine = (self.config_digest, self.dataset_digest)
        return mine == (other.config_digest, other.dataset_digest)


class Begun(Frozen):
    """A run begins; written before anything of it is paid for."""

    type: Literal["begun"] = "begun"
    question: str
    repeat: int
    agent: str | None
    run_id: str

    @property
    def cell(self) -> Cell:
        """What it is to answer."""
        return Cell(self.question, self.repeat, self.agent)


class Graded(Frozen):
    """A run has ended and its answer was graded.

    Attributes:
        question: The question's id.
        repeat: Which of several answers to it, from 1.
        agent: The agent that answered alone; None for the team.
        run_id: The run, as `massgen-bridge runs` knows it.
        status: How the run ended.
        answer: The answer, None where there is none.
        correct: Whether it is right; no answer is wrong.
        winner: The agent whose answer it is.
        message: Why there is no answer.
        calls: Model calls made.
        input_tokens: Tokens of all prompts.
        output_tokens: Tokens of all answers, reasoning included.
        cost_usd: Dollars of the calls whose price is known; None where no call's is.
        unpriced_calls: Calls that used tokens and whose price is not known.
        duration_s: Wall time in seconds.
    """

    type: Literal["graded"] = "graded"
    question: str
    repeat: int
    agent: str | None
    run_id: str
    status: str
    answer: str | None
    correct: bool
    winner: str | None = None
    message: str | None = None
    calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    unpriced_calls: int
    duration_s: float

    @property
    def cell(self) -> Cell:
        """What it answers."""
        return Cell(self.question, self.repeat, self.agent)


_Line: TypeAdapter[Opening | Begun | Graded] = TypeAdapter(
    Annotated[Opening | Begun | Graded, Field(discriminator="type")]
)


def new_results(opening: Opening) -> Path:
    """Where the results of a new evaluation are kept unless somebody names a file."""
    return data_path() / _FOLDER / f"{opening.evaluation_id}.jsonl"


def find_results(opening: Opening) -> Path | None:
    """The newest results of the same configuration and questions; None where there are none."""
    for path in sorted((data_path() / _FOLDER).glob("*.jsonl"), reverse=True):
        with suppress(ConfigError, JournalError):
            kept = _read(path)[0]
            if kept and isinstance(kept[0], Opening) and kept[0].is_of(opening):
                return path
    return None


class Results:
    """A file of results, held by this process alone. All methods block.

    Args:
        path: The file; it is made where it is not there.
        opening: What is evaluated.

    Attributes:
        opening: What the file says is evaluated.
        graded: The answers that are there.
        begun: The ids of the runs that were begun last, also where they are not graded.

    Raises:
        ConfigError: The file holds something else.
        JournalError: It cannot be read or written, or another process writes to it.
    """

    def __init__(self, path: Path, opening: Opening) -> None:
        self.path = path
        self.opening = opening
        self.graded: dict[Cell, Graded] = {}
        self.begun: dict[Cell, str] = {}
        self._lock = _Lock(path)
        self._file = -1

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with ExitStack() as undoing:
                undoing.callback(self.__exit__, None, None, None)
                self._lock.take()
                self._open()
                undoing.pop_all()
        except OSError as error:
            raise self._unusable(error) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        self._lock.give_back()

    def append(self, line: Begun | Graded) -> None:
        """Write a line; it is on the disk when this returns.

        Raises:
            JournalError: It cannot be written.
        """
        self._write(line)
        self._take(line)

    def _open(self) -> None:
        lines, whole = _read(self.path) if self.path.exists() else ([], 0)
        # A name of its own may hold what somebody else must not read.
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        os.ftruncate(self._file, whole)
        if not lines:
            self._write(self.opening)
            return
        first = lines[0]
        if not isinstance(first, Opening):
            raise ConfigError("this is no file of an evaluation's results", file=str(self.path))
        if not first.is_of(self.opening):
            raise ConfigError(
                f"these are results of {first.config_file!r} on {first.dataset!r}, or of an older"
                " state of the same files: name another file, or bring them back",
                file=str(self.path),
            )
        self.opening = first
        for line in lines[1:]:
            self._take(line)

    def _take(self, line: Opening | Begun | Graded) -> None:
        match line:
            case Begun():
                self.begun[line.cell] = line.run_id
            case Graded():
                self.graded[line.cell] = line
            case Opening():
                pass

    def _write(self, line: Opening | Begun | Graded) -> None:
        data = line.model_dump_json().encode() + b"\n"
        try:
            before = os.fstat(self._file).st_size
            whole = os.write(self._file, data) == len(data)
            if not whole:
                os.ftruncate(self._file, before)
            os.fsync(self._file)
        except OSError as error:
            raise self._unusable(error) from error
        if not whole:
            raise self._unusable(OSError("the disk is full"))

    def _unusable(self, error: OSError) -> JournalError:
        reason = error.strerror or str(error)
        return JournalError(f"the results {str(self.path)!r} cannot be written: {reason}")


def _read(path: Path) -> tuple[list[Opening | Begun | Graded], int]:
    """The lines of a file, and how many bytes of it are whole lines."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise JournalError(f"cannot read {str(path)!r}: {error.strerror}") from None
    whole = content.rfind(b"\n") + 1
    if content and not whole and not content.startswith(b'{"type":"evaluation"'):
        raise ConfigError("this is no file of an evaluation's results", file=str(path))
    lines = []
    for number, text in enumerate(content[:whole].splitlines(), 1):
        try:
            lines.append(_Line.validate_json(text))
        except ValidationError:
            raise ConfigError(
                "this is no line of an evaluation's results, or a newer massgen-bridge wrote it",
                file=str(path),
                line=number,
            ) from None
    return lines, whole


class _Lock:
    """A file beside the results that names the process that writes to them.

    Whoever holds the system's lock on it is the one; the name is for whoever comes second.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(f"{path.name}.lock")
        self._file: BinaryIO | None = None

    def take(self) -> None:
        """Be the only process.

        Raises:
            JournalError: Another one is.
        """
        while self._file is None:
            file = os.fdopen(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600), "r+b")
            if not try_lock(file.fileno()):
                with file:
                    raise JournalError(f"another evaluation writes to these results{_by(file)}")
            if self._is_there(file):
                self._file = file
            else:  # its last holder took it away between our opening and our locking it
                file.close()
        self._file.truncate(0)
        self._file.write(Owner.this_process().model_dump_json().encode())
        self._file.flush()

    def give_back(self) -> None:
        if self._file is not None:
            self._path.unlink(missing_ok=True)
            self._file.close()
            self._file = None

    def _is_there(self, file: BinaryIO) -> bool:
        try:
            return os.path.samestat(os.fstat(file.fileno()), self._path.stat())
        except FileNotFoundError:
            return False


def _by(file: BinaryIO) -> str:
    try:
        holder = Owner.model_validate_json(file.read())
    except ValidationError:  # it has only just begun
        return ""
    return f": process {holder.pid} of {holder.host!r}"
