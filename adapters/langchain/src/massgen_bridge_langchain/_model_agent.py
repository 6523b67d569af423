"""An agent that `langchain.agents.create_agent` makes of a model."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any, assert_never

import anyio
import anyio.to_thread
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain_core.messages import AIMessage, BaseMessage

from massgen_bridge import (
    AgentContext,
    AgentError,
    AudioPart,
    ConfigError,
    Connection,
    DocumentPart,
    Emit,
    ImagePart,
    InputKind,
    JsonValue,
    MediaPart,
    Message,
    Part,
    ProtocolFailed,
    StopReason,
    Turn,
    TurnResult,
    UnsupportedContent,
    VideoPart,
)
from massgen_bridge_langchain._answer import finish_of
from massgen_bridge_langchain._convert import (
    from_langchain,
    stop_reason_of,
    to_langchain,
    with_ids,
)
from massgen_bridge_langchain._errors import agent_error
from massgen_bridge_langchain._middleware import END_ID, Running, TurnMiddleware
from massgen_bridge_langchain._model import (
    Clients,
    chat_model,
    keyless,
    limit_parameter,
    sampling_settings,
)
from massgen_bridge_langchain._options import LangChainOptions
from massgen_bridge_langchain._schema import response_format, tool_parameters

__all__ = ["ModelAgent"]

_AUDIO_TYPES = {
    "audio/mp3": "audio/mp3",
    "audio/mpeg": "audio/mp3",
    "audio/vnd.wave": "audio/wav",
    "audio/wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/x-wav": "audio/wav",
}


class ModelAgent:
    """LangChain's agent loop around one model; one compiled graph serves all turns."""

    def __init__(self, context: AgentContext, connection: Connection) -> None:
        self._agent_id = context.agent_id
        self._connection = connection
        self._options: LangChainOptions = context.options
        self._where = f"{connection.name!r} (model {connection.model!r})"
        self._call_model = context.call_model
        self._middleware = _load_middleware(context, self._options.middleware)
        self._limit_parameter = limit_parameter(connection, self._options.max_tokens_parameter)
        self._settings = sampling_settings(connection) | keyless(connection)
        self._inputs = connection.traits.inputs
        self._clients: Clients | None = None
        self._graph: Any = None
        self._lock = anyio.Lock()

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        """Do one turn.

        Raises:
            AgentError: The turn failed; the class says how.
        """
        self._check(turn)
        history = with_ids(to_langchain(_portable(turn.messages, self._inputs)))
        running = self._running(turn, emit)
        graph = self._graph or await self._compiled()
        try:
            state = await graph.ainvoke({"messages": history}, context=running)
        except AgentError:
            raise
        except Exception as error:  # the user's middleware may raise anything
            mapped = agent_error(error, agent_id=self._agent_id, where=self._where)
            if mapped is None:
                raise
            raise mapped from error
        return self._result(turn, running, history, state["messages"])

    async def aclose(self) -> None:
        """Give back the clients."""
        clients, self._clients, self._graph = self._clients, None, None
        if clients is not None:
            await clients.aclose()

    async def _compiled(self) -> Any:
        async with self._lock:
            if self._graph is None:
                # In a thread: making a client reads certificates from disk.
                self._graph = await anyio.to_thread.run_sync(self._compile)
        return self._graph

    def _compile(self) -> Any:
        self._clients = Clients(self._connection, sync=False, retries=0)
        turns = TurnMiddleware(
            agent_id=self._agent_id,
            model=self._connection.model,
            where=self._where,
            call_model=self._call_model,
        )
        return create_agent(
            chat_model(self._connection, self._clients),
            middleware=[*self._middleware, turns],
            context_schema=Running,
        )

    def _running(self, turn: Turn, emit: Emit) -> Running:
        settings = dict(self._settings)
        body = dict(settings.get("extra_body") or {})
        limit = turn.limits.max_output_tokens or self._connection.sampling.max_output_tokens
        if limit is not None:
            body[self._limit_parameter] = limit
        if turn.output_schema is not None:
            # Not as LangChain's own `response_format`: the SDK then parses the answer on its way,
            # makes every tool strict, and raises where the answer is cut off.
            body["response_format"] = response_format(turn.output_schema)
        if body:
            settings["extra_body"] = body
        parallel = self._options.parallel_tool_calls
        return Running(
            turn=turn,
            emit=emit,
            settings=settings,
            tools=tool_parameters(turn.tools),
            tool_settings={} if parallel is None else {"parallel_tool_calls": parallel},
            tool_names=frozenset(tool.name for tool in turn.tools),
        )

    def _check(self, turn: Turn) -> None:
        traits = self._connection.traits
        for wanted, able, what in (
            (bool(turn.tools), traits.tools, "call tools"),
            (turn.output_schema is not None, traits.structured, "be held to an output schema"),
        ):
            if wanted and not able:
                raise UnsupportedContent(
                    f"{self._where} cannot {what}, as its traits say; choose another model, or "
                    "correct the traits of its connection",
                    agent_id=self._agent_id,
                )

    def _result(
        self, turn: Turn, running: Running, history: list[BaseMessage], state: list[BaseMessage]
    ) -> TurnResult:
        known = {message.id for message in history} | {END_ID}
        added = [message for message in state if message.id not in known]
        answer = next((m for m in reversed(added) if isinstance(m, AIMessage)), None)
        if answer is None:
            raise ProtocolFailed(
                f"{self._where}: the agent's middleware left no answer in the history",
                agent_id=self._agent_id,
            )
        messages = from_langchain(added, malformed=running.malformed, results=running.results)
        message = next(one for one in reversed(messages) if one.role == "assistant")
        stop_reason: StopReason = "tool" if running.ended else stop_reason_of(finish_of(answer))
        if "refusal" in answer.additional_kwargs:
            stop_reason = "refusal"
        usages = running.usages
        return TurnResult(
            message=message,
            new_messages=messages,
            stop_reason=stop_reason,
            structured=self._structured(turn, message, stop_reason),
            usage=sum(usages[1:], usages[0]) if usages else None,
        )

    def _structured(
        self, turn: Turn, message: Message, stop_reason: StopReason
    ) -> JsonValue | None:
        if turn.output_schema is None or stop_reason in {"refusal", "tool"}:
            return None
        try:
            return json.loads(message.text)
        except ValueError as error:
            cut = " and was cut off by the output limit" if stop_reason == "length" else ""
            raise ProtocolFailed(
                f"{self._where}: the answer had to be JSON, but is not{cut}: {error}",
                agent_id=self._agent_id,
            ) from error


def _load_middleware(
    context: AgentContext, path: str | None
) -> Sequence[AgentMiddleware[Any, Any]]:
    if path is None:
        return ()
    found = context.load(path)
    middleware = [found] if isinstance(found, AgentMiddleware) else found
    if not isinstance(middleware, Sequence) or not all(
        isinstance(one, AgentMiddleware) for one in middleware
    ):
        raise ConfigError(
            f"agent {context.agent_id!r}: `middleware: {path}` is {found!r}; expected an instance "
            "of langchain.agents.middleware.AgentMiddleware, or a list of them"
        )
    return middleware


def _portable(messages: Sequence[Message], inputs: Collection[InputKind]) -> Iterator[Message]:
    """The history, its media in the form that Chat Completions takes."""
    for message in messages:
        if any(isinstance(part, MediaPart) for part in message.parts):
            parts = tuple(_portable_part(part, inputs) for part in message.parts)
            yield message.model_copy(update={"parts": parts})
        else:
            yield message


def _portable_part(part: Part, inputs: Collection[InputKind]) -> Part:
    if not isinstance(part, MediaPart):
        return part
    if part.type not in inputs:
        taken = ", ".join(sorted(inputs)) or "text only"
        raise UnsupportedContent(
            f"the model takes no {part.type!r} input (it takes: {taken}); leave it out, choose "
            "another model, or correct the traits of its connection"
        )
    match part:
        case ImagePart():
            return part
        case VideoPart():
            raise UnsupportedContent("Chat Completions has no form for video")
        case AudioPart() | DocumentPart() if part.data is None:
            raise UnsupportedContent(
                f"Chat Completions takes {part.type!r} input as data, not by address; "
                f"load {part.url!r} and give its bytes"
            )
        case AudioPart():
            if part.media_type not in _AUDIO_TYPES:
                raise UnsupportedContent(
                    "Chat Completions takes audio as wav or mp3, not as "
                    f"{part.media_type!r}; convert it"
                )
            return part.model_copy(update={"media_type": _AUDIO_TYPES[part.media_type]})
        case DocumentPart():
            name = part.name or f"document.{part.media_type.partition('/')[2]}"
            return part.model_copy(update={"name": name})
        case _:
            assert_never(part)
