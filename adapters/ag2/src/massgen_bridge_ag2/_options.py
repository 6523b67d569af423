from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from massgen_bridge import GroupChat, NoOptions

__all__ = ["AG2Options"]

_OF_MODELS = ("parallel_tool_calls", "max_tokens_parameter")


class AG2Options(NoOptions):
    """What can be set under `backend` beside `type`, `model` and `isolation`."""

    group: GroupChat | None = Field(
        default=None,
        description="A group chat of members that all use `model`; without it, and without `agent` "
        "and `network`, the agent is one AG2 agent on `model`.",
    )
    agent: str | None = Field(
        default=None,
        description="Import path `module:attribute` or `file.py:attribute` of your own "
        "`ag2.Agent`, or of a function that makes one.",
    )
    network: str | None = Field(
        default=None,
        description="Import path of a function that makes your own group: it gets nothing and "
        "returns an `ag2.network` hub and a channel that a participant has opened in it.",
    )
    max_turns: int = Field(
        default=24,
        ge=1,
        le=1000,
        description="Most messages of participants in one turn of the agent. Only with `network`.",
    )
    models: Literal["own", "gateway"] = Field(
        default="own",
        description="Which models your own objects call. `own`: those they are made with. "
        "`gateway`: the one of `model`, through the run's gateway. Only with `agent` or `network`.",
    )
    parallel_tool_calls: bool | None = Field(
        default=None,
        description="Whether the model may call several tools at once; None leaves it to the "
        "provider. Sent only in calls with tools.",
    )
    max_tokens_parameter: Literal["auto", "max_completion_tokens", "max_tokens"] = Field(
        default="auto",
        description="The request parameter that limits the output. `auto`: "
        "`max_completion_tokens` for OpenAI and Azure OpenAI, `max_tokens` elsewhere.",
    )

    @property
    def imported(self) -> str | None:
        """The import path of the user's own object; None where there is none."""
        return self.agent or self.network

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        """Options of another form have no effect: better an error than silence."""
        forms = [name for name in ("group", "agent", "network") if getattr(self, name) is not None]
        if len(forms) > 1:
            raise ValueError(f"give one of {', '.join(map(repr, forms))}, not several")
        idle = ["max_turns"] if self.network is None else []
        idle += ["models"] if self.imported is None else list(_OF_MODELS)
        given = [name for name in idle if name in self.model_fields_set]
        if given:
            form = f"with `{forms[0]}`" if forms else "without `agent` or `network`"
            hint = "; the group's own stands in `group`" if given == ["max_turns"] else ""
            raise ValueError(f"{', '.join(map(repr, given))} cannot be used {form}{hint}")
        return self
