"""What the doctor finds out about the connections of a configuration."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import anyio
from anyio import to_thread

from massgen_bridge.agent import Limits, ToolDefinition, Turn
from massgen_bridge.cli._work import work
from massgen_bridge.connection import Protocols
from massgen_bridge.errors import (
    AgentError,
    AuthFailed,
    BridgeError,
    ConfigError,
    LimitReached,
    NetworkFailed,
    NotFound,
    PermissionDenied,
    ProtocolFailed,
    TimedOut,
)
from massgen_bridge.events import ReasoningDelta, TextDelta, ToolCallStarted
from massgen_bridge.media.ocr import OCR_MISSING
from massgen_bridge.messages import ImagePart, Message, TextPart, ToolResult, user
from massgen_bridge.models.connections import ConnectionPool
from massgen_bridge.models.explaining import no_key_advice
from massgen_bridge.models.listing import is_offered, offered_models, path_advice, told_offer
from massgen_bridge.models.providers import LOCAL
from massgen_bridge.models.retry import ModelCalls
from massgen_bridge.specs import AgentContext

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from massgen_bridge.agent import Agent
    from massgen_bridge.cli._work import Stop
    from massgen_bridge.config import RunConfig
    from massgen_bridge.connection import Connection
    from massgen_bridge.events import TurnEvent
    from massgen_bridge.messages import ToolCall
    from massgen_bridge.models.settings import ModelConfig
    from massgen_bridge.plugins import PluginHost

__all__ = ["ConnectionReport", "connection_reports"]

State = Literal["ok", "info", "broken"]

# A few tokens: some providers refuse to be given fewer.
_FEW_TOKENS = 16
_FOR_JSON = 64
_PATIENCE_S = 60.0
_KINDS: Mapping[Protocols, str] = {
    "chat": "openai",
    "responses": "openai",
    "messages": "anthropic",
    "gemini": "gemini",
}
_TOOL = ToolDefinition(
    name="well",
    description="Says that all is well.",
    input_schema={"type": "object", "properties": {}, "additionalProperties": False},
    ends_turn=True,
)
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"ok": {"type": "boolean"}},
    "required": ["ok"],
    "additionalProperties": False,
}


@dataclass(kw_only=True)
class ConnectionReport:
    """What was found out about one connection.

    `checks` are pairs of a name and what was found: its state and words for a person.
    """

    name: str
    provider: str = ""
    model: str = ""
    where: str = ""
    connection: Connection | None = field(default=None, repr=False)
    checks: list[tuple[str, State, str]] = field(default_factory=list)

    @property
    def is_broken(self) -> bool:
        """Whether something keeps it from working as the configuration says."""
        return any(state == "broken" for _, state, _ in self.checks)

    def add(self, name: str, state: State, words: str) -> None:
        """Note what was found."""
        self.checks.append((name, state, words))


def connection_reports(
    config: RunConfig, host: PluginHost, environ: Mapping[str, str], *, offline: bool
) -> list[ConnectionReport]:
    """Look at every connection that the agents of a configuration have, or that it names.

    Args:
        config: The configuration; its plugins are loaded where they may be.
        host: The plugins.
        environ: The environment variables.
        offline: Whether nobody is asked anything.
    """
    reports = list(_known(config, host, environ))
    asked = [one for one in reports if one.connection is not None and one.provider != LOCAL]
    if asked and not offline:
        work(partial(_ask_all, asked, host))
    return reports


def _known(
    config: RunConfig, host: PluginHost, environ: Mapping[str, str]
) -> Iterator[ConnectionReport]:
    providers = {
        one.name: host.provider(one.name) for one in host.providers() if one.state == "installed"
    }
    seen: set[tuple[object, ...]] = set()
    for part in config.tree():
        named = {agent.backend.model for agent in part.agents if agent.backend.model}
        pool = ConnectionPool(part.models, {**providers, **part.providers}, environ)
        for agent in part.agents:
            spec = host.adapter(agent.backend.type)
            if agent.backend.model is None or not spec.protocols:
                continue
            add = partial(
                pool.add,
                agent.id,
                agent.backend.model,
                protocols=spec.protocols,
                default_provider=spec.default_provider,
                one_provider=spec.one_provider,
            )
            report = _report(agent.backend.model, agent.id, add)
            known = {*part.models, *providers, *part.providers}
            is_plain = known.isdisjoint({report.name, report.name.partition("/")[0]})
            if is_plain and spec.default_provider:
                report.name = f"{spec.default_provider}/{report.name}"
            _tell_of_pictures(report, part.models.get(agent.backend.model))
            yield from _once(report, seen)
        for name in [one for one in part.models if one not in named]:
            add = partial(pool.add, name, name, protocols=get_args(Protocols))
            report = _report(name, name, add)
            _tell_of_pictures(report, part.models[name])
            yield from _once(report, seen)


def _once(report: ConnectionReport, seen: set[tuple[object, ...]]) -> Iterator[ConnectionReport]:
    protocol = report.connection.protocol if report.connection else report.checks[0][2]
    key = report.name, report.provider, report.where, report.model, protocol
    if key not in seen:
        seen.add(key)
        yield report


def _report(name: str, agent_id: str, add: Callable[[], Connection]) -> ConnectionReport:
    try:
        connection = add()
    except ConfigError as error:
        report = ConnectionReport(name=name)
        # Agents that share a connection have this in common.
        said = error.message.removeprefix(f"agent {agent_id!r}, ")
        report.add("configured", "broken", said.removeprefix(f"model connection {name!r}: "))
        return report
    report = ConnectionReport(
        name=name,
        provider=connection.provider,
        model=connection.model,
        where="this machine" if connection.provider == LOCAL else connection.base_url,
        connection=connection,
    )
    key = "a key is set" if connection.api_key is not None else "no key"
    report.add("configured", "ok", f"by {connection.protocol}, {key}")
    if connection.provider == LOCAL:
        report.add("local", "info", "`massgen-bridge local status` tells of the built-in model")
    return report


def _tell_of_pictures(report: ConnectionReport, config: ModelConfig | None) -> None:
    """What becomes of them where the model sees none, and what that needs."""
    if config is None or config.images == "refuse" or report.connection is None:
        return
    if "image" in report.connection.traits.inputs:
        return
    if config.images == "describe":
        report.add("images", "ok", f"images by the words of {config.describe_by!r}")
    elif find_spec("rapidocr") is None:
        report.add("images", "broken", OCR_MISSING)
    else:
        report.add("images", "ok", "images by the text on them")


async def _ask_all(reports: Sequence[ConnectionReport], host: PluginHost, _stop: Stop) -> None:
    async with anyio.create_task_group() as group:
        for report in reports:
            group.start_soon(_ask, report, host)


async def _ask(report: ConnectionReport, host: PluginHost) -> None:
    connection = report.connection
    assert connection is not None  # noqa: S101 - narrows: those without are told already
    with anyio.move_on_after(_PATIENCE_S) as scope:
        if await _is_there(report, connection):
            await _ask_model(report, connection, host)
    if scope.cancelled_caught:
        report.add("time", "broken", f"not done after {_PATIENCE_S:g} s")


async def _is_there(report: ConnectionReport, connection: Connection) -> bool:
    """Whether it is worth while to ask the model itself; the list of models costs nothing."""
    try:
        offered = await offered_models(connection)
    except (NetworkFailed, TimedOut) as error:
        report.add("reachable", "broken", f"not reachable: {error}")
        return False
    except (AuthFailed, PermissionDenied) as error:
        report.add("reachable", "ok", "reachable")
        refused = f"key refused: {error}"
        if connection.api_key is None:
            refused = f"a key is needed: {error} ({no_key_advice(connection)})"
        report.add("key", "broken", refused)
        return False
    except AgentError as error:
        # Not every server has such a list; the first turn tells the rest.
        report.add("reachable", "ok", "reachable")
        hint = path_advice(connection) if isinstance(error, NotFound) else ""
        report.add("model", "info", f"no list of models{hint}")
        return True
    report.add("reachable", "ok", "reachable")
    report.add("key", "ok", "key accepted" if connection.api_key else "no key needed")
    if is_offered(connection.model, offered):
        report.add("model", "ok", "model present")
        return True
    # Deployments and routed models stand in no list; on a server of one's own, it is all there is.
    mine = not connection.api_key
    state: State = "broken" if mine else "info"
    report.add("model", state, f"model not listed: {told_offer(connection.model, offered)}")
    return not mine


async def _ask_model(report: ConnectionReport, connection: Connection, host: PluginHost) -> None:
    try:
        agent = await to_thread.run_sync(_agent, connection, host)
    except (BridgeError, ImportError) as error:
        report.add("streams", "info", f"not asked: {error}")
        return
    try:
        if not await _try(report, agent, "streams", _turn("Say: well.")):
            return
        traits = connection.traits
        forms: dict[str, Turn | None] = {
            "tools": _turn("Call the tool.", tools=(_TOOL,)) if traits.tools else None,
            "schema": _turn("Is all well?", most=_FOR_JSON, output_schema=_SCHEMA)
            if traits.structured
            else None,
            "images": _turn("Which colour is it?", _picture())
            if "image" in traits.inputs
            else None,
        }
        async with anyio.create_task_group() as group:
            for name, turn in forms.items():
                if turn is not None:
                    group.start_soon(_try, report, agent, name, turn)
                elif name not in {told for told, _, _ in report.checks}:
                    report.add(name, "info", f"no {name}")
        # They end in any order, and are told in one.
        report.checks.sort(key=lambda check: [*forms].index(check[0]) if check[0] in forms else -1)
    finally:
        with anyio.CancelScope(shield=True):
            await agent.aclose()


def _agent(connection: Connection, host: PluginHost) -> Agent:
    """The plainest agent that speaks the connection's protocol."""
    spec = host.adapter(_KINDS[connection.protocol])
    once = connection.model_copy(
        update={"retry": connection.retry.model_copy(update={"attempts": 1})}
    )
    return spec.factory(
        AgentContext(
            agent_id=connection.name,
            options=spec.options(),
            connection=once,
            call_model=ModelCalls(once),
            load=_load_nothing,
            base_dir=Path.cwd(),
        )
    )


def _load_nothing(path: str) -> Any:
    raise ConfigError(f"the doctor imports no code of yours, such as {path!r}")


def _turn(text: str, *media: ImagePart, most: int = _FEW_TOKENS, **more: Any) -> Turn:
    message = Message(role="user", parts=(TextPart(text=text), *media)) if media else user(text)
    return Turn(
        run_id="doctor",
        turn_id=text,
        agent_id="doctor",
        messages=(message,),
        limits=Limits(max_output_tokens=most, max_model_calls=1),
        **more,
    ).bind(_answer_tool)


async def _answer_tool(call: ToolCall) -> ToolResult:
    return ToolResult(call_id=call.call_id, name=call.name, content="well", ends_turn=True)


async def _try(report: ConnectionReport, agent: Agent, name: str, turn: Turn) -> bool:
    """Do a turn of a few tokens; what its output limit cuts off was accepted all the same."""
    seen: set[type[Any]] = set()

    async def note(event: TurnEvent, /) -> None:
        seen.add(type(event))

    try:
        await agent.run(turn, note)
    except LimitReached:
        pass
    except ProtocolFailed as error:
        if name != "schema" or TextDelta in seen or ReasoningDelta not in seen:
            report.add(name, "broken", f"{name}: {error}{_advice(name)}")
            return False
    except AgentError as error:
        what = "model not found" if isinstance(error, NotFound) else name
        report.add(name, "broken", f"{what}: {error}{_advice(name)}")
        return False
    if name == "streams" and not seen & {TextDelta, ReasoningDelta}:
        report.add(name, "info", "answers, but does not stream")
    elif name == "tools" and ToolCallStarted not in seen:
        report.add(name, "ok", "tools (offered, not called)")
    else:
        report.add(name, "ok", name)
    return True


def _advice(name: str) -> str:
    key = {"tools": "tools: false", "schema": "structured: false", "images": "inputs: []"}
    return f" (where the model cannot do it, say '{key[name]}')" if name in key else ""


def _picture() -> ImagePart:
    """A square of 16 times 16 red pixels, as PNG."""
    side = 16
    rows = (b"\x00" + b"\xff\x00\x00" * side) * side

    def chunk(name: bytes, data: bytes) -> bytes:
        checked = name + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return ImagePart(media_type="image/png", data=b"\x89PNG\r\n\x1a\n" + b"".join(parts))
