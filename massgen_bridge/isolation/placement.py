"""Where one agent runs, as a value."""

from __future__ import annotations

from typing import Literal

from massgen_bridge.messages import Frozen

__all__ = ["Isolation", "Mode", "Placement"]

Isolation = Literal["auto", "none", "process", "environment"]
"""What a configuration asks for."""

Mode = Literal["none", "process", "environment"]
"""Where an agent really runs."""


class Placement(Frozen):
    """Where an agent runs.

    Attributes:
        mode: `none`: in the host's process. `process`: in a process of its own, with the host's
            Python and packages. `environment`: in one that has packages of its own.
        module: The adapter's package, whose `bridge_adapters` a worker calls.
        requirements: pip requirements of an environment, sorted; they have floors.
        python: Which Python versions an environment may have, as a version specifier.
        lock: File with the exact versions and hashes of an environment, where one was made.
        variables: Environment variables that a worker gets beside the usual ones, by name.
        redirected: Whether the models of the user's own objects are to be the gateway's.
        reason: Why here, in words for a person.
    """

    mode: Mode = "none"
    module: str = ""
    requirements: tuple[str, ...] = ()
    python: str = ">=3.11"
    lock: str | None = None
    variables: tuple[str, ...] = ()
    redirected: bool = False
    reason: str = ""

    @property
    def is_remote(self) -> bool:
        """Whether the agent runs in another process."""
        return self.mode != "none"
