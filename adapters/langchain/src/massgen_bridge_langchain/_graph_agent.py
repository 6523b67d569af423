"""An agent that is a LangGraph graph or another Runnable of the user's own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Any

import anyio
import openai
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.runnables import AddableDict, Runnable
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.pregel import Pregel
from pydantic import BaseModel

from massgen_bridge import (
    AgentContext,
    AgentCrashed,
    AgentError,
    Connection,
    Emit,
    Message,
    ProtocolFailed,
    ReasoningDelta,
    TextDelta,
    ToolFailed,
    Turn,
    TurnEvent,
    TurnResult,
    UnsupportedContent,
    assistant,
)
from massgen_bridge.adapting import Endpoint, as_text, cancelled_once, chat_limit_parameter
from massgen_bridge_langchain._convert import (
    finish_of,
    from_langchain,
    reasoning_of,
    stop_reason_of,
    text_of,
    to_langchain,
    with_ids,
)
from massgen_bridge_langchain._errors import agent_error, chain
from massgen_bridge_langchain._load import (
    GraphSource,
    has_messages,
    speaks_as_model,
    takes_messages,
)
from massgen_bridge_langchain._media import portable
from massgen_bridge_langchain._model import (
    GraphClients,
    GraphModel,
    chat_model,
    graph_turn,
    key_settings,
    sampling_settings,
)
from massgen_bridge_langchain._options import LangChainOptions
from massgen_bridge_langchain._state import state_of
from massgen_bridge_langchain._watch import Watcher

__all__ = ["GraphAgent"]

_INTERRUPT = "__interrupt__"


class GraphAgent:
    """Runs somebody's graph, turn by turn; what happens inside stays the graph's own business."""

    def __init__(self, context: AgentContext, *, path: str) -> None:
        self._agent_id = context.agent_id
        self._where = f"graph {path!r}"
        self._options: LangChainOptions = context.options
        self._call_model = context.call_model
        self._clients: GraphClients | None = None
        offers: dict[str, Any] = {"config": lambda: {"configurable": {}}}
        self._connection = connection = context.connection
        self._inputs = None if connection is None else connection.traits.inputs
        if connection is not None:
            offers |= {"connection": lambda: connection, "model": lambda: self._model(connection)}
        self._source = GraphSource(context.load(path), path=path, offers=offers)

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        """Do one turn.

        Raises:
            AgentError: The turn failed; the class says how.
        """
        messages = self._checked(turn)
        history = with_ids(to_langchain(messages))
        runnable = await self._source.get()
        given = self._input(runnable, turn, messages, history)
        watcher = Watcher(
            turn.limits, deltas=isinstance(runnable, Pregel) or self._speaks_as_model(runnable)
        )
        spoken = False

        async def tell(event: TurnEvent, /) -> None:
            nonlocal spoken
            spoken = spoken or isinstance(event, TextDelta)
            await emit(event)

        try:
            output = await cancelled_once(
                lambda: self._output(runnable, given, turn, watcher, tell)
            )
        except anyio.get_cancelled_exc_class():
            watcher.stop()
            raise
        except Exception as error:  # the user's own code may raise anything
            await _tell(watcher, tell)
            mapped = self._mapped(error, watcher)
            if mapped is None:
                raise
            raise mapped from error
        await _tell(watcher, tell)
        if watcher.failure is not None:  # the graph's own code caught it
            raise self._named(watcher.failure)
        result = self._result(output, history, watcher, in_state=has_messages(runnable))
        if result.text and not spoken:  # the graph's own code wrote it
            await emit(TextDelta(text=result.text))
        return result

    async def aclose(self) -> None:
        """Give back the clients of the model that the graph was made with."""
        clients, self._clients = self._clients, None
        if clients is not None:
            await clients.aclose()

    def _model(self, connection: Connection) -> Any:
        """The chat model that a factory asks for; the graph's own code calls it."""
        if self._clients is None:
            self._clients = GraphClients(connection)
        where = f"{connection.name!r} (model {connection.model!r})"
        return chat_model(
            connection,
            self._clients.asynchronous,
            GraphModel,
            call_model=self._call_model,
            failure_of=lambda error: agent_error(
                error, agent_id=self._agent_id, where=where, in_model_call=True
            ),
            sync=self._clients.synchronous,
            output_limit=connection.sampling.max_output_tokens,
            output_limit_parameter=chat_limit_parameter(
                connection, self._options.max_tokens_parameter
            ),
            model_kwargs=key_settings(connection),
            **sampling_settings(connection),
        )

    def _reach(self, turn: Turn) -> dict[str, Any]:
        """The headers of a turn's requests; sees to their address."""
        if self._connection is None:
            return {}
        connection = turn.connection_for(self._connection)
        if connection is self._connection:
            return {}
        if self._clients is not None:
            # The same for all turns, where the turns have one of their own at all.
            self._clients.lead_to(connection.base_url)
        return Endpoint.of(connection).key_header(openai.Omit(), own_key=True)

    def _checked(self, turn: Turn) -> Sequence[Message]:
        if turn.tools or turn.output_schema is not None:
            raise UnsupportedContent(
                f"{self._where}: a graph has its own tools and its own form of answer; a turn can "
                "give it neither",
                agent_id=self._agent_id,
            )
        if self._inputs is None:  # whatever models it has are its own
            return turn.messages
        return tuple(portable(turn.messages, self._inputs))

    # --- running it -------------------------------------------------------------------------------

    def _input(
        self,
        runnable: Runnable[Any, Any],
        turn: Turn,
        messages: Sequence[Message],
        history: list[BaseMessage],
    ) -> Any:
        if self._options.state is not None:
            return state_of(self._options.state, turn, messages, history)
        in_state = has_messages(runnable)
        key = self._options.input_key or ("messages" if in_state else None)
        form = self._options.input
        if form == "auto":
            form = "messages" if key == "messages" or takes_messages(runnable) else "text"
        if form == "messages":
            return history if key is None else {key: history}
        text = as_text(messages, carrier="LangChain")
        if key is None:
            return text
        return {key: [HumanMessage(text)] if in_state and key == "messages" else text}

    async def _output(
        self, runnable: Runnable[Any, Any], given: Any, turn: Turn, watcher: Watcher, emit: Emit
    ) -> Any:
        async def tell(event: TurnEvent | None, /) -> None:
            await _tell(watcher, emit)
            if event is not None:
                await emit(event)

        async with graph_turn(
            max_output_tokens=turn.limits.max_output_tokens,
            may_go_on=watcher.go_on,
            tell=tell,
            headers=self._reach(turn),
        ):
            if isinstance(runnable, Pregel):
                return await self._run_graph(runnable, given, turn, watcher, emit)
            return await self._run_plain(runnable, given, watcher, emit)

    async def _run_graph(
        self,
        graph: Pregel[Any, Any, Any, Any],
        given: Any,
        turn: Turn,
        watcher: Watcher,
        emit: Emit,
    ) -> Any:
        """The graph's last state.

        `messages` is streamed only to make LangGraph stream its models: the watcher has each
        event of it, in order with all others.
        """
        thread = f"{turn.run_id}:{turn.turn_id}"
        config: Any = {"callbacks": [watcher], "configurable": {"thread_id": thread}}
        if self._options.recursion_limit is not None:
            config["recursion_limit"] = self._options.recursion_limit
        state: Any = None
        try:
            items: Any = graph.astream(
                given, config, stream_mode=["messages", "updates", "values"], subgraphs=True
            )
            async with aclosing(items) as stream:
                async for namespace, mode, data in stream:
                    await _tell(watcher, emit)
                    if watcher.failure is not None:
                        raise watcher.failure
                    if mode == "values" and not namespace:
                        state = data
                    elif mode == "updates" and _INTERRUPT in data:
                        raise AgentCrashed(
                            f"the graph asks a person ({data[_INTERRUPT]!r}), but no person takes "
                            "part in a turn; run it without interrupts"
                        )
        finally:
            # The host keeps the history; what a saver on disk keeps is for the user to look at.
            if isinstance(graph.checkpointer, InMemorySaver):
                graph.checkpointer.delete_thread(thread)
        return state

    async def _run_plain(
        self, runnable: Runnable[Any, Any], given: Any, watcher: Watcher, emit: Emit
    ) -> Any:
        """The output of a Runnable that is no graph, put together from its pieces."""
        config: Any = {"callbacks": [watcher]}
        pieces: list[Any] = []
        told = self._speaks_as_model(runnable)  # by the watcher
        items: Any = runnable.astream(given, config)
        async with aclosing(items) as stream:
            async for piece in stream:
                await _tell(watcher, emit)
                pieces.append(piece)
                if told:
                    continue
                said = self._picked(piece, required=False)
                if isinstance(said, AIMessage):
                    if reasoning := reasoning_of(said):
                        await emit(ReasoningDelta(text=reasoning))
                    said = text_of(said)
                if isinstance(said, str) and said:
                    await emit(TextDelta(text=said))
        return _joined(pieces)

    def _speaks_as_model(self, runnable: Runnable[Any, Any]) -> bool:
        return self._options.output_key is None and speaks_as_model(runnable)

    # --- what came of it --------------------------------------------------------------------------

    def _picked(self, output: Any, *, required: bool = True) -> Any:
        key = self._options.output_key
        if key is None:
            return output
        if isinstance(output, Mapping) and key in output:
            return output[key]
        if not required:
            return None
        there = f"the keys {', '.join(map(repr, output))}" if isinstance(output, Mapping) else ""
        raise ProtocolFailed(
            f"{self._where}: its output has no {key!r}, as `output_key` says; "
            f"it has {there or f'the type {type(output).__name__!r}'}",
            agent_id=self._agent_id,
        )

    def _result(
        self, output: Any, history: list[BaseMessage], watcher: Watcher, *, in_state: bool
    ) -> TurnResult:
        if in_state and self._options.output_key is None:
            output = output["messages"]
        else:
            output = self._picked(output)
        usage = sum(watcher.usages[1:], watcher.usages[0]) if watcher.usages else None
        if isinstance(output, BaseMessage):
            output = [output]
        if not isinstance(output, list) or not any(isinstance(o, BaseMessage) for o in output):
            message = assistant(self._text(output))
            return TurnResult(message=message, new_messages=(message,), usage=usage)
        known = {message.id for message in history}
        added = [message for message in output if message.id not in known]
        answer = next((m for m in reversed(added) if isinstance(m, AIMessage)), None)
        if answer is None:
            raise ProtocolFailed(
                f"{self._where}: it ended without an AI message; if its answer stands elsewhere, "
                "say by `output_key` where",
                agent_id=self._agent_id,
            )
        messages = from_langchain(added)
        refused = "refusal" in answer.additional_kwargs
        return TurnResult(
            message=next(one for one in reversed(messages) if one.role == "assistant"),
            new_messages=messages,
            stop_reason="refusal" if refused else stop_reason_of(finish_of(answer)),
            usage=usage,
        )

    def _text(self, output: Any) -> str:
        if isinstance(output, str):
            return output
        if output is None or (isinstance(output, Mapping) and self._options.output_key is None):
            there = "nothing" if output is None else f"the keys {', '.join(map(repr, output))}"
            raise ProtocolFailed(
                f"{self._where}: its output has {there}; say by `output_key` which key holds the "
                "answer",
                agent_id=self._agent_id,
            )
        return json.dumps(output, default=_plain, ensure_ascii=False)

    def _mapped(self, error: Exception, watcher: Watcher) -> AgentError | None:
        causes = list(chain(error))
        if watcher.tool_error in causes:
            return ToolFailed(
                f"{self._where}: one of its tools raised {type(error).__name__}: {error}",
                agent_id=self._agent_id,
            )
        if watcher.failure is not None:
            return self._named(watcher.failure)
        in_model_call = watcher.model_error in causes
        return agent_error(
            error, agent_id=self._agent_id, where=self._where, in_model_call=in_model_call
        )

    def _named(self, failure: AgentError) -> AgentError:
        return type(failure)(f"{self._where}: {failure}", agent_id=self._agent_id)


def _plain(value: object) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)


async def _tell(watcher: Watcher, emit: Emit) -> None:
    while watcher.events:
        await emit(watcher.events.popleft())


def _joined(pieces: list[Any]) -> Any:
    """The whole of which these are the pieces, as LangChain itself would add them up."""
    if not pieces:
        return None
    if all(isinstance(piece, str) for piece in pieces):
        return "".join(pieces)
    if all(isinstance(piece, AIMessageChunk) for piece in pieces):
        return pieces[0] + pieces[1:]
    if all(isinstance(piece, Mapping) for piece in pieces):
        return sum(map(AddableDict, pieces[1:]), AddableDict(pieces[0]))
    return pieces[-1]
