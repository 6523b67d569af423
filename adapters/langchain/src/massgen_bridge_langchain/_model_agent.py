"""An agent that `langchain.agents.create_agent` makes of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio
import anyio.to_thread
import openai
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain_core.messages import AIMessage, BaseMessage

from massgen_bridge import (
    AgentContext,
    AgentError,
    ConfigError,
    Connection,
    Emit,
    JsonValue,
    Message,
    ProtocolFailed,
    StopReason,
    Turn,
    TurnResult,
)
from massgen_bridge.adapting import (
    Lease,
    cancelled_once,
    chat_limit_parameter,
    chat_response_format,
    chat_tools,
    check_traits,
    structured_answer,
)
from massgen_bridge_langchain._convert import (
    finish_of,
    from_langchain,
    stop_reason_of,
    to_langchain,
    with_ids,
)
from massgen_bridge_langchain._errors import agent_error
from massgen_bridge_langchain._media import portable
from massgen_bridge_langchain._model import (
    CLIENTS,
    chat_model,
    key_settings,
    sampling_settings,
)
from massgen_bridge_langchain._options import LangChainOptions
from massgen_bridge_langchain._turn import END_ID, RUNNING, Running, TurnModel, TurnTools

__all__ = ["ModelAgent"]


class ModelAgent:
    """LangChain's agent loop around one model; one compiled graph serves all turns."""

    def __init__(self, context: AgentContext, connection: Connection) -> None:
        self._agent_id = context.agent_id
        self._connection = connection
        self._options: LangChainOptions = context.options
        self._where = f"{connection.name!r} (model {connection.model!r})"
        self._call_model = context.call_model
        self._middleware = _load_middleware(context, self._options.middleware)
        self._limit_parameter = chat_limit_parameter(connection, self._options.max_tokens_parameter)
        self._settings = sampling_settings(connection)
        self._inputs = connection.traits.inputs
        self._leases: dict[str | None, Lease[openai.AsyncOpenAI]] = {}
        self._graphs: dict[str | None, Any] = {}
        self._lock = anyio.Lock()

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        """Do one turn.

        Raises:
            AgentError: The turn failed; the class says how.
        """
        check_traits(turn, self._connection.traits, where=self._where, agent_id=self._agent_id)
        history = with_ids(to_langchain(portable(turn.messages, self._inputs)))
        connection = turn.connection_for(self._connection)
        running = self._running(turn, emit, connection)
        graph = await self._compiled(connection)
        try:
            state = await cancelled_once(lambda: _invoke(graph, history, running))
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
        self._graphs.clear()
        while self._leases:
            await self._leases.popitem()[1].release()

    async def _compiled(self, connection: Connection) -> Any:
        """The graph of all turns that reach the model at one address."""
        address = None if connection is self._connection else connection.base_url
        if address in self._graphs:
            return self._graphs[address]
        if address is not None:  # the keys of turns differ, and go with their requests
            connection = connection.model_copy(update={"api_key": None})
        async with self._lock:
            if address not in self._leases:
                self._leases[address] = await CLIENTS.lease(connection)
            if address not in self._graphs:
                client = self._leases[address].client
                self._graphs[address] = await anyio.to_thread.run_sync(self._compile, client)
        return self._graphs[address]

    def _compile(self, client: openai.AsyncOpenAI) -> Any:
        model = chat_model(
            self._connection,
            client,
            TurnModel,
            agent_id=self._agent_id,
            where=self._where,
            call_model=self._call_model,
        )
        return create_agent(model, middleware=[*self._middleware, TurnTools()])

    def _running(self, turn: Turn, emit: Emit, connection: Connection) -> Running:
        own_key = connection is not self._connection
        settings = self._settings | key_settings(connection, own_key=own_key)
        body = dict(settings.get("extra_body") or {})
        limit = turn.limits.max_output_tokens or self._connection.sampling.max_output_tokens
        if limit is not None:
            body[self._limit_parameter] = limit
        if turn.output_schema is not None:
            # Not as LangChain's own `response_format`: the SDK then parses the answer on its way,
            # makes every tool strict, and raises where the answer is cut off.
            body["response_format"] = chat_response_format(turn.output_schema)
        if body:
            settings["extra_body"] = body
        parallel = self._options.parallel_tool_calls
        return Running(
            turn=turn,
            emit=emit,
            settings=settings,
            tools=chat_tools(turn.tools),
            tool_settings={} if parallel is None else {"parallel_tool_calls": parallel},
            inputs=self._inputs,
            tool_names=frozenset(tool.name for tool in turn.tools),
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
        return structured_answer(
            message.text, stop_reason=stop_reason, where=self._where, agent_id=self._agent_id
        )


async def _invoke(graph: Any, history: list[BaseMessage], running: Running) -> Any:
    RUNNING.set(running)  # in a task of its own, and in those that LangGraph makes from there
    return await graph.ainvoke({"messages": history})


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
