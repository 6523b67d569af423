"""What host and worker say to each other: JSON-RPC 2.0, each message in a frame of its own.

A frame is the length of a message, four bytes with the highest first, and the message in JSON.
Requests have an `id` and get one `Reply` or `Refusal`; messages without one are notifications.

Back-pressure is by turn: a worker sends a turn's events as long as the host has not more than
`WINDOW` bytes of them to deal with. So a slow turn holds up neither another one nor a cancellation.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import ConfigDict, Field, SecretStr, TypeAdapter, ValidationError

from massgen_bridge.agent import FinishedTurn, Turn, TurnResult
from massgen_bridge.connection import Connection
from massgen_bridge.errors import ErrorKind, ProtocolFailed
from massgen_bridge.events import TurnEvent
from massgen_bridge.messages import Frozen, JsonValue, ToolCall, ToolResult
from massgen_bridge.people import Question, Reply

__all__ = [
    "LONGEST_FRAME",
    "PROTOCOL",
    "WINDOW",
    "AgentParams",
    "AgentReady",
    "Answer",
    "AskParams",
    "AskPerson",
    "CallParams",
    "CallTool",
    "CancelCall",
    "CancelParams",
    "CancelTurn",
    "CloseAgent",
    "CreateAgent",
    "Done",
    "ErrorObject",
    "EventsParams",
    "EventsTaken",
    "Fault",
    "FromHost",
    "FromWorker",
    "Hello",
    "HelloParams",
    "PersonSaid",
    "Reach",
    "Refused",
    "RunParams",
    "RunTurn",
    "TakenParams",
    "ToolGave",
    "TurnEvents",
    "TurnParams",
    "encode",
    "from_host",
    "from_worker",
]

PROTOCOL: Final = 1
"""The version of what is said here; host and worker must have the same."""

WINDOW: Final = 262_144
"""Bytes of a turn's events that may be under way."""

LONGEST_FRAME: Final = 1_073_741_824
"""Bytes; what claims to be longer is no frame."""


class Reach(Frozen):
    """A connection with its key, which `Connection` itself never writes down."""

    connection: Connection
    key: str | None = Field(default=None, repr=False)

    @classmethod
    def of(cls, connection: Connection) -> Self:
        """A connection, ready to cross."""
        key = connection.api_key
        bare = connection.model_copy(update={"api_key": None})
        return cls(connection=bare, key=key.get_secret_value() if key else None)

    def whole(self) -> Connection:
        """The connection as it was."""
        key = None if self.key is None else SecretStr(self.key)
        return self.connection.model_copy(update={"api_key": key})


class _Said(Frozen):
    jsonrpc: Literal["2.0"] = "2.0"


# --- what the host says -------------------------------------------------------------------------


class AgentParams(Frozen):
    """What an agent is made of.

    Attributes:
        module: The adapter's module.
        reach: The model; its address and key are the turns' own where `is_watched`.
        is_watched: Whether the host stands between the agent and its model: then it sees to
            retries and tells of model calls.
        workspace: The agent's own folder, which need not be there yet.
        can_ask: Whether a person can be asked.
    """

    module: str
    kind: str
    agent_id: str
    options: dict[str, JsonValue]
    base_dir: str
    workspace: str
    finished: tuple[FinishedTurn, ...] = ()
    reach: Reach | None = None
    is_watched: bool = False
    can_ask: bool = False


class CreateAgent(_Said):
    """Make the worker's agent."""

    method: Literal["agent/create"] = "agent/create"
    id: int
    params: AgentParams


class RunParams(Frozen):
    """A turn, and how it reaches its model."""

    turn: Turn
    reach: Reach | None = None


class RunTurn(_Said):
    """Do a turn; its `id` is the turn's name on this wire."""

    method: Literal["turn/run"] = "turn/run"
    id: int
    params: RunParams


class TurnParams(Frozen):
    """The turn, by the id of the request that it runs by."""

    run: int


class CancelTurn(_Said):
    """Stop a turn; it is answered all the same."""

    method: Literal["turn/cancel"] = "turn/cancel"
    params: TurnParams


class TakenParams(TurnParams):
    """How much of a turn's events is dealt with, in bytes."""

    size: int


class EventsTaken(_Said):
    """The host has dealt with events that took `size` bytes."""

    method: Literal["turn/events_taken"] = "turn/events_taken"
    params: TakenParams


class CloseAgent(_Said):
    """Give back everything and end."""

    method: Literal["agent/close"] = "agent/close"
    id: int


# --- what the worker says -----------------------------------------------------------------------


class HelloParams(Frozen):
    """Who the worker is."""

    protocol: int
    version: str
    python: str
    pid: int


class Hello(_Said):
    """The worker's first words."""

    method: Literal["hello"] = "hello"
    params: HelloParams


class EventsParams(TurnParams):
    """Events of a turn."""

    events: tuple[Annotated[TurnEvent, Field(discriminator="type")], ...]


class TurnEvents(_Said):
    """What has happened in a turn, in order."""

    method: Literal["turn/events"] = "turn/events"
    params: EventsParams


class CallParams(TurnParams):
    """A tool call of a turn."""

    call: ToolCall


class CallTool(_Said):
    """Call one of the host's tools."""

    method: Literal["tool/call"] = "tool/call"
    id: int
    params: CallParams


class AskParams(TurnParams):
    """A question to a person."""

    question: Question


class AskPerson(_Said):
    """Ask a person."""

    method: Literal["person/ask"] = "person/ask"
    id: int
    params: AskParams


class CancelParams(TurnParams):
    """A request of a turn, by its id."""

    call: int


class CancelCall(_Said):
    """Nobody waits for the answer of a request any more."""

    method: Literal["call/cancel"] = "call/cancel"
    params: CancelParams


# --- answers, in both directions ----------------------------------------------------------------


class AgentReady(Frozen):
    """The agent is made."""

    type: Literal["ready"] = "ready"


class Done(Frozen):
    """A turn's result."""

    type: Literal["done"] = "done"
    result: TurnResult


class ToolGave(Frozen):
    """A tool's result."""

    type: Literal["tool"] = "tool"
    result: ToolResult


class PersonSaid(Frozen):
    """A person's reply; None where there was none in time."""

    type: Literal["person"] = "person"
    reply: Reply | None


class Fault(Frozen):
    """An exception.

    Attributes:
        kind: That of an `AgentError`; None for any other exception.
        type: The name of its class.
        is_ours: Whether it is an error of massgen-bridge.
    """

    kind: ErrorKind | None = None
    type: str
    is_ours: bool = False
    agent_id: str | None = None
    retry_after_s: float | None = None


class Answer(_Said):
    """A request went well."""

    id: int
    result: Annotated[AgentReady | Done | ToolGave | PersonSaid, Field(discriminator="type")]


class ErrorObject(Frozen):
    """JSON-RPC's error object."""

    code: int = -32000
    message: str
    data: Fault


class Refused(_Said):
    """A request failed."""

    id: int
    error: ErrorObject


FromHost = CreateAgent | RunTurn | CancelTurn | EventsTaken | CloseAgent | Answer | Refused
FromWorker = Hello | TurnEvents | CallTool | AskPerson | CancelCall | Answer | Refused


_REQUEST = b'{"jsonrpc":"2.0","method":'
# Each side hears only what the other one says, and most workers hear no answer.
_WHEN_HEARD = ConfigDict(defer_build=True)
_requests_of_host: TypeAdapter[Any] = TypeAdapter(
    Annotated[
        CreateAgent | RunTurn | CancelTurn | EventsTaken | CloseAgent, Field(discriminator="method")
    ],
    config=_WHEN_HEARD,
)
_requests_of_worker: TypeAdapter[Any] = TypeAdapter(
    Annotated[
        Hello | TurnEvents | CallTool | AskPerson | CancelCall, Field(discriminator="method")
    ],
    config=_WHEN_HEARD,
)
_answers: TypeAdapter[Any] = TypeAdapter(
    Annotated[Answer | Refused, Field(union_mode="left_to_right")], config=_WHEN_HEARD
)


def encode(message: FromHost | FromWorker) -> bytes:
    """A message as the content of a frame.

    Raises:
        pydantic_core.PydanticSerializationError: It holds what JSON cannot.
    """
    return message.__pydantic_serializer__.to_json(message)


def from_host(content: bytes) -> FromHost:
    """What the host said.

    Raises:
        ProtocolFailed: That is no message of a host.
    """
    message: FromHost = _decoded(_requests_of_host, content)
    return message


def from_worker(content: bytes) -> FromWorker:
    """What a worker said.

    Raises:
        ProtocolFailed: That is no message of a worker.
    """
    message: FromWorker = _decoded(_requests_of_worker, content)
    return message


def _decoded(requests: TypeAdapter[Any], content: bytes) -> Any:
    # Both sides write the fields in one order, so the first of them tells what it is.
    known = requests if content.startswith(_REQUEST) else _answers
    try:
        return known.validate_json(content)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(step) for step in problem["loc"])
        raise ProtocolFailed(
            f"not a message of this wire: {problem['msg']}{f' at {place}' if place else ''}"
        ) from None
