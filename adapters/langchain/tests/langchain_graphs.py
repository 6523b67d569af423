"""Graphs and Runnables as users write them; tests reach them by import path."""

from __future__ import annotations

import operator
from typing import Annotated, Any, TypedDict

import openai
from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableConfig, RunnableGenerator, RunnableLambda
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import interrupt

from massgen_bridge import Connection


class EssayState(TypedDict):
    """The state of a graph that holds no conversation."""

    topic: str
    essay: str
    notes: Annotated[list[str], operator.add]


def _count(state: MessagesState) -> dict[str, Any]:
    users = [message for message in state["messages"] if isinstance(message, HumanMessage)]
    return {"messages": [AIMessage(f"{len(users)} questions, last: {users[-1].text}")]}


counting: Any = StateGraph(MessagesState)
counting.add_node("count", _count)
counting.add_edge(START, "count")
counting.add_edge("count", END)

compiled = counting.compile()
remembering = counting.compile(checkpointer=InMemorySaver())


async def _write(state: EssayState) -> dict[str, Any]:
    return {"essay": f"An essay on {state['topic']}.", "notes": ["written"]}


_essay: Any = StateGraph(EssayState)
_essay.add_node("write", _write)
_essay.add_edge(START, "write")
essay = _essay.compile()


class BriefState(TypedDict):
    """The state of a graph with several things to be told."""

    messages: list[BaseMessage]
    topic: str
    persona: str
    talk: str
    words: int
    brief: str


async def _brief(state: BriefState) -> dict[str, Any]:
    told = {**state, "messages": [message.text for message in state.get("messages", ())]}
    return {"brief": " | ".join(f"{key}={told[key]}" for key in sorted(told) if told[key])}


_briefing: Any = StateGraph(BriefState)
_briefing.add_node("brief", _brief)
_briefing.add_edge(START, "brief")
briefing = _briefing.compile()


def _ask(_state: MessagesState) -> dict[str, Any]:
    return {"messages": [AIMessage(str(interrupt("Go on?")))]}


_asking: Any = StateGraph(MessagesState)
_asking.add_node("ask", _ask)
_asking.add_edge(START, "ask")
asking = _asking.compile(checkpointer=InMemorySaver())

_endless: Any = StateGraph(MessagesState)
_endless.add_node("count", _count)
_endless.add_edge(START, "count")
_endless.add_edge("count", "count")
endless = _endless.compile().with_config(recursion_limit=25)


def _fail(_state: MessagesState) -> dict[str, Any]:
    raise ZeroDivisionError("the graph's own fault")


_failing: Any = StateGraph(MessagesState)
_failing.add_node("fail", _fail)
_failing.add_edge(START, "fail")
failing = _failing.compile()

_mute: Any = StateGraph(MessagesState)
_mute.add_node("say_nothing", lambda _state: {})
_mute.add_edge(START, "say_nothing")
mute = _mute.compile()


@entrypoint()
async def workflow(question: str) -> str:
    """LangGraph's functional form."""
    return f"Answer to {question}"


shout: Any = RunnableLambda(lambda text: text.upper())
as_dict: Any = RunnableLambda(lambda text: {"answer": text.upper(), "length": len(text)})
as_number: Any = RunnableLambda(len)


async def _words(texts: Any) -> Any:
    async for text in texts:
        for word in text.split():
            yield f"{word} "


pieces: Any = RunnableGenerator(_words)
not_a_graph = 42


# --- functions that make one ----------------------------------------------------------------------


def make_plain() -> Any:
    """Makes a graph of nothing."""
    return compiled


def make_uncompiled(config: RunnableConfig) -> Any:
    """Takes a config, as LangGraph's own server gives one."""
    assert config["configurable"] == {}
    return counting


async def make_later(connection: Connection, optional: int = 0) -> Any:
    """Is awaited, and told where the model is."""
    model = f"{connection.model}{optional}"
    return RunnableLambda(lambda text: f"{model}: {text}")


def make_agent_graph(model: BaseChatModel) -> Any:
    """The agent of LangChain, with a tool of its own."""
    return create_agent(model, tools=[double])


def make_artist(model: BaseChatModel) -> Any:
    """The agent of LangChain, with a tool that gives a picture."""
    return create_agent(model, tools=[draw])


def make_chain(llm: BaseChatModel) -> Any:
    """A chain in LangChain's expression language."""
    return ChatPromptTemplate.from_template("Say it: {word}") | llm | StrOutputParser()


def make_chat(model: BaseChatModel) -> BaseChatModel:
    """Nothing but the model."""
    return model


def make_team(model: BaseChatModel) -> Any:
    """Two members in a row: a drafting node, and an agent that is a graph itself."""

    async def draft(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    team: Any = StateGraph(MessagesState)
    team.add_node("drafter", draft)
    team.add_node("editor", create_agent(model))
    team.add_edge(START, "drafter")
    team.add_edge("drafter", "editor")
    return team.compile()


def make_blocking(model: BaseChatModel) -> Any:
    """A node that is not async: LangGraph runs it in a thread."""

    def node(state: MessagesState) -> dict[str, list[BaseMessage]]:
        return {"messages": [model.invoke(state["messages"])]}

    graph: Any = StateGraph(MessagesState)
    graph.add_node("model", node)
    graph.add_edge(START, "model")
    return graph.compile()


def make_forgiving(model: BaseChatModel) -> Any:
    """Its own code takes care of failures, as it thinks."""

    async def node(state: MessagesState) -> dict[str, Any]:
        try:
            return {"messages": [await model.ainvoke(state["messages"])]}
        except Exception:  # noqa: BLE001 - what users write
            return {"messages": [AIMessage("never mind")]}

    graph: Any = StateGraph(MessagesState)
    graph.add_node("model", node)
    graph.add_edge(START, "model")
    return graph.compile()


def make_choosy(model: BaseChatModel) -> Any:
    """Handles one error of the model's SDK, and no other."""

    async def node(state: MessagesState) -> dict[str, Any]:
        try:
            return {"messages": [await model.ainvoke(state["messages"])]}
        except openai.RateLimitError:
            return {"messages": [AIMessage("RateLimitError")]}

    graph: Any = StateGraph(MessagesState)
    graph.add_node("model", node)
    graph.add_edge(START, "model")
    return graph.compile()


def make_chatty(model: BaseChatModel) -> Any:
    """Asks its model again and again."""

    async def node(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"]) for _ in range(9)]}

    graph: Any = StateGraph(MessagesState)
    graph.add_node("model", node)
    graph.add_edge(START, "model")
    return graph.compile()


def make_broken() -> Any:
    """Fails."""
    raise KeyError("no such setting")


def make_nothing() -> int:
    """Makes something else."""
    return 42


def make_needy(database: str) -> Any:
    """Needs what nobody has."""
    raise AssertionError(database)


@tool
def double(number: int) -> int:
    """Double a number."""
    if number > 1000:
        raise OverflowError("too large")
    return 2 * number


@tool
def draw() -> list[dict[str, str]]:
    """Draw a dot."""
    return [
        {"type": "text", "text": "A dot."},
        {"type": "image", "base64": "iVBORw0KGgo=", "mime_type": "image/png"},
    ]


async def _chunks(_given: Any) -> Any:
    for text in ("A", " cat"):
        yield AIMessageChunk(content=text)


chunks: Any = RunnableGenerator(_chunks)
