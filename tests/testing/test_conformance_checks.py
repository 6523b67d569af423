"""What the suite's own checks say, and what they count."""

from __future__ import annotations

import threading

import pytest

from massgen_bridge import TurnResult
from massgen_bridge.messages import assistant
from massgen_bridge.testing.conformance._checks import assert_same_text, assert_whole, holdings

_LONG = "".join(f"line {number:>7}\n    indented\n" for number in range(30_000))

pytestmark = pytest.mark.anyio


@pytest.mark.timeout(10)  # to compare them line by line takes minutes
def test_of_long_texts_that_differ_it_is_told_where() -> None:
    assert_same_text(_LONG, _LONG)
    stripped = "\n".join(line.strip() for line in _LONG.splitlines())
    with pytest.raises(pytest.fail.Exception, match=r"from number 14 on: 'indented.* in place of"):
        assert_same_text(stripped, _LONG)


@pytest.mark.timeout(10)
def test_a_long_answer_that_is_not_in_the_history_is_told_at_once() -> None:
    stripped = assistant("\n".join(line.strip() for line in _LONG.splitlines()))
    with pytest.raises(AssertionError, match="the last assistant message is the result's own"):
        assert_whole(TurnResult(message=stripped, new_messages=(assistant(_LONG),)))


async def test_threads_of_one_name_are_counted() -> None:
    over = threading.Event()
    threads = [threading.Thread(target=over.wait, name="worker") for _ in range(2)]
    threads[0].start()
    before = holdings()
    threads[1].start()
    try:
        assert holdings().beyond(before) == {"threads": {"worker": 1}}
    finally:
        over.set()
        for thread in threads:
            thread.join()
