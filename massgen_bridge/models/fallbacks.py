"""Whether connections can stand in for another, and the protocol that all of them are asked by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from massgen_bridge.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from massgen_bridge.connection import Connection, Protocols
    from massgen_bridge.models.resolution import Choice
    from massgen_bridge.specs import ProviderSpec

__all__ = ["FallbackRefused", "check_able", "check_fallback", "shared_protocols"]


class FallbackRefused(ConfigError):
    """A connection cannot have the fallback that it names.

    Args:
        message: What is wrong, what was expected and what to do.
        first: The connection that names it.
    """

    def __init__(self, message: str, first: str) -> None:
        super().__init__(message)
        self.first = first


def shared_protocols(
    first: Choice, others: Sequence[Choice], protocols: Sequence[Protocols]
) -> list[Protocols]:
    """What all connections speak; where there is nothing, what the agent does: an error tells it.

    Args:
        first: The connection that an agent has.
        others: Its fallbacks.
        protocols: The wire protocols that the agent's kind speaks.
    """
    shared = [one for one in protocols if all(one in other.spoken for other in others)]
    common = [one for one in shared if one in first.spoken]
    # Many speak some of Responses, but few all of it.
    if "chat" in common and not all(map(_is_at_home_in_responses, others)):
        return ["chat"]
    return shared if common else list(protocols)


def _is_at_home_in_responses(choice: Choice) -> bool:
    is_said = choice.config.protocol is not None or choice.config.base_url is None
    return is_said and choice.spoken[:1] == ["responses"]


def check_fallback(
    other: Choice,
    first: Choice,
    protocol: Protocols,
    *,
    agent_id: str,
    known: Iterable[ProviderSpec],
) -> None:
    """Refuse a fallback that the configuration alone shows to be none.

    Args:
        other: The fallback.
        first: The connection that names it.
        protocol: What the agent asks that one by.
        agent_id: The agent.
        known: All providers, of which an error names those that would do.

    Raises:
        ConfigError: It is the same connection, is named twice, or does not speak the protocol.
    """
    name, offered = other.name, other.spoken
    wrong = _wrong(name, first.name, agent_id)
    if name == first.name:
        raise ConfigError(f"{wrong}, for it is the same one: take it out, or name another one")
    if first.config.fallback.count(name) > 1:
        raise ConfigError(f"{wrong} more than once: name it once")
    if offered and protocol not in offered:
        speakers = sorted(one.name for one in known if protocol in one.base_urls)
        both = " or ".join(repr(one) for one in first.spoken if one in offered)
        advice = f", or an agent of a kind that speaks {both}" if both else ""
        raise ConfigError(
            f"{wrong}, which this agent asks by {protocol!r}: {name!r} (provider"
            f" {other.provider.name!r}) speaks {' or '.join(map(repr, offered))}. Expected a"
            f" connection to a provider that speaks {protocol!r} ({', '.join(speakers)}){advice}"
        )


def check_able(other: Connection, first: Connection, *, agent_id: str) -> None:
    """Refuse a fallback whose model can do less than the first one's.

    Raises:
        ConfigError: It takes no tools, and the first one does.
    """
    if first.traits.tools and not other.traits.tools:
        raise ConfigError(
            f"{_wrong(other.name, first.name, agent_id)}, for its model takes no tools: take"
            f" another one, or say 'tools: false' in {first.name!r} where no tools are wanted"
        )


def _wrong(name: str, first: str, agent_id: str) -> str:
    return f"agent {agent_id!r}: the connection {name!r} cannot be a fallback of {first!r}"
