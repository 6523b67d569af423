"""A team as an agent: its members work on each turn by their own strategy, and vote as one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from massgen_bridge.agent import Agent, Capabilities
from massgen_bridge.errors import ConfigError
from massgen_bridge.hookspecs import hookimpl
from massgen_bridge.messages import JsonValue
from massgen_bridge.specs import AdapterSpec, AgentContext, NoOptions

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["TeamOptions", "bridge_adapters"]

_MEDIA = frozenset({"image", "audio", "video", "document"})


class TeamOptions(NoOptions):
    """Who is in the team, and how they work: a file of its own, or the same keys here."""

    config: str | None = Field(
        default=None,
        min_length=1,
        description="A configuration, such as `critics.yaml`, relative to this file. Its `ui` does "
        "not count, and its `plugins` take part in the whole run.",
    )
    agents: tuple[dict[str, JsonValue], ...] | None = Field(
        default=None,
        description="The members, as under `agents` of a configuration; in place of `config`.",
    )
    strategy: str | dict[str, JsonValue] | None = Field(
        default=None,
        description="How the members come to one answer, as `strategy` of a configuration.",
    )
    models: dict[str, JsonValue] | None = Field(
        default=None,
        description="Connections of the team's own, beside those of this file, as `models` of a "
        "configuration.",
    )
    providers: dict[str, JsonValue] | None = Field(
        default=None,
        description="Providers of the team's own, beside those of this file, as `providers` of a "
        "configuration.",
    )
    images: tuple[str, ...] | None = Field(
        default=None,
        description="Pictures that go along with every task of the team, as in a configuration.",
    )
    timeout_settings: dict[str, JsonValue] | None = Field(
        default=None, description="How long one turn of the team may take, as in a configuration."
    )
    budget: dict[str, JsonValue] | None = Field(
        default=None, description="What one turn of the team may use, as in a configuration."
    )
    sinks: tuple[str | dict[str, JsonValue], ...] | None = Field(
        default=None, description="Where the records of the team's own runs go."
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if self.config is None and self.agents is None:
            raise ValueError("a team needs 'config', a file, or 'agents'")
        if self.config is not None and len(given) > 1:
            beside = next(name for name in given if name != "config")
            raise ValueError(f"'config' names a whole configuration: {beside!r} stands in there")
        return self


@hookimpl
def bridge_adapters() -> Iterable[AdapterSpec]:
    """The kind `team`."""
    return (
        AdapterSpec(
            kind="team",
            summary="A team of agents, from a file or written out: it works and votes as one.",
            factory=_make,
            options=TeamOptions,
            capabilities=Capabilities(streaming=False, structured=True, inputs=_MEDIA, group=True),
            is_team=True,
        ),
    )


def _make(context: AgentContext) -> Agent:
    if context.team is None:
        raise ConfigError(f"agent {context.agent_id!r}: there is nobody here to run its team")
    return context.team
