"""What agents take of media, and which model describes pictures to those that see none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from massgen_bridge.connection import ImageLimits
from massgen_bridge.errors import ConfigError, PluginError
from massgen_bridge.media.sight import Sight, tightest
from massgen_bridge.runtime.crew import AgentSetup

if TYPE_CHECKING:
    from massgen_bridge.agent import Capabilities
    from massgen_bridge.config.models import AgentConfig
    from massgen_bridge.connection import Connection, Protocols
    from massgen_bridge.models.connections import ConnectionPool
    from massgen_bridge.models.settings import ModelConfig
    from massgen_bridge.runtime.places import Places
    from massgen_bridge.specs import AdapterSpec

__all__ = ["SOURCE", "Describer", "describer_of", "sight_of"]

SOURCE: Final = "describer"
"""The source of the events of a model that describes pictures for an agent."""

# Kinds that ask a model without anything around it.
_KINDS: Final = ("openai", "anthropic", "gemini")


@dataclass(frozen=True, kw_only=True)
class Describer:
    """A model that describes pictures for an agent: an agent within it, without a seat."""

    setup: AgentSetup
    connection: Connection
    sight: Sight

    @property
    def model(self) -> str:
        """Its name."""
        return self.connection.model


def sight_of(
    able: Capabilities,
    spec: AdapterSpec,
    connection: Connection | None,
    config: ModelConfig | None,
) -> Sight:
    """What an agent takes of media.

    Args:
        able: What it can do.
        spec: Its kind.
        connection: Its model; None for an agent without one of ours.
        config: What the configuration says about that.
    """
    if connection is None or config is None:
        # A framework with a model of the user's own: nobody knows its limits.
        images = ImageLimits() if spec.protocols else None
        return Sight(inputs=able.inputs, tool_media=able.tool_media, images=images)
    traits = connection.traits
    seeing = [one.traits.images for one in connection.fallback if "image" in one.traits.inputs]
    images = tightest(traits.images, seeing)
    others = "" if images == traits.images else " with its fallbacks"
    return Sight(
        inputs=able.inputs,
        tool_media=able.tool_media,
        images=images,
        where=f"the model {connection.model!r}{others}",
        blind=config.images,
        fetch_urls=config.fetch_urls,
        animated=config.animated_images,
    )


def describer_of(
    agent: AgentConfig, sight: Sight, config: ModelConfig, pool: ConnectionPool, places: Places
) -> Describer | None:
    """The model that describes pictures for an agent; None where none is wanted.

    Raises:
        ConfigError: There is no such model, it sees none either, or no kind of agent is there that
            could ask it.
    """
    if "image" in sight.inputs or config.describe_by is None:
        return None
    kinds = _kinds(places)
    protocols: dict[Protocols, str] = {}
    for kind in kinds:
        for protocol in kind.protocols:
            protocols.setdefault(protocol, kind.kind)
    if not protocols:
        raise ConfigError(
            f"agent {agent.id!r}: 'describe_by' needs an adapter that asks models directly: "
            "pip install 'massgen-bridge[openai]'"
        )
    name = f"{agent.id}/{SOURCE}"
    connection = pool.add(name, config.describe_by, protocols=tuple(protocols))
    spec = next(kind for kind in kinds if kind.kind == protocols[connection.protocol])
    able = spec.claims(spec.options(), connection.traits)
    if "image" not in able.inputs:
        raise ConfigError(
            f"agent {agent.id!r}: 'describe_by' names {config.describe_by!r}, whose model "
            f"{connection.model!r} sees no pictures either: name a connection whose model does, "
            "or correct its 'inputs'"
        )
    setup = AgentSetup(
        agent_id=name,
        kind=spec.kind,
        options={},
        model=config.describe_by,
        place=places.of_kind(spec),
    )
    seen = sight_of(able, spec, connection, pool.settings(name))
    return Describer(setup=setup, connection=connection, sight=seen)


def _kinds(places: Places) -> list[AdapterSpec]:
    found = []
    for kind in _KINDS:
        try:
            found.append(places.host.adapter(kind))
        except PluginError:
            continue  # not installed: another may do
    return found
