"""The file of a cassette: one JSON object a line, the header first.

After it stand the model calls and the ends of turns, in the order in which they ended, and at last
a line that says that nothing is missing.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from massgen_bridge.errors import CassetteError, ErrorKind
from massgen_bridge.messages import Frozen, JsonValue

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "FORMAT",
    "Call",
    "End",
    "Failure",
    "Header",
    "Line",
    "Reply",
    "TapedAgent",
    "TurnEnd",
    "encode_line",
    "read_lines",
]

FORMAT = 1


class TapedAgent(Frozen):
    """An agent of the team; of one in a team, `id` is a path. `host` is where its model is."""

    id: str
    kind: str
    model: str | None = None
    provider: str | None = None
    host: str | None = None


class Header(Frozen):
    """The first line: what was recorded, and when (UTC).

    `marks` is what the marks on ballots are made from: a replay has the same ones.
    """

    type: Literal["cassette"] = "cassette"
    format: int = FORMAT
    bridge: str
    recorded: str
    question: str
    strategy: str
    agents: tuple[TapedAgent, ...]
    marks: str


class Failure(Frozen):
    """An error of the connection: its class in the HTTP library, and its words."""

    type: str
    message: str


class Reply(Frozen):
    """What came back: the body in one of four forms.

    `events` are those of a stream, each with its parsed `data`, or as raw text where it has none.
    `body` is JSON. `base64` is what is no text.
    """

    status: int
    headers: dict[str, str] = Field(default_factory=dict)
    events: tuple[JsonValue, ...] | None = None
    body: JsonValue = None
    text: str | None = None
    base64: str | None = None


class Call(Frozen):
    """One HTTP request of an agent, its `call`-th, and what came of it.

    `left` says that the run gave the call up before its end.
    """

    type: Literal["call"] = "call"
    agent: str
    call: int
    turn: str
    path: str
    request: JsonValue
    reply: Reply | None = None
    error: Failure | None = None
    left: bool = False


class TurnEnd(Frozen):
    """The end of a turn that nobody stopped; `failed` is its error, if it had one."""

    type: Literal["turn"] = "turn"
    agent: str
    turn: str
    failed: ErrorKind | None = None
    message: str | None = None


class End(Frozen):
    """The last line: so many calls are before it, and so the run ended."""

    type: Literal["end"] = "end"
    calls: int
    status: str


Line = Annotated[Header | Call | TurnEnd | End, Field(discriminator="type")]
_LINE: TypeAdapter[Line] = TypeAdapter(Line)


def encode_line(line: Header | Call | TurnEnd | End) -> bytes:
    """A line of the file, its end included."""
    data = line.model_dump(exclude_defaults=True) | {"type": line.type}
    if isinstance(line, Header):
        data["format"] = line.format
    ordered = {name: data[name] for name in type(line).model_fields if name in data}
    try:
        return json.dumps(ordered, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:  # half a character, which JSON can hold and UTF-8 cannot
        return json.dumps(ordered).encode() + b"\n"


def read_lines(path: Path) -> tuple[Header, list[tuple[int, Call | TurnEnd]], End | None]:
    """Read a cassette.

    Returns:
        The header, the lines with their numbers in the file, and the last line: None where the
        recording was cut off.

    Raises:
        CassetteError: It is no cassette that can be read; the text says where and why.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CassetteError(
            f"the cassette cannot be read ({error.strerror}): expected a file that `--record` made",
            file=str(path),
        ) from error
    if not data.strip():
        raise CassetteError(
            "the file is empty: expected a cassette that `--record` made", file=str(path)
        )
    rows = data.split(b"\n")
    rest = rows.pop()  # what has no end of its own was cut off while it was written
    if rest and not rows:
        rows, rest = [rest], b""
    header = _header(rows[0], path)
    lines: list[tuple[int, Call | TurnEnd]] = []
    for number, row in enumerate(rows[1:], start=2):
        match _parsed(row, path, number):
            case End() as end:
                if number != len(rows) or rest:
                    raise CassetteError(
                        "there is more after the end of the cassette: expected nothing; was"
                        " something added?",
                        file=str(path),
                        line=number + 1,
                    )
                return header, lines, end
            case Header():
                raise CassetteError(
                    "a second header: expected one recording in a file", file=str(path), line=number
                )
            case line:
                lines.append((number, line))
    return header, lines, None


def _header(row: bytes, path: Path) -> Header:
    try:
        first = json.loads(row)
    except ValueError:
        first = None
    if not isinstance(first, dict) or first.get("type") != "cassette":
        raise CassetteError(
            "this is no cassette: expected a first line of JSON that begins with"
            ' {"type": "cassette", as `--record` writes it',
            file=str(path),
            line=1,
        )
    if first.get("format") != FORMAT:
        raise CassetteError(
            f"the cassette has the format {first.get('format')!r}, and this version of"
            f" massgen-bridge reads {FORMAT}: update massgen-bridge, or record it again",
            file=str(path),
            line=1,
        )
    header = _parsed(row, path, 1)
    assert isinstance(header, Header)  # noqa: S101 - its type says so
    return header


def _parsed(row: bytes, path: Path, number: int) -> Line:
    try:
        return _LINE.validate_python(json.loads(row))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the line"
        reason = f"{place}: {first['msg']}"
    except ValueError as error:
        reason = f"it is no JSON: {error}"
    raise CassetteError(
        f"this line of the cassette cannot be read ({reason}): was it changed by hand?",
        file=str(path),
        line=number,
    )
