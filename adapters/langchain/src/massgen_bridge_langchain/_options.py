from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from massgen_bridge import Frozen, JsonValue, NoOptions

__all__ = ["Fixed", "FromTurn", "LangChainOptions"]

_OF_GRAPHS = ("state", "models", "input", "input_key", "output_key", "recursion_limit")
_OF_MODELS = ("middleware", "parallel_tool_calls")


FromTurn = Literal["messages", "text", "question", "system"]
"""What of a turn can stand under a key of a graph's state."""


class Fixed(Frozen):
    """What stands under a key of a graph's state in every turn."""

    value: JsonValue


class LangChainOptions(NoOptions):
    """What can be set under `backend` beside `type`, `model` and `isolation`."""

    graph: str | None = Field(
        default=None,
        description="Import path `module:attribute` or `file.py:attribute` of your own LangGraph "
        "graph, Runnable, or function that makes one; without it, the agent is made by "
        "`langchain.agents.create_agent` from `model`.",
    )
    state: dict[str, FromTurn | Fixed] | None = Field(
        default=None,
        min_length=1,
        description="What the graph's state begins with, key by key, in place of `input` and "
        "`input_key`: `messages` (the history as LangChain messages), `text` (the history as one "
        "text), `question` (the last user message, as text), `system` (the system message, as "
        "text), or `{value: …}` for a value of your own. Where no key takes the system message, "
        "it stands before the question.",
    )
    models: Literal["own", "gateway"] = Field(
        default="own",
        description="Whose models the graph calls: those that its own code makes, with its own "
        "keys, or the agent's `model` in place of each of them. `gateway` gives the agent a "
        "process of its own, in which the addresses and keys of OpenAI's and Anthropic's SDKs "
        "are the bridge's.",
    )
    input: Literal["auto", "messages", "text"] = Field(
        default="auto",
        description="What the graph gets: the history as LangChain messages, or as one text. "
        "`auto`: messages for graphs with a `messages` state and for chat models, else text.",
    )
    input_key: str | None = Field(
        default=None,
        min_length=1,
        description="Key of the graph's state, or of the Runnable's input, that the input is put "
        "under. Default: `messages` for graphs that have it, else no key.",
    )
    output_key: str | None = Field(
        default=None,
        min_length=1,
        description="Key of the graph's last state, or of the Runnable's output, that holds the "
        "answer: a text, a message or a list of messages. Default: the last AI message.",
    )
    recursion_limit: int | None = Field(
        default=None, ge=1, description="Steps that the graph may take; None: the graph's own."
    )
    middleware: str | None = Field(
        default=None,
        description="Import path of a LangChain agent middleware, or a list of them, for the "
        "agent made from `model`; its tools become tools of the agent.",
    )
    parallel_tool_calls: bool | None = Field(
        default=None,
        description="Whether the model may call several tools at once; None leaves it to the "
        "provider. Sent only in turns with tools.",
    )
    max_tokens_parameter: Literal["auto", "max_completion_tokens", "max_tokens"] = Field(
        default="auto",
        description="The request parameter that limits the output. `auto`: "
        "`max_completion_tokens` for OpenAI and Azure OpenAI, `max_tokens` elsewhere.",
    )

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        """Options of the other form have no effect: better an error than silence."""
        idle = _OF_GRAPHS if self.graph is None else _OF_MODELS
        given = [name for name in idle if name in self.model_fields_set]
        if given:
            other = "only with `graph`" if self.graph is None else "only without `graph`"
            raise ValueError(f"{', '.join(map(repr, given))} can be used {other}")
        return self

    @model_validator(mode="after")
    def _one_input(self) -> Self:
        given = [name for name in ("input", "input_key") if name in self.model_fields_set]
        if self.state is not None and given:
            raise ValueError(f"{given[0]!r} has no effect beside `state`: leave one of them out")
        return self

    @property
    def takes_messages(self) -> bool:
        """Whether the history can reach the graph as messages."""
        if self.state is None:
            return self.input != "text"
        return "messages" in self.state.values()
