"""The current form of a configuration: what may stand in a file with `version: 1`.

These models are also the source of the JSON Schema and of the reference of the YAML. A kind, a
strategy and a sink have keys of their own beside those given here: `options` holds them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from massgen_bridge.agent import Limits
from massgen_bridge.budget import Budget
from massgen_bridge.config.source import KeyPath, Source
from massgen_bridge.events import TeamRole
from massgen_bridge.isolation.placement import Isolation
from massgen_bridge.messages import Frozen, JsonValue
from massgen_bridge.models.provider_rows import (
    PROVIDER_NAME,
    ProviderConfig,
    provider_specs,
)
from massgen_bridge.models.settings import ModelConfig

if TYPE_CHECKING:
    from massgen_bridge.specs import ProviderSpec

__all__ = [
    "AGENT_ID_PATTERN",
    "AgentConfig",
    "BackendConfig",
    "Document",
    "RunConfig",
    "SinkConfig",
    "StrategyConfig",
    "TimeoutSettings",
    "UiConfig",
    "UploadFile",
]

AGENT_ID_PATTERN = r"^[A-Za-z0-9_.-]{1,64}$"
_VARIABLE_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*$"

Options = dict[str, JsonValue]


class _Settings(Frozen):
    model_config = ConfigDict(defer_build=True, strict=True)


class UploadFile(_Settings):
    """A file that an agent gets with every task; exactly one key names it."""

    image_path: str | None = Field(
        default=None, min_length=1, description="A picture, relative to this file."
    )
    url: str | None = Field(default=None, min_length=1, description="The address of a picture.")
    file_path: str | None = Field(
        default=None,
        min_length=1,
        description="A file of any kind, such as a text or a PDF, relative to this file; or the "
        "address of one.",
    )

    @model_validator(mode="before")
    @classmethod
    def _is_named(cls, given: object) -> object:
        if not isinstance(given, str):
            return given
        raise ValueError(f"expected a mapping that names the file, such as 'file_path: {given}'")

    @model_validator(mode="after")
    def _names_one(self) -> UploadFile:
        if len(self.model_dump(exclude_none=True)) != 1:
            raise ValueError("give exactly one of 'image_path', 'url' and 'file_path'")
        return self


class BackendConfig(_Settings):
    """What an agent is made of."""

    type: str = Field(
        description="The agent's kind: a name from `massgen-bridge adapters`, such as `openai`, "
        "`langchain`, `python` or `scripted`. It decides which further keys there are."
    )
    model: str | None = Field(
        default=None,
        min_length=1,
        description="The model: a name from `models:`, the name of a provider with a model of "
        "its own (`local`), `provider/model`, or a plain model name of the kind's usual provider.",
    )
    isolation: Isolation = Field(
        default="auto",
        description="Where the agent runs. `none`: in the same process. `process`: in a process "
        "of its own, with the packages that are installed here. `environment`: in a process with "
        "packages of its own, which `massgen-bridge env sync` installs. `auto`: in an environment "
        "where the framework is not installed here, else in a process for kinds that need one, "
        "else in the same process.",
    )
    env: tuple[Annotated[str, Field(pattern=_VARIABLE_PATTERN)], ...] = Field(
        default=(),
        description="Names of environment variables that the agent's own process gets, such as "
        "`OPENAI_API_KEY` for models that your own objects call. Only for agents with a process "
        "of their own: those in the same process have all variables.",
    )
    packages: tuple[str, ...] = Field(
        default=(),
        description="pip requirements of your own code beside those of the kind, each with a "
        "lowest version, such as `crewai-tools>=1.15`. Where they are not installed here, `auto` "
        "gives the agent an environment that holds them.",
    )
    upload_files: tuple[UploadFile, ...] = Field(
        default=(),
        description="Pictures and other files that this agent gets with every task, each by "
        "`image_path`, `url` or `file_path`. Agents of every kind that takes such files can have "
        "some.",
    )
    options: Options = Field(
        default_factory=dict,
        description="The kind's own keys; in a file they stand beside `type`.",
    )


class AgentConfig(_Settings):
    """One agent of the team."""

    id: str = Field(
        pattern=AGENT_ID_PATTERN,
        description="The agent's name, unique in the file: letters, digits, `_`, `.`, `-`; at "
        "most 64 of them. Ties go to the agent that stands first.",
    )
    system_message: str | None = Field(
        default=None, description="What the agent is told before every task."
    )
    backend: BackendConfig = Field(description="What the agent is made of.")
    ballot: Literal["auto", "tools", "schema", "text"] = Field(
        default="auto",
        description="How the agent votes: by calling a tool, by structured output, or by a "
        "marked block of text. `auto` takes the first of these that the agent can do; on the "
        "built-in local model, `schema` comes first.",
    )
    roles: tuple[TeamRole, ...] = Field(
        default=("propose", "vote"),
        min_length=1,
        description="What the agent does in a team that votes: `propose` answers, `vote` on them, "
        "`break_ties` between equals.",
    )
    weight: float = Field(
        default=1.0, gt=0, allow_inf_nan=False, description="What the agent's vote counts."
    )
    tools: tuple[str, ...] = Field(
        default=(), description="Names of the tools that the agent may call."
    )
    limits: Limits = Field(
        default_factory=Limits,
        description="What one turn may use: `max_output_tokens`, `max_model_calls`, "
        "`max_tool_calls`, `idle_s` (longest silence) and `wall_s` (longest turn), in seconds.",
    )
    budget: Budget = Field(
        default_factory=Budget,
        description="What the agent may use in all its turns. Then it gets no further one; what "
        "it gave stays, and the others go on.",
    )


class StrategyConfig(_Settings):
    """How the agents come to one answer."""

    type: str = Field(
        default="consensus",
        description="Name of the strategy, such as `consensus` or `single`. It decides which "
        "further keys there are.",
    )
    options: Options = Field(
        default_factory=dict,
        description="The strategy's own keys; in a file they stand beside `type`.",
    )


class SinkConfig(_Settings):
    """Somewhere that the records of a run go, beside the journal."""

    type: str = Field(
        description="Kind of sink, from a plugin. It decides which further keys there are."
    )
    options: Options = Field(
        default_factory=dict, description="The sink's own keys; in a file they stand beside `type`."
    )


class TimeoutSettings(_Settings):
    """How long a run may take."""

    orchestrator_timeout_seconds: Annotated[float, Field(gt=0)] | None = Field(
        default=1800.0,
        description="Longest run in seconds; then the best answer so far counts. `null`: no limit.",
    )


class UiConfig(_Settings):
    """What is shown while a run goes on."""

    display: Literal["auto", "rich", "plain", "none"] = Field(
        default="auto",
        description="`rich` redraws the terminal, `plain` prints lines, `none` shows nothing; "
        "`auto` is `rich` on a terminal and `plain` elsewhere.",
    )


class Document(_Settings):
    """A whole configuration."""

    version: Literal[1] = Field(description="The form of this file: `1`.")
    models: dict[str, ModelConfig] = Field(
        default_factory=dict,
        description="Connections to models, by a name of your own that any agent can use.",
    )
    providers: dict[Annotated[str, Field(pattern=PROVIDER_NAME)], ProviderConfig] = Field(
        default_factory=dict,
        description="Providers of models beside those that are known, by a name of your own: what "
        "`provider` under `models:` and the part before the slash in `backend.model` may say.",
    )
    agents: tuple[AgentConfig, ...] = Field(
        min_length=1, description="The team, in the order that decides ties."
    )
    images: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=(),
        description="Pictures that go along with every task: files, relative to this one, or "
        "addresses.",
    )
    strategy: StrategyConfig = Field(
        default_factory=StrategyConfig,
        description="How the agents come to one answer: a strategy's name, or a mapping with "
        "`type` and the strategy's own keys.",
    )
    timeout_settings: TimeoutSettings = Field(
        default_factory=TimeoutSettings, description="How long the run may take."
    )
    budget: Budget = Field(
        default_factory=Budget,
        description="What the run may use in all; then it ends with the best answer so far.",
    )
    plugins: tuple[str, ...] = Field(
        default=(),
        description="Plugins to load for this run, beside the installed ones: modules "
        "(`package.module`) or files (`./hooks.py`, relative to this file). Asks for trust.",
    )
    sinks: tuple[SinkConfig, ...] = Field(
        default=(),
        description="Where the records of the run go, beside the journal: a sink's name, or a "
        "mapping with `type` and the sink's own keys.",
    )
    ui: UiConfig = Field(
        default_factory=UiConfig, description="What is shown while the run goes on."
    )


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """A configuration in which everything that could be checked is right.

    Attributes:
        document: What the file says.
        source: Where it came from, and where each value stands.
        agent_options: The options of each agent as its kind's options model, by agent id.
        strategy_options: The strategy's options as its options model.
        sink_options: The same for each sink, in their order.
        unchecked: Paths of names that only the file's own plugins may know; `activate`
            checks them.
        teams: The configurations of the agents that are teams, by agent id.
        inherited: Connections of the file around a team that is written out in it.
        inherited_providers: Providers of that file.
    """

    document: Document
    source: Source
    agent_options: Mapping[str, BaseModel] = field(default_factory=dict)
    strategy_options: BaseModel | None = None
    sink_options: tuple[BaseModel | None, ...] = ()
    unchecked: tuple[KeyPath, ...] = ()
    teams: Mapping[str, RunConfig] = field(default_factory=dict)
    inherited: Mapping[str, ModelConfig] = field(default_factory=dict)
    inherited_providers: Mapping[str, ProviderSpec] = field(default_factory=dict)

    def tree(self) -> Iterator[RunConfig]:
        """This one, and those of the teams within it, to the innermost."""
        yield self
        for team in self.teams.values():
            yield from team.tree()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user should know of how it is read, those of the teams within it as well."""
        return tuple(text for part in self.tree() for text in part.source.warnings)

    @property
    def agents(self) -> tuple[AgentConfig, ...]:
        """The agents, in the order that decides ties."""
        return self.document.agents

    @property
    def models(self) -> Mapping[str, ModelConfig]:
        """The named connections."""
        return {**self.inherited, **self.document.models}

    @property
    def providers(self) -> Mapping[str, ProviderSpec]:
        """The providers that are described here, beside those that plugins know."""
        return {**self.inherited_providers, **provider_specs(self.document.providers)}

    @property
    def strategy(self) -> StrategyConfig:
        """The strategy's name and its options as they were written."""
        return self.document.strategy

    @property
    def sinks(self) -> tuple[SinkConfig, ...]:
        """The sinks, with their options as they were written."""
        return self.document.sinks

    @property
    def plugins(self) -> tuple[str, ...]:
        """The plugins that the file names."""
        return self.document.plugins

    @property
    def images(self) -> tuple[str, ...]:
        """The pictures that go along with every task, as they were written."""
        return self.document.images

    @property
    def timeout_settings(self) -> TimeoutSettings:
        """How long the run may take."""
        return self.document.timeout_settings

    @property
    def budget(self) -> Budget:
        """What the run may use."""
        return self.document.budget

    @property
    def ui(self) -> UiConfig:
        """What is shown meanwhile."""
        return self.document.ui

    @property
    def file(self) -> str | None:
        """The file, as it was named; None where there is none."""
        return self.source.file

    @property
    def base_dir(self) -> Path:
        """The folder that paths in the configuration are relative to."""
        return self.source.base_dir
