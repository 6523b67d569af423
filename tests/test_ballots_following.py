"""How an agent is asked again, and how a winner is asked to present."""

from __future__ import annotations

from typing import Any

import pytest

from massgen_bridge import ballots
from massgen_bridge.agent import AnswerRef, ShownAnswer
from massgen_bridge.events import VoteInfo
from massgen_bridge.messages import assistant, system, user
from massgen_bridge.strategy import StartTurn

MARK, BEFORE = "0123abcd", "89ef4567"
WAYS: tuple[Any, ...] = ("tools", "schema", "text")
ONE = ShownAnswer(label="agent1", version=1, text="One.")
TWO = ShownAnswer(label="agent2", version=1, text="Two.")
BETTER = ShownAnswer(label="agent2", version=2, text="Two and a half.")
THREE = ShownAnswer(label="agent3", version=1, text="Three.")
ASKED = (system("Be brief."), user(f"<task-{BEFORE}> and all answers"))


def follow(**changes: Any) -> ballots.Follow:
    shown = (AnswerRef(label="agent1", version=1), AnswerRef(label="agent2", version=1))
    given = {"messages": ASKED, "said": "I vote for agent1: clear", "shown": shown, **changes}
    return ballots.Follow(**given)


def draft(
    way: Any = "tools", before: ballots.Follow | None = None, **changes: Any
) -> ballots.Draft:
    given = {"purpose": "evaluate", "shown": (BETTER, ONE), "may_improve": True, **changes}
    command = StartTurn(turn_id="ada.3", agent_id="ada", **given)
    return ballots.compose(
        command, user("Which?"), system="Be brief.", way=way, mark=MARK, follow=before
    )


@pytest.mark.parametrize("way", WAYS)
def test_what_was_asked_and_said_stands_before_what_is_new(way: Any) -> None:
    made = draft(way, follow())
    text = made.messages[-1].text

    assert made.messages[:-1] == (*ASKED, assistant("I vote for agent1: clear"))
    assert made.messages[-1].role == "user"
    assert f'<answer-{MARK} label="agent2">\nTwo and a half.\n</answer-{MARK}>' in text
    assert "One." not in text
    assert "those of agent2 no longer stand" in text
    assert "Choose one of: agent2, agent1." in text
    assert made.paper is not None
    assert made.paper.labels == ("agent2", "agent1")


def test_a_reply_that_was_stopped_is_told_to_be_unfinished() -> None:
    assert "Your reply was stopped" in draft(before=follow(finished=False)).messages[-1].text
    assert "Your reply was stopped" not in draft(before=follow()).messages[-1].text


def test_where_nothing_is_new_only_the_question_is_put_again() -> None:
    made = draft(before=follow(), shown=(TWO, ONE), purpose="repair", problem="it was no vote")
    text = made.messages[-1].text

    assert text.startswith("Which answer solves the task best?")
    assert "could not be used: it was no vote" in text


def test_what_only_came_is_new_and_nothing_is_gone() -> None:
    text = draft(before=follow(), shown=(THREE, ONE, TWO)).messages[-1].text

    assert "Three." in text
    assert "no longer stand" not in text


def test_who_can_carry_no_history_is_shown_all_and_told_what_is_new() -> None:
    made = draft(before=follow(messages=()))
    text = made.messages[-1].text

    assert [message.role for message in made.messages] == ["system", "user"]
    assert "One." in text
    assert "New since you were last asked: agent2." in text


@pytest.mark.parametrize("way", WAYS)
def test_a_tie_is_put_as_a_choice_without_a_better_answer(way: Any) -> None:
    made = draft(way, purpose="break_tie", may_improve=False)
    text = made.messages[-1].text

    assert made.paper is not None
    assert "got equally many votes" in text
    assert "better answer" not in text


def present(*votes: str, shown: tuple[ShownAnswer, ...] = (BETTER, ONE)) -> str:
    cast = tuple(
        VoteInfo(voter="ada", author="bob", label="agent2", version=2, reason=why) for why in votes
    )
    made = draft(purpose="present", shown=shown, votes=cast, may_improve=False)
    assert (made.paper, made.tools, made.output_schema) == (None, (), None)
    return made.messages[-1].text


def test_a_winner_presents_with_its_votes_their_reasons_and_the_other_answers() -> None:
    text = present("clear", "")

    assert text.startswith(f"The task:\n<task-{MARK}>\nWhich?\n</task-{MARK}>\n")
    assert "Your own answer to it was chosen with 2 votes" in text
    assert text.count(f"<reason-{MARK}>") == 1
    assert text.index("Two and a half.") < text.index("clear") < text.index("One.")
    assert "Carry out what is left to do for the task" in text
    assert "ada" not in text


def test_a_winner_without_votes_presents_alone() -> None:
    text = present(shown=(BETTER,))

    assert "was chosen:" in text
    assert "Reasons" not in text
    assert "others" not in text


@pytest.mark.parametrize("way", WAYS)
def test_prompts_stay_within_1500_characters_besides_the_answers(way: Any) -> None:
    three = (ONE, TWO, THREE)
    made = [
        draft(way, shown=three),
        draft(
            way, follow(finished=False, shown=(AnswerRef(label="agent1", version=9),)), shown=three
        ),
        draft(way, purpose="break_tie", shown=three, may_improve=False),
        draft(way, purpose="improve", shown=three),
    ]
    for one in made:
        told = [m for m in one.messages if m not in ASKED and m.role != "assistant"]
        given = sum(len(answer.text) for answer in three)
        size = sum(len(message.text) for message in told) - given
        tools = sum(len(tool.model_dump_json()) for tool in one.tools)
        assert size + tools + len(str(one.output_schema or "")) <= 1500
    assert len(present("a reason", "another", "a third", shown=three)) <= 1500
