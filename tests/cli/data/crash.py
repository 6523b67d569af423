"""A plugin whose strategy breaks, so that something unforeseen happens inside a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from massgen_bridge import StrategySpec, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Crash", "bridge_strategies"]


class Crash:
    """A strategy that cannot even begin."""

    def begin(self, seats: tuple[Any, ...]) -> Any:
        """Break."""
        raise ZeroDivisionError(f"no way to share among {len(seats)}")

    def step(self, state: Any, happening: Any) -> Any:
        """Never reached."""
        del happening
        return state, ()


@hookimpl
def bridge_strategies() -> Iterable[StrategySpec]:
    """The strategy `crash`."""
    return (StrategySpec(name="crash", summary="It breaks.", create=lambda _options: Crash()),)
