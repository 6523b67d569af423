"""A LangChain chat model from one of the bridge's connections."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from weakref import WeakSet

import openai
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.language_models import LanguageModelInput
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessage, BaseMessage, BaseMessageChunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_openai import ChatOpenAI
from pydantic import Field, SecretStr, SkipValidation

from massgen_bridge import (
    AgentError,
    Connection,
    ModelCaller,
    ModelCallStarted,
    Quirks,
    TurnEvent,
)
from massgen_bridge.adapting import (
    ClientPool,
    Endpoint,
    chat_as_understood,
    check_finish,
    transport,
)
from massgen_bridge_langchain._media import media_behind_results

__all__ = [
    "BRIDGE_MODEL",
    "CLIENTS",
    "BridgeChatModel",
    "GraphClients",
    "GraphModel",
    "chat_model",
    "graph_turn",
    "key_settings",
    "sampling_settings",
]

BRIDGE_MODEL = "massgen_bridge_model"
"""Key in the metadata of each call of a model that was made here."""

_NO_KEY = "none"

C = TypeVar("C", openai.AsyncOpenAI, openai.OpenAI)


class Tell(Protocol):
    """Tells of what happens in a graph."""

    async def __call__(self, event: TurnEvent | None, /) -> None:
        """Tell what the callbacks have kept, and then the event."""


@dataclass(frozen=True, slots=True)
class _GraphTurn:
    """What a model that works in a user's graph has to know of the turn."""

    max_output_tokens: int | None
    may_go_on: Callable[[], None]
    tell: Tell
    streams: WeakSet[AsyncGenerator[Any, None]]
    headers: Mapping[str, Any]


_TURN: ContextVar[_GraphTurn | None] = ContextVar("massgen_bridge_langchain_turn", default=None)


class BridgeChatModel(ChatOpenAI):
    """`ChatOpenAI` that also passes on what only some servers send.

    A refusal becomes the message's text, as it is the answer, and is marked by
    `additional_kwargs["refusal"]`; reasoning arrives in `additional_kwargs["reasoning_content"]`.

    Attributes:
        output_limit: The most tokens of an answer, where the turn does not say otherwise.
        output_limit_parameter: What the request parameter for that is called.
        quirks: What the provider understands of a request.
        kept: Keys of the body that are sent as they are.
    """

    output_limit: int | None = None
    output_limit_parameter: str = "max_tokens"
    quirks: Quirks = Quirks()
    kept: frozenset[str] = frozenset()

    def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        stream = super()._astream(*args, **kwargs)
        if (turn := _TURN.get()) is not None and isinstance(stream, AsyncGenerator):
            turn.streams.add(stream)
        return stream

    def _convert_chunk_to_generation_chunk(
        self,
        chunk: dict[str, Any],
        default_chunk_class: type,
        base_generation_info: dict[str, Any] | None,
    ) -> ChatGenerationChunk | None:
        choices = chunk.get("choices")
        delta = choices[0].get("delta") if choices else None
        rare = delta and _take_rare(delta)
        generation = super()._convert_chunk_to_generation_chunk(
            chunk, default_chunk_class, base_generation_info
        )
        if rare and generation is not None:
            _put_rare(generation.message, rare)
        return generation

    def _get_request_payload(
        self, input_: LanguageModelInput, *, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        turn = _TURN.get()
        if turn is not None:
            turn.may_go_on()
        messages = list(media_behind_results(self._convert_input(input_).to_messages()))
        payload: dict[str, Any] = super()._get_request_payload(messages, stop=stop, **kwargs)
        self._limit_output(payload, turn)
        if turn is not None and turn.headers:
            payload["extra_headers"] = {**(payload.get("extra_headers") or {}), **turn.headers}
        for message, sent in zip(messages, payload["messages"], strict=True):
            if isinstance(message, AIMessage) and message.tool_calls:
                # DeepSeek and its like want their reasoning back while a turn goes on.
                reasoning = message.additional_kwargs.get("reasoning_content")
                if reasoning:
                    sent["reasoning_content"] = reasoning
        return self._as_understood(payload)

    def _as_understood(self, payload: dict[str, Any]) -> dict[str, Any]:
        understood = dict(chat_as_understood(payload, self.quirks, kept=self.kept))
        # The SDK's method refuses what OpenAI has not.
        foreign = {key: understood.pop(key) for key in understood.keys() - payload.keys()}
        body = {**foreign, **(payload.get("extra_body") or {})}
        if body:
            understood["extra_body"] = chat_as_understood(body, self.quirks, kept=self.kept)
        return understood

    def _limit_output(self, payload: dict[str, Any], turn: _GraphTurn | None) -> None:
        limit = (turn and turn.max_output_tokens) or self.output_limit
        if limit is None:
            return
        wanted = payload.pop("max_completion_tokens", None)  # by the graph's own code
        limit = limit if wanted is None else min(limit, wanted)
        body = payload.get("extra_body") or {}
        payload["extra_body"] = {**body, self.output_limit_parameter: limit}


class GraphModel(BridgeChatModel):
    """The model of a user's graph: calls that do not block are made by the host's retry policy.

    The stream is read here, whole, for what a graph has once taken from a stream cannot be taken
    back when it breaks. The callbacks have each piece as it comes.

    Attributes:
        call_model: The retry policy.
        failure_of: The error of massgen-bridge that stands for what a call raised.
    """

    call_model: SkipValidation[ModelCaller] = Field(exclude=True, repr=False)
    failure_of: SkipValidation[Callable[[Exception], AgentError | None]] = Field(
        exclude=True, repr=False
    )

    def _should_stream(self, *, async_api: bool, **kwargs: Any) -> bool:
        mine = async_api and _TURN.get() is not None
        return not mine and super()._should_stream(async_api=async_api, **kwargs)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        turn = _TURN.get()
        if turn is None:  # called while the graph is made
            return await super()._agenerate(messages, stop, run_manager, **kwargs)
        begun = False

        async def tell(event: TurnEvent, /) -> None:
            nonlocal begun
            if begun or not isinstance(event, ModelCallStarted):
                await turn.tell(event)
            begun = True  # the callbacks told of the first attempt

        async def attempt() -> ChatResult:
            try:
                return await self._attempt(turn, messages, stop, run_manager, kwargs)
            except Exception as error:  # the SDK lets errors of its HTTP library through
                failure = self.failure_of(error)
                if failure is None or failure is error:
                    raise
                raise failure from error

        try:
            return await self.call_model(attempt, tell)
        except AgentError as error:
            # The graph's own code may know the framework's errors, and handle them.
            if isinstance(error.__cause__, Exception):
                raise error.__cause__ from None
            raise

    async def _attempt(
        self,
        turn: _GraphTurn,
        messages: list[BaseMessage],
        stop: list[str] | None,
        run_manager: AsyncCallbackManagerForLLMRun | None,
        settings: dict[str, Any],
    ) -> ChatResult:
        chunks: list[ChatGenerationChunk] = []
        items: Any = self._astream(messages, stop=stop, **settings)
        async with aclosing(items) as stream:
            async for chunk in stream:
                chunks.append(chunk)
                if run_manager is not None:
                    await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                    await turn.tell(None)
        check_finish(_finish(chunks))
        return generate_from_stream(iter(chunks))


def _finish(chunks: Sequence[ChatGenerationChunk]) -> str | None:
    infos = (chunk.generation_info or {} for chunk in reversed(chunks))
    return next((info["finish_reason"] for info in infos if info.get("finish_reason")), None)


@asynccontextmanager
async def graph_turn(
    *,
    max_output_tokens: int | None,
    may_go_on: Callable[[], None],
    tell: Tell,
    headers: Mapping[str, Any],
) -> AsyncIterator[None]:
    """A turn of a user's graph; at its end, the streams of the bridge's models are closed.

    A chain that is stopped leaves its inner generators, and so its connection, to the garbage
    collector.

    Args:
        max_output_tokens: The turn's limit, which comes before that of the model.
        may_go_on: Raises where no further request may be sent.
        tell: Takes an event, after those that the callbacks have told of; None for those alone.
        headers: Of each request of the bridge's models.
    """
    turn = _GraphTurn(max_output_tokens, may_go_on, tell, WeakSet(), headers)
    token = _TURN.set(turn)
    try:
        yield
    finally:
        _TURN.reset(token)
        for stream in tuple(turn.streams):
            await stream.aclose()


def _take_rare(delta: dict[str, Any]) -> dict[str, str]:
    """What LangChain would lose of a delta; tool calls without an index get one."""
    for position, call in enumerate(delta.get("tool_calls") or ()):
        if call.get("index") is None:
            call["index"] = position
    reasoning = delta.get("reasoning_content") or delta.get("reasoning")
    found = {"reasoning_content": reasoning, "refusal": delta.get("refusal")}
    return {name: value for name, value in found.items() if isinstance(value, str) and value}


def _put_rare(message: Any, rare: Mapping[str, str]) -> None:
    message.additional_kwargs.update(rare)
    if "refusal" in rare and isinstance(message, BaseMessageChunk):
        message.content = f"{message.content}{rare['refusal']}"


class GraphClients:
    """The clients of one user's graph: made once, used by all its turns, closed at its end.

    Args:
        connection: Where they lead to.
    """

    def __init__(self, connection: Connection) -> None:
        endpoint = Endpoint.of(connection)
        http = transport(openai, endpoint)
        self.asynchronous = _new_client(endpoint)
        http.pop("event_hooks", None)  # asynchronous ones
        # The graph's own code may block. The retry policy does not, so there the SDK itself sends
        # a failed request again, as often.
        self.synchronous = _ours(
            openai.OpenAI(
                http_client=openai.DefaultHttpxClient(**http),
                timeout=http["timeout"],
                max_retries=connection.retry.attempts - 1,
                **_settings(endpoint),
            )
        )

    def lead_to(self, address: str) -> None:
        """Send requests to another address from now on, behind which somebody sees to retries."""
        for client in (self.asynchronous, self.synchronous):
            client.base_url = address
            client.max_retries = 0

    async def aclose(self) -> None:
        """Close every connection."""
        await self.asynchronous.close()
        self.synchronous.close()


def _new_client(endpoint: Endpoint) -> openai.AsyncOpenAI:
    http = transport(openai, endpoint)
    return _ours(
        openai.AsyncOpenAI(
            http_client=openai.DefaultAsyncHttpxClient(**http),
            timeout=http["timeout"],
            max_retries=0,
            **_settings(endpoint),
        )
    )


CLIENTS = ClientPool("massgen_bridge_langchain_clients", _new_client, openai.AsyncOpenAI.close)
"""The clients of all agents that are made of a model."""


def _settings(endpoint: Endpoint) -> dict[str, Any]:
    """The connection's endpoint and headers, and nothing of what stands in the environment."""
    return {
        "base_url": endpoint.base_url,
        "api_key": endpoint.api_key or _NO_KEY,
        "default_headers": endpoint.sent_headers("OPENAI_CUSTOM_HEADERS", openai.Omit()),
    }


def _ours(client: C) -> C:
    # The SDK takes these from the environment; the connection alone says what is sent.
    client.organization = client.project = None
    return client


def chat_model(
    connection: Connection,
    client: openai.AsyncOpenAI,
    kind: type[BridgeChatModel],
    *,
    sync: openai.OpenAI | None = None,
    **fields: Any,
) -> BridgeChatModel:
    """The connection's model, through the given clients.

    Args:
        connection: Names the model.
        client: What it sends its requests with.
        kind: Its class.
        sync: What code that blocks sends them with.
        fields: Further fields of `ChatOpenAI`.
    """
    return kind(
        cache=False,  # each call is made
        model=connection.model,
        base_url=connection.base_url,
        # As an async function it keeps LangChain from making a blocking client of its own.
        api_key=_no_key if sync is None else SecretStr(_NO_KEY),
        root_async_client=client,
        async_client=client.chat.completions,
        root_client=sync,
        client=sync and sync.chat.completions,
        openai_proxy=None,
        stream_usage=True,
        quirks=connection.quirks,
        kept=frozenset(connection.sampling.extra),
        # The wait for bytes is bounded by the clients; a timer a chunk costs a fifth of the call.
        stream_chunk_timeout=None,
        # Otherwise LangChain chooses by the model's name.
        use_responses_api=False,
        metadata={BRIDGE_MODEL: True},
        **fields,
    )


async def _no_key() -> str:
    return _NO_KEY


def sampling_settings(connection: Connection) -> dict[str, Any]:
    """The connection's sampling as parameters of a request, the output limit left out."""
    sampling = connection.sampling
    settings: dict[str, Any] = {
        name: value
        for name in ("temperature", "top_p", "seed")
        if (value := getattr(sampling, name)) is not None
    }
    if sampling.extra:
        settings["extra_body"] = dict(sampling.extra)
    return settings


def key_settings(connection: Connection, *, own_key: bool = False) -> dict[str, Any]:
    """What each request needs so that the SDK sends the connection's key, or none.

    Args:
        connection: The connection.
        own_key: Whether the key is not the client's, and so goes with each request.
    """
    headers = Endpoint.of(connection).key_header(openai.Omit(), own_key=own_key)
    return {"extra_headers": headers} if headers else {}
