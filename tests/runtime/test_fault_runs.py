"""Many runs at a provider of which every fifth answer is a fault."""

from __future__ import annotations

import pytest
from runtime.faults import PROTOCOLS, play

pytestmark = pytest.mark.anyio

_RUNS = 25


@pytest.mark.parametrize("kind", PROTOCOLS)
async def test_faults_cost_neither_answers_nor_sockets_and_no_text_comes_twice(kind: str) -> None:
    tally = await play(kind, _RUNS, seed=6)

    assert (tally.answered, tally.failed, tally.doubled, tally.unclear) == (_RUNS, 0, 0, [])
    assert tally.retries.total() >= 3
    assert tally.leaked == 0
