"""A person as an agent: the kind `human`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from massgen_bridge.hookspecs import hookimpl
from massgen_bridge.kinds.human_options import ABLE, HumanOptions
from massgen_bridge.specs import AdapterSpec, AgentContext

if TYPE_CHECKING:
    from collections.abc import Iterable

    from massgen_bridge.agent import Agent

__all__ = ["bridge_adapters"]


@hookimpl
def bridge_adapters() -> Iterable[AdapterSpec]:
    """The kind `human`."""
    return (
        AdapterSpec(
            kind="human",
            summary="A person at the terminal, who answers, votes or breaks ties.",
            factory=_make,
            options=HumanOptions,
            capabilities=ABLE,
            needs_person=_needs_person,
        ),
    )


def _needs_person(options: HumanOptions) -> bool:
    return options.default is None and options.default_answer is None


def _make(context: AgentContext) -> Agent:
    from massgen_bridge.kinds.human_agent import HumanAgent  # noqa: PLC0415 - a kind is cheap to import

    return HumanAgent(context.options, context.ask)
