"""What plugins register: one frozen description for each kind of extension.

A spec is cheap: it names things and holds a factory; frameworks are imported by the factory,
when an agent is made.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from pydantic import BaseModel, ConfigDict

from massgen_bridge.agent import Agent, Capabilities, FinishedTurn, ToolDefinition
from massgen_bridge.connection import Connection, ModelCaller, ModelTraits, Protocols, Quirks
from massgen_bridge.errors import AgentCrashed
from massgen_bridge.messages import JsonValue, MediaPart, TextPart

if TYPE_CHECKING:
    from pathlib import Path

    from massgen_bridge.events import Record
    from massgen_bridge.people import Asking
    from massgen_bridge.strategy import Strategy

__all__ = [
    "AdapterSpec",
    "AgentContext",
    "KindAlias",
    "NoOptions",
    "ProviderSpec",
    "Sink",
    "SinkSpec",
    "StrategySpec",
    "ToolOutput",
    "ToolSpec",
]


ToolOutput: TypeAlias = "str | MediaPart | Sequence[str | TextPart | MediaPart]"
"""What a tool returns: text, a picture or the like, or several of both."""


class NoOptions(BaseModel):
    """The options of something that has none; base of options models: unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


def _no_workspace() -> Path:
    raise AgentCrashed("this agent has no workspace: its host gave it none")


@dataclass(frozen=True, kw_only=True)
class AgentContext:
    """What a factory gets to make one agent.

    Attributes:
        agent_id: The agent's id in the configuration.
        options: The validated options, an instance of the adapter's options model.
        connection: The model, for adapters that use one; None otherwise.
        call_model: The retry policy; every model call of a raw API adapter goes through it.
        load: Resolves an import path `module:attribute` relative to `base_dir`; raises
            ConfigError with what is missing.
        base_dir: Folder of the configuration file, or the working directory.
        finished: The turns that this agent finished before the run was resumed, in order; only an
            agent that remembers its own turns needs them.
        ask: Asks a person; None where nobody can be asked.
        team: The team that this agent is, which the host runs; None but for kinds with `is_team`.
        workspace: Gives the agent's own folder within the run's, which it makes when it is first
            asked for: what the framework stores and what code execution writes goes there.
    """

    agent_id: str
    options: Any
    connection: Connection | None
    call_model: ModelCaller
    load: Callable[[str], Any]
    base_dir: Path
    finished: Sequence[FinishedTurn] = ()
    team: Agent | None = None
    ask: Asking | None = None
    workspace: Callable[[], Path] = _no_workspace


@dataclass(frozen=True, kw_only=True)
class KindAlias:
    """Another name of a kind: the same agents, with a provider or a protocol of their own.

    Attributes:
        name: A further value of `backend.type` in YAML.
        summary: One line for people: what is special about it.
        provider: Whose models a `backend.model` names that is no named connection, whatever that
            name looks like; None for those of the kind's own usual provider.
        protocols: The wire protocols that such agents speak; empty for all of the kind's.
        needs_connection: Whether `backend.model` must be a named connection.
    """

    name: str
    summary: str
    provider: str | None = None
    protocols: Sequence[Protocols] = ()
    needs_connection: bool = False


@dataclass(frozen=True, kw_only=True)
class AdapterSpec:
    """A kind of agent.

    Attributes:
        kind: The value of `backend.type` in YAML; the adapter's entry point has the same name.
        summary: One line for `massgen-bridge adapters`.
        factory: Makes an agent; called in a worker thread, for it may import a framework.
        options: The keys of `backend` beside `type`, `model`, `isolation` and `env`.
        capabilities: What agents of this kind can do at best.
        refine: Narrows the capabilities for given options and model; None keeps them, cut down
            to what the model can do.
        requires: pip requirements of the framework, with floors.
        framework: The distribution among them whose version is the framework's, such as
            `crewai`; None for a kind without one.
        python: Which Python versions the framework runs on, as a version specifier (`>=3.11`).
        own_process: Whether agents run in a process of their own unless `isolation: none` is
            given, because the framework cannot be stopped within a process, or changes it.
        redirects: Whether the models of the user's own objects that these options name are to be
            reached through the host's gateway; such an agent runs in a process of its own.
        protocols: Wire protocols by which it can speak to a model; empty when it uses none.
        needs_model: Whether `backend.model` must be given.
        default_provider: Provider of a `backend.model` that is no named connection.
        one_provider: Whether such a model is one of the default provider whatever it is called,
            so that `owner/model` names no other provider.
        aliases: Other names of the kind.
        imports_code: Names of options whose value is an import path, and so needs trust.
        needs_person: Whether an agent with these options cannot do without a person who is asked.
        is_team: Whether its options are the configuration of a team: a file that `config` names,
            or the keys of one.
        check: Refuses, by a `ConfigError`, options that do not go with the agent's connection;
            does no I/O.
    """

    kind: str
    summary: str
    factory: Callable[[AgentContext], Agent]
    options: type[BaseModel] = NoOptions
    capabilities: Capabilities = field(default_factory=Capabilities)
    refine: Callable[[Any, ModelTraits | None], Capabilities] | None = None
    requires: Sequence[str] = ()
    framework: str | None = None
    python: str = ">=3.11"
    own_process: bool = False
    redirects: Callable[[Any], bool] | None = None
    protocols: Sequence[Protocols] = ()
    needs_model: bool = False
    default_provider: str | None = None
    one_provider: bool = False
    aliases: Sequence[KindAlias] = ()
    imports_code: Sequence[str] = ()
    is_team: bool = False
    needs_person: Callable[[Any], bool] | None = None
    check: Callable[[Any, Connection], None] | None = None

    def called(self, alias: KindAlias) -> AdapterSpec:
        """The kind as it is by another name."""
        return replace(
            self,
            protocols=alias.protocols or self.protocols,
            default_provider=None
            if alias.needs_connection
            else alias.provider or self.default_provider,
            one_provider=alias.provider is not None,
            aliases=(),
        )

    def claims(self, options: Any, traits: ModelTraits | None) -> Capabilities:
        """What agents with these options and this model can do.

        Args:
            options: The validated options.
            traits: What the model can do; None for an agent without one.
        """
        able = self.capabilities
        if self.refine is not None:
            return self.refine(options, traits)
        if traits is None:
            return able
        return able.model_copy(
            update={
                "tools": able.tools and traits.tools,
                "structured": able.structured and traits.structured,
                "inputs": able.inputs & traits.inputs,
                "tool_media": able.tool_media & traits.inputs,
            }
        )


@dataclass(frozen=True, kw_only=True)
class ToolSpec:
    """A tool that agents may be given by name.

    `call` gets the arguments, checked against the definition's schema, and returns text, or parts:
    texts, pictures and other media, which an agent whose model takes them in a tool's result sees.
    What it raises is told to the model as an error result.
    """

    definition: ToolDefinition
    call: Callable[[Mapping[str, JsonValue]], Awaitable[ToolOutput]]


@dataclass(frozen=True, kw_only=True)
class StrategySpec:
    """A way of coordination.

    Attributes:
        name: The value of `strategy` in YAML.
        summary: One line for people.
        create: Makes the reducer from validated options.
        options: The keys of `strategy` beside `type`.
        check: What is wrong with validated options for these agents, given by their ids in the
            order of the configuration: pairs of the path of an option and a text for a person.
        roles: Whether it heeds the roles and weights of agents; where it does not, a configuration
            that gives some is refused.
    """

    name: str
    summary: str
    create: Callable[[Any], Strategy[Any]]
    options: type[BaseModel] = NoOptions
    check: Callable[[Any, Sequence[str]], Iterable[tuple[tuple[str | int, ...], str]]] | None = None
    roles: bool = False


class Sink(Protocol):
    """Somewhere that records go; lives in a thread of its own, so it may block."""

    def write(self, records: Sequence[Record]) -> None:
        """Take a batch of records, in order."""

    def close(self) -> None:
        """Flush and give back everything."""


@dataclass(frozen=True, kw_only=True)
class SinkSpec:
    """A kind of sink; `create` makes one from validated options, in the sink's own thread."""

    name: str
    summary: str
    create: Callable[[Any], Sink]
    options: type[BaseModel] = NoOptions


@dataclass(frozen=True, kw_only=True)
class ProviderSpec:
    """A provider of models.

    Attributes:
        name: The value of `provider` in a connection.
        summary: One line for people.
        base_urls: Endpoint for each wire protocol that it speaks; the first is preferred.
        key_variables: Environment variables that may hold the key, in order of preference.
        needs_key: Whether a missing key is an error.
        other_hosts: Further hosts that belong to it: its keys may go there, and below them.
        traits: What its models can do unless the configuration says otherwise.
        quirks: How its Chat Completions differ from the common form.
        default_model: Model used where the configuration names none.
        prices_id: Its name in genai-prices; None where nothing is charged.
    """

    name: str
    summary: str
    base_urls: Mapping[Protocols, str]
    key_variables: Sequence[str] = ()
    needs_key: bool = True
    other_hosts: Sequence[str] = ()
    traits: ModelTraits = field(default_factory=ModelTraits)
    quirks: Quirks = field(default_factory=Quirks)
    default_model: str | None = None
    prices_id: str | None = None
