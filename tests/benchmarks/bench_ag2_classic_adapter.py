"""What the ag2_classic adapter costs over native classic AG2, against a server without latency.

The native side is what a user of it would write: an `AssistantAgent` whose model streams, without
AG2's cache of answers. What it would print meanwhile is dropped.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import autogen
from anyio import to_thread
from autogen.io import IOStream
from benchmarks.one_call import QUESTION, compare
from massgen_bridge_ag2_classic import bridge_adapters

from massgen_bridge.testing.agents import TEST_KEY, connection_to
from massgen_bridge.testing.servers import ModelServerProcess

if TYPE_CHECKING:
    from benchmarks.measuring import Figure

__all__ = ["measure"]

_CALLS = {1: 20, 100: 5}
"""Calls in one measurement, by tokens of the answer."""


class _Silent:
    """Where AG2 shows the pieces of an answer."""

    def print(self, *words: Any, **how: Any) -> None:
        """Show nothing."""

    def send(self, message: Any) -> None:
        """Show nothing."""

    def input(self, prompt: str = "", *, password: bool = False) -> str:
        """Nobody is asked."""
        raise AssertionError(prompt, password)


def measure(pairs: int = 20) -> list[Figure]:
    """Measure the adapter against native AG2, for a short and for a long answer.

    Args:
        pairs: How often both sides take their turn.
    """
    with ModelServerProcess() as server:
        return [anyio.run(_measure, server, tokens, pairs) for tokens in _CALLS]


async def _measure(server: ModelServerProcess, tokens: int, pairs: int) -> Figure:
    model = f"tokens-{tokens}"
    (spec,) = bridge_adapters()
    settings: dict[str, Any] = {
        "api_type": "openai",
        "model": model,
        "base_url": server.url,
        "api_key": TEST_KEY,
        "max_retries": 0,
        "stream": True,
        "price": [0, 0],  # it warns of models whose price it does not know
    }
    llm = autogen.LLMConfig(settings, cache_seed=None)
    agent = autogen.AssistantAgent("agent", system_message="", llm_config=llm)

    def ask() -> str:
        with IOStream.set_default(_Silent()):
            return str(agent.generate_reply([{"role": "user", "content": QUESTION}]))

    return await compare(
        spec,
        connection_to(server, model=model),
        partial(to_thread.run_sync, ask),
        tokens=tokens,
        pairs=pairs,
        native="native classic AG2",
        calls=_CALLS,
        autogen=autogen.__version__,
    )
