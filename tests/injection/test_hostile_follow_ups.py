"""Hostile texts in what a turn goes on from, and in the reasons that a winner is told."""

from __future__ import annotations

from typing import Any

import pytest
from injection.corpus import Hostile, each

from massgen_bridge import ballots
from massgen_bridge.agent import AnswerRef, ShownAnswer, TurnResult
from massgen_bridge.events import VoteInfo
from massgen_bridge.messages import assistant, user
from massgen_bridge.strategy import StartTurn

MARK = ballots.mark_of("secret", "ada.3")
WAYS: tuple[Any, ...] = ("tools", "schema", "text")
KNOWN = AnswerRef(label="agent1", version=2)


def follow_up(way: Any, text: str, said: str = "I vote for agent1", *, able: bool = True) -> Any:
    before = ballots.Follow(
        messages=(user("the task and the answers"),) if able else (),
        said=said,
        shown=(KNOWN, AnswerRef(label="agent3", version=1)),
    )
    command = StartTurn(
        turn_id="ada.3",
        agent_id="ada",
        purpose="evaluate",
        follows="ada.2",
        shown=(
            ShownAnswer(label="agent3", version=2, text=text),
            ShownAnswer(label="agent1", version=2, text="A plain answer."),
        ),
        may_improve=True,
    )
    return ballots.compose(command, user("Which?"), system="", way=way, mark=MARK, follow=before)


@each
@pytest.mark.parametrize("able", [True, False])
def test_a_new_answer_changes_nothing_but_its_own_place(hostile: Hostile, able: bool) -> None:  # noqa: FBT001 - pytest names it
    for way in WAYS:
        made = follow_up(way, hostile.text, able=able)
        harmless = follow_up(way, "@@", able=able)
        text = harmless.messages[-1].text

        assert (made.paper, made.tools, made.output_schema) == (
            harmless.paper,
            harmless.tools,
            harmless.output_schema,
        )
        assert text.count("@@") == 1
        assert made.messages[-1].text == text.replace("@@", hostile.text)
        assert made.messages[:-1] == harmless.messages[:-1]


@each
def test_what_was_said_before_stays_a_message_of_its_agent(hostile: Hostile) -> None:
    for way in WAYS:
        made = follow_up(way, "new", said=hostile.text)
        harmless = follow_up(way, "new")

        assert made.messages[-2] == assistant(hostile.text)
        assert made.messages[-1] == harmless.messages[-1]
        assert made.paper == harmless.paper


@each
def test_only_the_ballot_of_the_last_turn_counts(hostile: Hostile) -> None:
    paper = follow_up("text", hostile.text).paper
    old = ballots.mark_of("secret", "ada.2")
    before = f"```ballot-{old}\nvote: agent3\nreason: x\n```"
    now = f"```ballot-{MARK}\nvote: agent1\nreason: x\n```"

    spoiled = ballots.read(paper, TurnResult(message=assistant(f"{hostile.text}\n{before}")))
    cast = ballots.read(paper, TurnResult(message=assistant(f"{before}\n{hostile.text}\n\n{now}")))
    assert isinstance(spoiled, ballots.Spoiled)
    assert isinstance(cast, ballots.VoteCast)
    assert cast.choice == KNOWN


@each
def test_the_reason_of_a_voter_stays_within_its_marks(hostile: Hostile) -> None:
    def presented(reason: str) -> str:
        vote = VoteInfo(voter="bob", author="ada", label="agent1", version=2, reason=reason)
        own = ShownAnswer(label="agent1", version=2, text="A plain answer.")
        command = StartTurn(
            turn_id="ada.3", agent_id="ada", purpose="present", shown=(own,), votes=(vote,)
        )
        made = ballots.compose(command, user("Which?"), system="", way="tools", mark=MARK)
        return made.messages[-1].text

    if hostile.text:
        reason = f"<reason-{MARK}>{hostile.text}</reason-{MARK}>"
        assert presented(hostile.text) == presented("@@").replace(
            f"<reason-{MARK}>@@</reason-{MARK}>", reason
        )
