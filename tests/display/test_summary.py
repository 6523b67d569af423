"""The summary says who won, who dissented and why, what failed, and what to do about it."""

from __future__ import annotations

from typing import Any

import pytest
from display.scenes import HOSTILE, Scene, real_run

from massgen_bridge.agent import AnswerRef, Usage
from massgen_bridge.display import render_summary
from massgen_bridge.display.summary import outcome
from massgen_bridge.display.words import ADVICE, cost_words, listing, seconds, tokens
from massgen_bridge.errors import ERROR_KINDS
from massgen_bridge.events import (
    AnswerInfo,
    BallotSpoiled,
    Cost,
    ErrorInfo,
    ModelCallFinished,
    TurnLost,
    VoteInfo,
)

FIRST = AnswerRef(label="agent1", version=1)


def told(scene: Scene) -> list[str]:
    return [" " * line.indent + line.text for line in outcome(scene.view)]


def vote(voter: str, author: str, reason: str = "", version: int = 1) -> VoteInfo:
    label = author.replace("a", "agent")
    return VoteInfo(voter=voter, author=author, label=label, version=version, reason=reason)


def won(**result: Any) -> dict[str, Any]:
    answer = AnswerInfo(label="agent1", version=1, authors=("a1",), text="x")
    given = {"status": "answered", "winner": "a1", "answer": "x", "answers": (answer,)}
    return {**given, **result}


def test_a_finished_run_in_full() -> None:
    scene = Scene(3).start("a1.1").answer("a1.1", "line one\nline two").listed("agent1", "a1")
    scene.start("a2.1").answer("a2.1", "other").listed("agent2", "a2")
    for agent_id, label in (("a1", "agent1"), ("a2", "agent1")):
        scene.start(f"{agent_id}.2", "evaluate", 1).vote(f"{agent_id}.2", label)
    answer = AnswerInfo(
        label="agent1", version=1, authors=("a1",), text="line one\nline two", votes=2
    )
    scene.finish(
        status="answered",
        winner="a1",
        answer=answer.text,
        answers=(answer,),
        votes=(vote("a1", "a1"), vote("a2", "a1")),
        usage=Usage(input_tokens=1_200, output_tokens=34),
        calls=5,
        duration_s=61.4,
    )

    assert render_summary(scene.records) == (
        "Question: Which?\n"
        "3 agents, strategy consensus, massgen-bridge 0.1.0\n"
        "  a1 (agent1), scripted m: voted, 2 votes, 40 tok, 3.0 s\n"
        "  a2 (agent2), scripted m: voted, 0 votes, 40 tok, 3.0 s\n"
        "  a3 (agent3), scripted m: waiting, 0 votes, 0 tok, 0.0 s\n"
        "\n"
        "Winner: a1 (agent1), 2 of 2 votes\n"
        "  for it: a1 (agent1) and a2 (agent2)\n"
        "\n"
        "line one\n"
        "line two\n"
        "\n"
        "5 model calls · 1,200 tokens in, 34 out · 1 min 01 s · run run-1\n"
    )


@pytest.mark.parametrize(
    ("prices", "each", "together"),
    [
        ((0.0, 0.0), ("", ""), ""),
        ((0.5, 0.0123), ("$0.50, ", "$0.01, "), " · $0.51"),
        ((0.0011, None), ("$0.0011, ", "cost unknown, "), " · at least $0.0011 · {unknown}"),
        ((None, None), ("cost unknown, ", "cost unknown, "), " · {unknown}"),
    ],
)
def test_costs_are_told_of_each_agent_and_together_with_the_models_without_a_price(
    prices: tuple[float | None, ...], each: tuple[str, ...], together: str
) -> None:
    scene = Scene(2)
    for number, price in enumerate(prices, 1):
        scene.start(f"a{number}.1").done(f"a{number}.1", cost_usd=price)
    lines = render_summary(scene.records).splitlines()
    assert [line.partition("20 tok, ")[2] for line in lines[2:4]] == [f"{one}1.5 s" for one in each]
    told = together.format(unknown="cost unknown for model m")
    assert lines[-1] == f"2 model calls · 20 tokens in, 20 out{told} · 4.0 s · run run-1"


def test_a_fallback_that_answered_is_told_with_its_model() -> None:
    scene = Scene(2).start("a1.1")
    for _ in range(2):
        scene.add(ModelCallFinished(model="big", fallback="spare\x1b[2J"), "a1.1")
    scene.start("a2.1").done("a2.1")
    lines = render_summary(scene.records).splitlines()
    assert lines[3] == "    2 calls answered by the fallback spare (model big)"
    assert lines[4].startswith("  a2 (agent2)")
    assert not any("fallback" in line for line in lines[4:])


def test_models_without_a_price_are_named_the_foremost_of_many() -> None:
    names = tuple(f"m{number}" for number in range(7))
    two, seven = (Cost(unpriced_calls=1, unpriced=names[:most]) for most in (2, 7))
    assert cost_words(two) == ["cost unknown for models m0 and m1"]
    assert cost_words(seven) == ["cost unknown for models m0, m1, m2, m3, m4 and 2 more"]


def test_who_dissented_is_named_with_the_reason() -> None:
    votes = (vote("a1", "a1"), vote("a2", "a2", "more\nexact"), vote("a3", "a2"))
    lines = told(Scene(3).finish(**won(votes=votes)))

    assert lines == [
        "Winner: a1 (agent1), 1 of 3 votes",
        "  for it: a1 (agent1)",
        "    a1 (agent1): no reason given",
        "  dissent: a2 (agent2) voted for a2 (agent2): more exact",
        "  dissent: a3 (agent3) voted for a2 (agent2): no reason given",
    ]


def test_what_the_dissenters_preferred_is_told_in_brief() -> None:
    other = AnswerInfo(label="agent2", version=1, authors=("a2",), text="It is\nLyon. " * 40)
    answers = (*won()["answers"], other)
    votes = (vote("a1", "a2", "shorter"), vote("a2", "a1", "true"), vote("a3", "a1"))
    lines = told(Scene(3).finish(**won(votes=votes, answers=answers)))

    assert lines[1:5] == [
        "  for it: a2 (agent2) and a3 (agent3)",
        "    a2 (agent2): true",
        "    a3 (agent3): no reason given",
        "  dissent: a1 (agent1) voted against its own answer for a2 (agent2): shorter",
    ]
    assert lines[5].startswith("    that answer: It is Lyon. It is")
    assert len(lines[5]) < 200
    assert lines[5].endswith("…")


def test_a_vote_for_an_older_version_is_no_vote_for_the_winner() -> None:
    answer = AnswerInfo(label="agent1", version=2, authors=("a1",), text="x")
    lines = told(Scene().finish(**won(answers=(answer,), votes=(vote("a2", "a1"),))))

    assert lines[0] == "Winner: a1 (agent1), 0 of 1 vote"
    assert lines[1].startswith("  dissent: a2")


def test_merged_answers_ties_and_cut_answers_are_told() -> None:
    answer = AnswerInfo(
        label="agent1", version=1, authors=("a1", "a2"), text="x", stop_reason="length"
    )

    assert told(Scene().finish(**won(answers=(answer,), tie_broken_by="order"))) == [
        "Winner: a1 (agent1) and a2 (agent2)",
        "  tie broken by the order of the configuration",
        "  a1 (agent1) and a2 (agent2) gave the same answer",
        "  the answer is not whole: its model stopped (length)",
    ]
    assert "  tie broken by the plugin judge" in told(Scene().finish(**won(tie_broken_by="judge")))
    assert "  tie broken by a2 (agent2)" in told(Scene().finish(**won(tie_broken_by="a2")))


def test_the_best_so_far_says_so() -> None:
    result = won(status="best_so_far", message="the deadline passed")

    assert told(Scene().finish(**result)) == [
        "Winner: a1 (agent1) (best so far: the deadline passed)"
    ]


def test_without_an_answer_the_message_says_why() -> None:
    assert told(Scene().finish(status="failed", message="no agent gave an answer")) == [
        "No answer: no agent gave an answer"
    ]


def test_each_failure_is_told_once_with_what_to_do() -> None:
    error = ErrorInfo(agent_id="a2", turn_id="a2.1", kind="auth", message="401")
    lines = told(Scene().finish(**won(errors=(error, error))))

    assert lines[1:] == [
        "a2 (agent2) failed (2 times): auth: 401",
        f"  what to do: {ADVICE['auth']}",
    ]


def test_a_failure_that_agents_share_is_told_once() -> None:
    errors = [
        ErrorInfo(agent_id=agent, turn_id=f"{agent}.1", kind="auth", message="401")
        for agent in ("a1", "a2", "a1", "a2")
    ]
    assert told(Scene().finish(status="failed", message="401", errors=tuple(errors))) == [
        "No answer",
        "a1 (agent1) and a2 (agent2) failed (each 2 times): auth: 401",
        f"  what to do: {ADVICE['auth']}",
    ]


def test_there_is_advice_for_every_kind_of_error() -> None:
    assert set(ADVICE) == set(ERROR_KINDS)


def test_an_agent_whose_ballot_did_not_count_is_told() -> None:
    scene = Scene().start("a2.1", "evaluate", 1)
    scene.add(BallotSpoiled(agent_id="a2", turn_id="a2.1", problem="no label"), "a2.1")
    scene.finish(**won(votes=(vote("a1", "a1"),)))

    assert told(scene)[-1] == "  no vote: a2 (agent2): no label"


def test_a_run_that_was_broken_off_can_be_shown() -> None:
    scene = Scene().start("a1.1").say("a1.1", "par")
    scene.add(TurnLost(agent_id="a2", turn_id="a2.1", kind="server", message="503"), "a2.1")
    text = render_summary(scene.records)

    assert "This run has no end: it still goes on, or was broken off.\n" in text
    assert "a2 (agent2) failed: server: 503\n" in text
    assert text.endswith("1 model call · 0 tokens in, 0 out · 2.0 s · run run-1\n")


def test_nothing_at_all_can_be_shown() -> None:
    assert "no end" in render_summary([])


def test_a_real_run_is_shown_whole_and_clean() -> None:
    text = render_summary(real_run({"answers": [HOSTILE]}, {"answers": ["b"]}))

    assert "x" * 300 in text
    assert "\x1b" not in text
    assert "[bold]b[/bold]" in text


def test_numbers_read_well() -> None:
    assert [tokens(Usage(input_tokens=n)) for n in (0, 999, 1_000, 2_345_678, 9_999_999_999)] == [
        "0 tok",
        "999 tok",
        "1.0k tok",
        "2.3M tok",
        "10.0G tok",
    ]
    assert [seconds(s) for s in (0.04, 59.9, 60, 3_725.2)] == [
        "0.0 s",
        "59.9 s",
        "1 min 00 s",
        "62 min 05 s",
    ]
    assert [listing(names) for names in ("a", "ab", "abc")] == ["a", "a and b", "a, b and c"]


def test_weights_are_told_where_votes_weigh_differently() -> None:
    heavy = vote("a2", "a1").model_copy(update={"weight": 2.5})
    lines = told(Scene(3).finish(**won(votes=(heavy, vote("a3", "a2")), winning=FIRST)))

    assert "Winner: a1 (agent1), 1 of 2 votes, by weight 2.5 of 3.5" in lines
    assert "  for it: a2 (agent2), weight 2.5" in lines


@pytest.mark.parametrize(
    ("by", "words"), [("a2", "a2 (agent2)"), ("earlier votes", "the votes before")]
)
def test_what_broke_a_tie_is_told(by: str, words: str) -> None:
    lines = told(Scene(2).finish(**won(tie_broken_by=by, winning=FIRST)))

    assert f"  tie broken by {words}" in lines


def test_a_presentation_is_told_of_and_why_there_was_none() -> None:
    presented = told(Scene(2).finish(**won(presented=True, winning=FIRST)))
    lost = told(Scene(2).finish(**won(message="the presentation failed: x", winning=FIRST)))

    assert "  it has presented its answer once more after the vote" in presented
    assert "  the presentation failed: x" in lost
