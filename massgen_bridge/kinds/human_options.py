"""What a person as an agent can do and be told."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from massgen_bridge.agent import Capabilities
from massgen_bridge.specs import NoOptions

__all__ = ["ABLE", "HumanOptions"]

ABLE = Capabilities(
    streaming=False,
    structured=True,
    inputs=frozenset({"image", "audio", "video", "document"}),
)
"""What people can do."""

Label = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.-]*$")]


class HumanOptions(NoOptions):
    """How long the person may take, and what happens without a reply."""

    time_limit_s: float | None = Field(
        default=120.0,
        gt=0,
        allow_inf_nan=False,
        description="Seconds for each reply, from the moment when the question is put. `null`: the "
        "run's own limit alone.",
    )
    default: Literal["abstain", "first"] | tuple[Label, ...] | None = Field(
        default=None,
        description="What happens where a vote is wanted and no reply comes: `abstain`, `first` "
        "(the answer of the agent that stands first in the file), or labels such as `[agent2, "
        "agent1]`, of which the first that can be chosen counts. A run in which nobody can be "
        "asked begins only where this or `default_answer` is given; else it is `abstain`.",
    )
    default_answer: str | None = Field(
        default=None,
        min_length=1,
        description="The answer that is given where one is wanted and no reply comes. Without it, "
        "the person then abstains.",
    )
