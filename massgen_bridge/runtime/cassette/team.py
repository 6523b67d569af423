"""Who was recorded, and whether it is who is there now."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from massgen_bridge.errors import CassetteError
from massgen_bridge.runtime.cassette.lines import TapedAgent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from massgen_bridge.runtime.cassette.lines import Header
    from massgen_bridge.runtime.planning import Prepared

__all__ = ["agents_of", "check_team"]


def agents_of(prepared: Prepared) -> tuple[TapedAgent, ...]:
    """The agents of a run, those of teams within it among them."""
    return tuple(_agents(prepared, ""))


def _agents(prepared: Prepared, path: str) -> Iterator[TapedAgent]:
    for agent in prepared.plan.agents:
        seat = agent.seat
        connection = prepared.connections.get(seat.agent_id)
        yield TapedAgent(
            id=path + seat.agent_id,
            kind=seat.kind,
            model=seat.model,
            provider=seat.provider,
            host=urlsplit(connection.base_url).hostname if connection else None,
        )
        if seat.agent_id in prepared.teams:
            yield from _agents(prepared.teams[seat.agent_id], f"{path}{seat.agent_id}/")


def check_team(header: Header, prepared: Prepared, *, file: str) -> None:
    """See that a cassette is of this team.

    Raises:
        CassetteError: It is not; the text says what is different.
    """
    recorded = [(one.id, one.kind, one.model) for one in header.agents]
    here = [(one.id, one.kind, one.model) for one in agents_of(prepared)]
    if recorded == here:
        return
    if [one[0] for one in recorded] != [one[0] for one in here]:
        raise _other(f"the agents {_names(recorded)}; the configuration has {_names(here)}", file)
    then, now = next((a, b) for a, b in zip(recorded, here, strict=True) if a != b)
    raise _other(f"the agent {_described(then)}; here it is {_described(now)}", file)


def _other(difference: str, file: str) -> CassetteError:
    return CassetteError(
        f"the cassette is of another team: it was recorded with {difference}; replay it with the"
        " configuration that it was made with, or record a new one",
        file=file,
        line=1,
    )


def _names(agents: list[tuple[str, str, str | None]]) -> str:
    return ", ".join(repr(one[0]) for one in agents)


def _described(agent: tuple[str, str, str | None]) -> str:
    agent_id, kind, model = agent
    return f"{agent_id!r} of kind {kind!r}" + (f" with model {model!r}" if model else "")
