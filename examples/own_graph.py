"""A LangGraph graph of your own: one step writes a draft, the next one makes it shorter.

The bridge calls `graph` once and hands it the agent's model as a LangChain chat model; what stands
in the configuration about the model (provider, key, retries, limits) holds for it, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.messages import HumanMessage
from langgraph.graph import END, START, MessagesState, StateGraph

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

SHORTER = "Say the same in one short sentence."


def graph(model: BaseChatModel) -> Any:
    """Make the graph; its state holds the conversation."""

    async def draft(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    async def shorten(state: MessagesState) -> dict[str, Any]:
        history = [*state["messages"], HumanMessage(SHORTER)]
        return {"messages": [await model.ainvoke(history)]}

    steps = StateGraph(MessagesState)
    steps.add_node("draft", draft)
    steps.add_node("shorten", shorten)
    steps.add_edge(START, "draft")
    steps.add_edge("draft", "shorten")
    steps.add_edge("shorten", END)
    return steps.compile()
