"""Who speaks next in a group chat, and what a configuration of one has to keep."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from pydantic import ValidationError

from massgen_bridge import GroupChat, NextSpeaker, Said

NAMES = ("ann", "bob", "cid")


def chat(**settings: Any) -> GroupChat:
    members = [{"name": name} for name in NAMES]
    return GroupChat.model_validate({"members": members, **settings})


def said(*speakers: str, text: str = "words") -> list[Said]:
    return [Said(speaker=speaker, text=text) for speaker in speakers]


def course(group: GroupChat, *, text: str = "words", seed: str = "seed") -> list[str]:
    """Everybody who speaks, in order, where all say the same."""
    spoken: list[Said] = []
    while not (following := group.next_speaker(spoken, seed=seed)).is_end:
        assert following.speaker is not None
        spoken.append(Said(speaker=following.speaker, text=text))
    return [one.speaker for one in spoken]


def test_a_round_goes_on_until_the_most_messages_are_said() -> None:
    assert course(chat(max_turns=5)) == ["ann", "bob", "cid", "ann", "bob"]


def test_the_first_speaker_can_be_chosen() -> None:
    assert course(chat(first="cid", max_turns=2)) == ["cid", "ann"]


def test_a_sequence_lets_each_speak_once() -> None:
    assert course(chat(pattern="sequence", first="bob")) == ["bob", "cid", "ann"]


def test_a_graph_ends_where_no_transition_leads_on() -> None:
    group = chat(pattern="graph", transitions=[{"from": "ann", "to": "cid"}])
    assert course(group) == ["ann", "cid"]


def test_the_first_transition_that_fits_decides() -> None:
    transitions = [
        {"from": "ann", "to": "cid", "when": "DONE"},
        {"from": "ann", "to": "end", "when": "stop"},
        {"from": "ann", "to": "bob"},
    ]
    group = chat(transitions=transitions)

    def after(text: str) -> NextSpeaker:
        return group.next_speaker(said("ann", text=text), seed="")

    assert after("we are done, stop").speaker == "cid"
    assert after("please Stop").is_end
    assert after("go on").speaker == "bob"


def test_a_hand_off_comes_before_transitions() -> None:
    group = chat(transitions=[{"from": "ann", "to": "bob"}])
    handed = Said(speaker="ann", text="", handoff="cid")
    assert group.next_speaker([handed], seed="").speaker == "cid"


def test_the_termination_phrase_comes_before_a_hand_off() -> None:
    group = chat(termination={"phrase": "APPROVED"})
    handed = Said(speaker="ann", text="APPROVED", handoff="cid")
    assert group.next_speaker([handed], seed="").is_end


def test_the_termination_phrase_counts_only_from_those_named() -> None:
    group = chat(termination={"phrase": "APPROVED", "by": ["bob"]}, max_turns=9)
    assert course(group, text="APPROVED") == ["ann", "bob"]


def test_a_random_course_is_the_same_again_and_nobody_speaks_twice_in_a_row() -> None:
    group = chat(pattern="random", max_turns=40)
    drawn = course(group, seed="one")
    assert drawn == course(group, seed="one")
    assert drawn != course(group, seed="two")
    assert all(one != following for one, following in itertools.pairwise(drawn))
    assert set(drawn) == set(NAMES)


@pytest.mark.parametrize(("pattern", "chooser"), [("auto", "model"), ("manual", "person")])
def test_a_choice_is_among_the_others(pattern: str, chooser: str) -> None:
    following = chat(pattern=pattern).next_speaker(said("bob"), seed="")
    assert following.candidates == ("ann", "cid")
    assert following.chooser == chooser
    assert not following.is_end


def test_two_members_leave_nothing_to_choose() -> None:
    two = GroupChat.model_validate(
        {"members": [{"name": "ann"}, {"name": "bob"}], "pattern": "auto"}
    )
    assert two.next_speaker(said("ann"), seed="").speaker == "bob"


def test_the_last_message_is_the_answer_without_its_phrase() -> None:
    group = chat(termination={"phrase": "APPROVED"})
    assert group.answer_of([*said("ann"), Said(speaker="bob", text="Good. APPROVED\n")]) == (
        1,
        "Good.",
    )


def test_a_message_of_the_phrase_alone_is_no_answer() -> None:
    group = chat(termination={"phrase": "APPROVED"})
    assert group.answer_of([*said("ann"), Said(speaker="bob", text="APPROVED")]) == (0, "words")


def test_the_answer_can_be_one_members() -> None:
    group = chat(answer="ann")
    assert group.answer_of([*said("ann", text="mine"), *said("bob")]) == (0, "mine")
    assert group.answer_of(said("bob")) is None


def test_where_nobody_has_words_the_answer_has_none() -> None:
    assert chat().answer_of([*said("ann", text=""), *said("bob", text="")]) == (1, "")


def test_the_last_message_is_known_as_such_where_nothing_can_follow() -> None:
    assert chat(max_turns=2).is_last(said("ann"), "bob")
    assert not chat(max_turns=3).is_last(said("ann"), "bob")
    sequence = chat(pattern="sequence", transitions=[{"from": "bob", "to": "ann"}])
    assert sequence.is_last(said("ann", "bob"), "cid")
    assert not sequence.is_last(said("ann"), "cid")
    assert not sequence.is_last(said("ann", "cid"), "bob")


def test_a_failed_turn_gives_no_answer() -> None:
    failed = Said(speaker="bob", text="", failed=True)
    assert chat().answer_of([*said("ann"), failed]) == (0, "words")


@pytest.mark.parametrize(
    ("reply", "named"),
    [
        ('{"speaker": "cid"}', "cid"),
        ("I think cid should speak.", "cid"),
        ("ann or cid", None),
        ("bob", None),
        ("annabel", None),
        ('{"speaker": "nobody"}', None),
        ("[1]", None),
        pytest.param("[" * 100_000, None, id="nested too deep"),
    ],
)
def test_a_model_names_one_candidate_or_nobody(reply: str, named: str | None) -> None:
    assert chat().chosen(reply, ["ann", "cid"]) == named


def test_where_nobody_is_named_the_next_in_order_speaks() -> None:
    assert chat().fallback(said("cid")) == "ann"


def test_a_model_that_chooses_sees_task_talk_and_roles() -> None:
    members = [{"name": "ann", "description": "checks facts"}, {"name": "bob"}, {"name": "cid"}]
    group = GroupChat.model_validate({"members": members})
    request = group.choice_request(said("bob", text="It is so."), ["ann", "cid"], "Is it?")
    for part in ("Is it?", "[bob]: It is so.", "- ann: checks facts", '["ann", "cid"]'):
        assert part in request
    assert group.choice_schema(["ann", "cid"])["properties"]["speaker"]["enum"] == ["ann", "cid"]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"members": [{"name": "ann"}, {"name": "ann"}]}, "two members are called 'ann'"),
        ({"members": [{"name": "ann"}, {"name": "end"}]}, "cannot be called 'end'"),
        ({"members": [{"name": "ann"}]}, "at least 2"),
        ({"members": [{"name": "1st"}, {"name": "bob"}]}, "pattern"),
        (
            {"members": [{"name": "ann", "handoffs": ["ann"]}, {"name": "bob"}]},
            "cannot give the word to itself",
        ),
        (
            {"members": [{"name": "ann", "handoffs": ["zoe"]}, {"name": "bob"}]},
            "a hand-off of 'ann', 'zoe' is no member",
        ),
        ({"first": "zoe"}, "`first` 'zoe' is no member"),
        ({"answer": "zoe"}, "`answer` 'zoe' is no member"),
        ({"termination": {"phrase": "x", "by": ["zoe"]}}, "`termination.by` 'zoe' is no member"),
        ({"transitions": [{"from": "zoe", "to": "ann"}]}, "`transitions.from` 'zoe' is no member"),
        ({"transitions": [{"from": "ann", "to": "zoe"}]}, "`transitions.to` 'zoe' is no member"),
        ({"max_turns": 0}, "greater than or equal to 1"),
    ],
)
def test_a_wrong_configuration_says_what_is_wrong(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem.replace("(", r"\(")):
        chat(**settings)
