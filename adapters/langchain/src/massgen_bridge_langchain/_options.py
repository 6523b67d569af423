from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from massgen_bridge import NoOptions

__all__ = ["LangChainOptions"]

_OF_GRAPHS = ("input", "input_key", "output_key", "recursion_limit")
_OF_MODELS = ("middleware", "parallel_tool_calls")


class LangChainOptions(NoOptions):
    """What can be set under `backend` beside `type`, `model` and `isolation`."""

    graph: str | None = Field(
        default=None,
        description="Import path `module:attribute` or `file.py:attribute` of your own LangGraph "
        "graph, Runnable, or function that makes one; without it, the agent is made by "
        "`langchain.agents.create_agent` from `model`.",
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
