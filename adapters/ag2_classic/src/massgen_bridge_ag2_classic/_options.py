from __future__ import annotations

from pathlib import PurePath
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from massgen_bridge import GroupChat, NoOptions

__all__ = ["AgentConfig", "ClassicOptions", "CodeExecution", "CodeExecutor"]

Name = r"^[A-Za-z][A-Za-z0-9_-]{0,63}$"


class CodeExecutor(NoOptions):
    """Where code that the model writes is run, and for how long."""

    type: Literal["LocalCommandLineCodeExecutor"] = Field(
        default="LocalCommandLineCodeExecutor",
        description="What runs the code: a program on this machine, with your rights.",
    )
    timeout: float = Field(
        default=60.0, gt=0, allow_inf_nan=False, description="Seconds for each block of code."
    )
    work_dir: str = Field(
        default=".",
        description="Folder within the agent's workspace that the code is written to and run in.",
    )

    @field_validator("work_dir")
    @classmethod
    def _within(cls, value: str) -> str:
        path = PurePath(value)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(
                f"{value!r} leads out of the agent's workspace; give a path relative to it"
            )
        return value


class CodeExecution(NoOptions):
    """Running the code that the model writes."""

    executor: CodeExecutor = Field(
        default_factory=CodeExecutor, description="Where the code is run, and for how long."
    )
    max_runs: int = Field(
        default=5,
        ge=1,
        le=100,
        description="How often in one turn code is run; an answer with code in it that comes "
        "later stands as it is.",
    )


class AgentConfig(NoOptions):
    """A single agent of classic AG2, with AG2's own names."""

    type: Literal["assistant", "conversable"] = Field(
        default="conversable",
        description="`assistant`: an AssistantAgent, which has AG2's instruction for solving tasks "
        "by code where `system_message` gives none. `conversable`: a ConversableAgent, which has "
        "no instruction of its own.",
    )
    name: str | None = Field(
        default=None,
        pattern=Name,
        description="The agent's name in AG2. Default: the agent's id.",
    )
    system_message: str | None = Field(
        default=None,
        description="What the model is told before all else; the agent's own `system_message` and "
        "the host's come behind it.",
    )
    human_input_mode: Literal["NEVER", "ALWAYS"] = Field(
        default="NEVER",
        description="`ALWAYS`: a person is asked before each answer, and what the person writes "
        "takes the model's place.",
    )
    code_execution_config: CodeExecution | Literal[False] = Field(
        default=False,
        description="Whether and how code that the model writes in Markdown blocks (Python and "
        "shell) is run on this machine. `false`: it is not.",
    )

    @model_validator(mode="before")
    @classmethod
    def _model_elsewhere(cls, given: Any) -> Any:
        if isinstance(given, dict) and "llm_config" in given:
            raise ValueError(
                "`llm_config` has no place here: give the model as `model` beside `type`, such as "
                "`model: gpt-4o`, and its settings under `models`"
            )
        return given


class ClassicOptions(NoOptions):
    """What can be set under `backend` beside `type`, `model` and `isolation`."""

    agent_config: AgentConfig = Field(
        default_factory=AgentConfig, description="A single agent, made from `model`."
    )
    group: GroupChat | None = Field(
        default=None, description="A group chat whose members all speak by `model`."
    )
    context_variables: dict[str, str | int | float | bool] | None = Field(
        default=None,
        description="Values of the group's context variables; `{name}` in a member's "
        "`system_message` stands for one.",
    )
    chat: str | None = Field(
        default=None,
        description="Import path `module:attribute` or `file.py:attribute` of your own agent, "
        "GroupChat, GroupChatManager, group pattern, or function that makes one.",
    )
    models: Literal["own", "gateway"] = Field(
        default="own",
        description="Which models your own `chat` uses. `own`: those it names itself, with keys "
        "from `backend.env`. `gateway`: `model`, whatever it names.",
    )
    max_turns: int = Field(
        default=12,
        ge=1,
        le=1000,
        description="Most messages in one turn of your own `chat`; a GroupChat has its own "
        "`max_round`, too.",
    )
    human_input: Literal["end", "ask"] = Field(
        default="end",
        description="What happens where your own `chat` asks for a person's input. `end`: the "
        "conversation ends there, and its last message is the answer. `ask`: a person is asked.",
    )
    max_tokens_parameter: Literal["auto", "max_completion_tokens", "max_tokens"] = Field(
        default="auto",
        description="The request parameter that limits the output. `auto`: "
        "`max_completion_tokens` for OpenAI and Azure OpenAI, `max_tokens` elsewhere.",
    )

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        """Options of another form have no effect: better an error than silence."""
        given = self.model_fields_set
        forms = [name for name in ("agent_config", "group", "chat") if name in given]
        if len(forms) > 1:
            raise ValueError(f"give one of {', '.join(map(repr, forms))}, not several")
        idle = {
            "chat": ("models", "max_turns", "human_input"),
            "group": ("context_variables",),
        }
        for form, names in idle.items():
            useless = [name for name in names if name in given]
            if useless and getattr(self, form) is None:
                raise ValueError(f"{', '.join(map(repr, useless))} can be used only with {form!r}")
        if self.chat is not None and "max_tokens_parameter" in given:
            raise ValueError("'max_tokens_parameter' can be used only without 'chat'")
        return self
