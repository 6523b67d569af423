from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from massgen_bridge import JsonValue, NoOptions

__all__ = ["CrewAIOptions"]

_OF_AGENTS = ("role", "goal", "backstory", "max_iter", "parallel_tool_calls")
_OF_CREW_FILES = ("process",)
_OF_OBJECTS = ("models",)
_OF_GROUPS = ("inputs", "input_key")
_OF_FLOWS = ("output_key",)


class CrewAIOptions(NoOptions):
    """What can be set under `backend` beside `type`, `model` and `isolation`."""

    role: str | None = Field(
        default=None,
        min_length=1,
        description="Who the agent is; CrewAI puts it above the history. Without `role`, `goal` "
        "and `backstory`, the model sees the history alone.",
    )
    goal: str | None = Field(default=None, min_length=1, description="What the agent is after.")
    backstory: str | None = Field(
        default=None, min_length=1, description="Where the agent comes from, and what it knows."
    )
    max_iter: int = Field(
        default=25,
        ge=1,
        description="Model calls after which CrewAI asks an agent with tools for its final answer; "
        "the run's own limit holds, too.",
    )
    parallel_tool_calls: bool | None = Field(
        default=None,
        description="Whether the model may call several tools at once; None leaves it to the "
        "provider. Sent only in turns with tools.",
    )
    agents: str | None = Field(
        default=None,
        min_length=1,
        description="The `agents.yaml` of a crew, relative to the configuration; with `tasks`.",
    )
    tasks: str | None = Field(
        default=None,
        min_length=1,
        description="The `tasks.yaml` of a crew, relative to the configuration; with `agents`.",
    )
    process: Literal["sequential", "hierarchical"] = Field(
        default="sequential",
        description="Who gives out the tasks of a crew from files: they come one after the other, "
        "or a manager, whom CrewAI makes of `model`, gives them out.",
    )
    crew: str | None = Field(
        default=None,
        description="Import path `module:attribute` or `file.py:attribute` of your own `Crew`, "
        "of a class made with `@CrewBase`, or of a function that makes a crew.",
    )
    flow: str | None = Field(
        default=None,
        description="Import path of your own `Flow` class, of a flow, or of a function that makes "
        "one.",
    )
    models: Literal["own", "gateway"] = Field(
        default="own",
        description="Which models the objects of `crew` and `flow` use: their own, or `model`, "
        "which every call is led to.",
    )
    inputs: dict[str, JsonValue] = Field(
        default_factory=dict, description="Inputs of the crew or flow beside the question."
    )
    input_key: str | None = Field(
        default=None,
        min_length=1,
        description="The input that gets the question: `topic` for `{topic}`. Default: the only "
        "one that the crew asks for and `inputs` does not have; else `task`.",
    )
    output_key: str | None = Field(
        default=None,
        min_length=1,
        description="The field of the flow's state that holds the answer. Default: what its last "
        "method returns.",
    )
    max_tokens_parameter: Literal["auto", "max_completion_tokens", "max_tokens"] = Field(
        default="auto",
        description="The request parameter that limits the output. `auto`: "
        "`max_completion_tokens` for OpenAI and Azure OpenAI, `max_tokens` elsewhere.",
    )

    @property
    def is_crew_of_files(self) -> bool:
        """Whether it is a crew from `agents.yaml` and `tasks.yaml`."""
        return self.agents is not None

    @property
    def path(self) -> str | None:
        """The import path of the user's own crew or flow; None where there is none."""
        return self.crew or self.flow

    @property
    def is_group(self) -> bool:
        """Whether it is a crew or a flow."""
        return self.is_crew_of_files or self.path is not None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        """Options of another form have no effect: better an error than silence."""
        if (self.agents is None) != (self.tasks is None):
            raise ValueError("'agents' and 'tasks' belong together: give both files, or none")
        forms = [name for name in ("agents", "crew", "flow") if getattr(self, name) is not None]
        if len(forms) > 1:
            raise ValueError(f"{' and '.join(map(repr, forms))} exclude each other")
        for names, useful, where in (
            (_OF_AGENTS, not self.is_group, "without 'agents', 'crew' and 'flow'"),
            (_OF_CREW_FILES, self.is_crew_of_files, "with 'agents' and 'tasks'"),
            (_OF_OBJECTS, self.path is not None, "with 'crew' or 'flow'"),
            (_OF_GROUPS, self.is_group, "with 'agents', 'crew' or 'flow'"),
            (_OF_FLOWS, self.flow is not None, "with 'flow'"),
        ):
            given = [name for name in names if name in self.model_fields_set]
            if given and not useful:
                raise ValueError(f"{', '.join(map(repr, given))} can be used only {where}")
        return self
