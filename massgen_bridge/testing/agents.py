"""Making an agent and what it needs by hand, as the host does it: for the tests of adapters.

    connection = connection_to(server)
    agent = make_agent(spec, {}, connection)
    events = collect()
    result = await agent.run(turn("Hello"), events)

The agent is closed by whoever made it. `run_turn` makes one for a single turn and closes it.
"""

from __future__ import annotations

import atexit
import tempfile
from collections import deque
from functools import cache
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, TypeVar

from anyio import to_thread
from pydantic import SecretStr

from massgen_bridge.agent import Limits, ToolDefinition, Turn
from massgen_bridge.connection import (
    Connection,
    ModelTraits,
    Protocols,
    Quirks,
    RetryPolicy,
    Sampling,
)
from massgen_bridge.events import (
    ModelCallStarted,
    TextDelta,
    ToolCallFinished,
    TurnEvent,
)
from massgen_bridge.messages import JsonValue, Message, ToolCall, ToolResult, user
from massgen_bridge.models.retry import ModelCalls
from massgen_bridge.specs import AgentContext
from massgen_bridge.testing.teams import team_and_abilities

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from massgen_bridge.agent import Agent, Emit, TurnResult
    from massgen_bridge.people import Asking
    from massgen_bridge.specs import AdapterSpec
    from massgen_bridge.testing.servers import ModelServer, ModelServerProcess

__all__ = [
    "TEST_KEY",
    "EventLog",
    "ScriptedTools",
    "collect",
    "connection_to",
    "make_agent",
    "run_turn",
    "turn",
]

TEST_KEY = "test-key-7f3a9c"
"""The key of a connection to a loopback server; it must never come out of an agent."""

T = TypeVar("T")


class EventLog:
    """An `emit` that keeps what it gets.

    Attributes:
        events: All events, in order.
    """

    def __init__(self) -> None:
        self.events: list[TurnEvent] = []

    async def __call__(self, event: TurnEvent, /) -> None:
        """Take an event."""
        self.events.append(event)

    def of(self, kind: type[T]) -> list[T]:
        """The events of one class, in order."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def text(self) -> str:
        """The streamed text that counts: what came since the last tool and the last attempt."""
        pieces: list[str] = []
        for event in self.events:
            if isinstance(event, ModelCallStarted | ToolCallFinished):
                pieces.clear()
            elif isinstance(event, TextDelta):
                pieces.append(event.text)
        return "".join(pieces)


def collect() -> EventLog:
    """An `emit` that keeps what it gets."""
    return EventLog()


class ScriptedTools:
    """The host's side of tool calls: a `ToolCaller` that gives the results it is told to.

    Args:
        results: One a call: a text, a result whose call id is filled in, an error to raise, or a
            function of the call. When they are used up, the last one is given again.

    Attributes:
        calls: The calls that came, in order.
    """

    def __init__(
        self,
        *results: str | ToolResult | Exception | Callable[[ToolCall], Awaitable[str | ToolResult]],
    ) -> None:
        self.calls: list[ToolCall] = []
        self._results = deque(results or ("done",))

    async def __call__(self, call: ToolCall) -> ToolResult:
        """Give the next result."""
        self.calls.append(call)
        result = self._results.popleft() if len(self._results) > 1 else self._results[0]
        if isinstance(result, Exception):
            raise result
        given = result if isinstance(result, str | ToolResult) else await result(call)
        if isinstance(given, str):
            return ToolResult(call_id=call.call_id, name=call.name, content=given)
        return given.model_copy(update={"call_id": call.call_id, "name": call.name})


def connection_to(
    server: ModelServer | ModelServerProcess | str,
    *,
    model: str = "scripted",
    protocol: Protocols = "chat",
    api_key: str | None = TEST_KEY,
    headers: Mapping[str, str] | None = None,
    sampling: Sampling | None = None,
    retry: RetryPolicy | None = None,
    timeout_s: float = 20.0,
    quirks: Quirks | None = None,
    **traits: Any,
) -> Connection:
    """A connection to a loopback server; failed calls are not made again unless `retry` says so.

    Args:
        server: The server, or its base URL as the protocol has it.
        model: The model's name.
        protocol: The wire protocol.
        api_key: The key; None for none.
        headers: Further headers.
        sampling: How the model generates.
        retry: When a failed call is made again; None: never.
        timeout_s: Seconds to wait for bytes.
        quirks: How the server differs from the common form; None: not at all.
        traits: What the model can do, as `ModelTraits` takes it.
    """
    return Connection(
        name="loopback",
        provider="loopback",
        protocol=protocol,
        model=model,
        base_url=server if isinstance(server, str) else server.base_url(protocol),
        api_key=None if api_key is None else SecretStr(api_key),
        headers=dict(headers or {}),
        traits=ModelTraits(**traits),
        quirks=quirks or Quirks(),
        sampling=sampling or Sampling(),
        retry=retry or RetryPolicy(attempts=1),
        timeout_s=timeout_s,
    )


def make_agent(
    spec: AdapterSpec,
    options: Mapping[str, Any],
    connection: Connection | None,
    *,
    agent_id: str = "agent",
    load: Callable[[str], Any] = resolve_name,
    base_dir: Path | None = None,
    ask: Asking | None = None,
) -> Agent:
    """Make an agent as the host does: options validated, every model call under the one policy.

    Args:
        spec: The adapter.
        options: Its options, as they stand in YAML.
        connection: The model; None for an adapter that uses none.
        agent_id: The agent's id.
        load: Resolves an import path.
        base_dir: Folder of the configuration, and where its workspace is; None: the working
            directory, and a folder for all agents of this process that goes with it.
        ask: Asks a person; None where nobody can be asked.

    Raises:
        pydantic.ValidationError: The options are not what the adapter takes.
    """
    folder, workspace = base_dir or Path.cwd(), base_dir or _scratch()
    return spec.factory(
        AgentContext(
            agent_id=agent_id,
            options=spec.options.model_validate(options),
            connection=connection,
            call_model=_without_model if connection is None else ModelCalls(connection),
            load=load,
            base_dir=folder,
            ask=ask,
            workspace=lambda: workspace,
            team=team_and_abilities(options, base_dir)[0] if spec.is_team else None,
        )
    )


async def run_turn(
    spec: AdapterSpec,
    asked: Turn | str,
    connection: Connection | None,
    emit: Emit | None = None,
    *,
    options: Mapping[str, Any] | None = None,
) -> TurnResult:
    """One turn of an agent that is made for it, in a thread as the host does, and then closed.

    Args:
        spec: The adapter.
        asked: The turn; a text stands for a turn with that question.
        connection: The model; None for an adapter that uses none.
        emit: Gets the turn's events; None: nobody does.
        options: The adapter's options, as they stand in YAML; None: none.

    Raises:
        AgentError: The turn failed.
        pydantic.ValidationError: The options are not what the adapter takes.
    """
    agent = await to_thread.run_sync(make_agent, spec, options or {}, connection)
    try:
        return await agent.run(turn(asked) if isinstance(asked, str) else asked, emit or collect())
    finally:
        await agent.aclose()


@cache
def _scratch() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="massgen-bridge-agents-")
    atexit.register(folder.cleanup)
    return Path(folder.name)


async def _without_model(attempt: Callable[[], Awaitable[T]], emit: Emit) -> T:
    raise AssertionError(f"an agent without a connection made a model call: {attempt}, {emit}")


def turn(
    *messages: Message | str,
    tools: Sequence[ToolDefinition] = (),
    call_tool: ScriptedTools | None = None,
    output_schema: dict[str, JsonValue] | None = None,
    limits: Limits | None = None,
    turn_id: str = "turn-1",
) -> Turn:
    """A turn.

    Args:
        messages: The history; a text stands for a user message.
        tools: The tools that the model may call.
        call_tool: Answers their calls.
        output_schema: The JSON Schema of the answer.
        limits: What the turn may use.
        turn_id: Its id.
    """
    made = Turn(
        run_id="run-1",
        turn_id=turn_id,
        agent_id="agent",
        messages=tuple(user(m) if isinstance(m, str) else m for m in messages),
        tools=tuple(tools),
        output_schema=output_schema,
        limits=limits or Limits(),
    )
    return made if call_tool is None else made.bind(call_tool)
