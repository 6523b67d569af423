"""A person as an agent, with a scripted one behind the channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from pydantic import ValidationError

from massgen_bridge import ballots
from massgen_bridge.agent import ShownAnswer, Turn
from massgen_bridge.api import aresume, arun
from massgen_bridge.errors import ConfigError, ProtocolFailed
from massgen_bridge.events import (
    Abstained,
    PersonAsked,
    PersonReplied,
    Record,
    TurnStarted,
    Voted,
)
from massgen_bridge.kinds.human_agent import HumanAgent
from massgen_bridge.kinds.human_options import HumanOptions
from massgen_bridge.messages import user
from massgen_bridge.people import (
    Better,
    Chosen,
    Declined,
    Desk,
    Ordered,
    Question,
    Reply,
    Written,
)
from massgen_bridge.strategy import Speaker, StartTurn
from massgen_bridge.testing.agents import collect

if TYPE_CHECKING:
    from massgen_bridge.agent import TurnResult

pytestmark = pytest.mark.anyio
SHOWN = (
    ShownAnswer(label="agent10", version=1, text="Ten."),
    ShownAnswer(label="agent2", version=1, text="Two."),
)
SPEAKERS = (Speaker(label="agent2"), Speaker(label="agent3"))


class Person:
    """Gives the replies that it is told to, in order; None: never."""

    def __init__(self, *replies: Reply | None) -> None:
        self.questions: list[Question] = []
        self._replies = list(replies)

    async def __call__(self, question: Question, /) -> Reply:
        self.questions.append(question)
        reply = self._replies.pop(0)
        if reply is None:
            await anyio.sleep_forever()
        assert reply is not None
        return reply


def turn_of(purpose: Any, **about: Any) -> tuple[Turn, ballots.Paper | None]:
    given = {"turn_id": "ann.1", "agent_id": "ann", "purpose": purpose, **about}
    task = user("Which?")
    draft = ballots.compose(
        StartTurn(**given), task, system="Be brief.", way="schema", mark="0123abcd"
    )
    turn = Turn(
        run_id="r",
        turn_id="ann.1",
        agent_id="ann",
        messages=draft.messages,
        output_schema=draft.output_schema,
        task=task,
        shown=about.get("shown", ()),
    )
    return turn, draft.paper


async def reply_to(
    turn: Turn, *replies: Reply | None, **options: Any
) -> tuple[TurnResult, Question]:
    person = Person(*replies)
    result = await HumanAgent(HumanOptions(**options), Desk(person)).run(turn, collect())
    return result, person.questions[0]


# --- what is asked ------------------------------------------------------------------------------


async def test_a_person_is_asked_for_an_answer() -> None:
    turn, _ = turn_of("answer")
    result, asked = await reply_to(turn, Written(text="This one."))

    assert result.text == "This one."
    assert (asked.kind, asked.wish, asked.instruction) == ("answer", "", "Be brief.")
    assert asked.task == user("Which?")
    assert (asked.time_limit_s, asked.default) == (120, "you abstain")


async def test_what_is_to_be_done_with_answers_is_asked_without_their_marks() -> None:
    turn, _ = turn_of("reduce", shown=SHOWN)
    _, asked = await reply_to(turn, Written(text="Both."))

    assert asked.wish.startswith("Write one answer to the task out of all of these.")
    assert "0123abcd" not in asked.wish
    assert asked.shown == SHOWN


async def test_what_is_asked_beside_the_task_is_told() -> None:
    turn, _ = turn_of("answer", instruction="The sums.", problem="it was empty")
    _, asked = await reply_to(turn, Written(text="Four."))

    assert asked.wish.startswith("Your part of this: The sums.")
    assert "it was empty" in asked.wish


async def test_where_json_is_wanted_a_reply_is_its_value() -> None:
    turn = turn_of("answer")[0].model_copy(update={"output_schema": {"type": "object"}})
    result, _ = await reply_to(turn, Written(text='{"sum": 4}'))

    assert result.structured == {"sum": 4}


@pytest.mark.parametrize("text", ["four", '{"sum": NaN}', "[" * 100_000], ids=["no", "nan", "deep"])
async def test_where_json_is_wanted_anything_else_fails_the_turn(text: str) -> None:
    turn = turn_of("answer")[0].model_copy(update={"output_schema": {"type": "object"}})
    with pytest.raises(ProtocolFailed, match="the reply had to be JSON, but is not: "):
        await reply_to(turn, Written(text=text))


async def test_a_vote_is_a_valid_ballot_with_its_reason() -> None:
    turn, paper = turn_of("evaluate", shown=SHOWN)
    result, asked = await reply_to(turn, Chosen(label="agent2", reason="Sound."))

    assert (asked.kind, asked.choices, asked.may_improve) == (
        "choice",
        ("agent10", "agent2"),
        False,
    )
    cast = ballots.read(paper, result)
    assert isinstance(cast, ballots.VoteCast)
    assert (cast.choice.label, cast.reason) == ("agent2", "Sound.")


async def test_a_better_answer_can_be_promised() -> None:
    turn, paper = turn_of("evaluate", shown=SHOWN, may_improve=True)
    result, asked = await reply_to(turn, Better())

    assert asked.may_improve
    assert ballots.read(paper, result) == ballots.Promise()


async def test_all_answers_can_be_put_in_order() -> None:
    turn, paper = turn_of("rank", shown=SHOWN)
    result, asked = await reply_to(turn, Ordered(labels=("agent2", "agent10")))

    assert (asked.kind, asked.choices) == ("order", ("agent10", "agent2"))
    assert not isinstance(ballots.read(paper, result), ballots.Spoiled)


async def test_a_person_in_the_chair_chooses_who_speaks_or_ends_it() -> None:
    turn, paper = turn_of("chair", shown=SHOWN, speakers=SPEAKERS, may_end=True)
    result, asked = await reply_to(turn, Chosen(label="end"))

    assert asked.wish == "Who speaks next?"
    assert asked.choices == ("agent2", "agent3", "end")
    assert ballots.read(paper, result) == ballots.NextSpeaker(label=None, reason="")


async def test_a_person_can_abstain() -> None:
    turn, paper = turn_of("evaluate", shown=SHOWN)
    result, _ = await reply_to(turn, Declined(reason="No idea."))

    assert ballots.read(paper, result) == ballots.Abstention(reason="No idea.")


# --- what happens without a reply ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("default", "label"),
    [
        (None, None),
        ("abstain", None),
        ("first", "agent2"),
        (("agent7", "agent10", "agent2"), "agent10"),
        (("agent7",), None),
    ],
)
async def test_without_a_reply_the_default_votes(default: Any, label: str | None) -> None:
    turn, paper = turn_of("evaluate", shown=SHOWN)
    result, _ = await reply_to(turn, None, time_limit_s=0.05, default=default)

    cast = ballots.read(paper, result)
    reason = "no reply within 0.05 s: default"
    if label is None:
        assert cast == ballots.Abstention(reason=reason)
    else:
        assert isinstance(cast, ballots.VoteCast)
        assert (cast.choice.label, cast.reason) == (label, reason)


@pytest.mark.parametrize("text", [None, "I do not know."])
async def test_without_a_reply_the_stated_answer_is_given(text: str | None) -> None:
    turn, paper = turn_of("answer")
    result, _ = await reply_to(turn, None, time_limit_s=0.05, default_answer=text)

    if text is None:
        assert result.abstained == "no reply within 0.05 s: default"
    else:
        assert ballots.read(paper, result) == ballots.Improvement(text=text)


async def test_the_records_tell_that_a_person_was_asked_and_that_the_default_applied() -> None:
    turn, _ = turn_of("answer")
    events = collect()
    agent = HumanAgent(HumanOptions(time_limit_s=0.05), Desk(Person(None)))
    await agent.run(turn, events)

    assert events.events == [
        PersonAsked(time_limit_s=0.05, default="you abstain"),
        PersonReplied(by_default=True, reason="no reply within 0.05 s"),
    ]


async def test_where_nobody_can_be_asked_the_default_applies_at_once() -> None:
    turn, _ = turn_of("answer")
    result = await HumanAgent(HumanOptions(default="abstain")).run(turn, collect())

    assert result.abstained == "there is nobody to ask: default"


@pytest.mark.parametrize(
    "options",
    [{"time_limit_s": 0}, {"default": "last"}, {"default": ["agent 2"]}, {"default_answer": ""}],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        HumanOptions.model_validate(options)


# --- in a run -----------------------------------------------------------------------------------


def team(**person: Any) -> dict[str, Any]:
    others = [
        {"id": name, "backend": {"type": "scripted", "answers": [name], "votes": ["agent1"]}}
        for name in ("ada", "bob")
    ]
    ann = {"id": "ann", "limits": {"idle_s": 0.5}, "backend": {"type": "human", **person}}
    return {"version": 1, "agents": [*others, ann]}


async def test_a_person_answers_and_votes_like_the_others() -> None:
    person = Person(Written(text="ann's"), Chosen(label="agent3", reason="Mine."))
    records: list[Record] = []
    result = await arun(team(), "Which?", keep=False, ask=person, on_record=records.append)

    assert result.status == "answered"
    assert [(one.voter, one.label, one.reason) for one in result.votes][-1] == (
        "ann",
        "agent3",
        "Mine.",
    )
    assert {answer.text for answer in person.questions[1].shown} == {"ada", "bob", "ann's"}


async def test_a_person_who_thinks_longer_than_agents_may_be_silent_is_waited_for() -> None:
    class Thinker(Person):
        async def __call__(self, question: Question, /) -> Reply:
            await anyio.sleep(1.2)
            return await super().__call__(question)

    person = Thinker(Written(text="late"), Declined())
    result = await arun(team(), "Which?", keep=False, ask=person)

    assert result.errors == ()
    assert "late" in {answer.text for answer in result.answers}


async def test_a_person_who_says_nothing_neither_fails_nor_stops_the_run() -> None:
    records: list[Record] = []
    result = await arun(
        team(time_limit_s=0.3),
        "Which?",
        keep=False,
        ask=Person(None, None),
        on_record=records.append,
    )

    assert (result.status, result.answer, result.errors) == ("answered", "ada", ())
    events = [record.event for record in records if record.agent_id == "ann"]
    assert len([one for one in events if isinstance(one, Abstained)]) == 2


@pytest.mark.parametrize("nested", [False, True])
async def test_a_run_with_nobody_to_ask_begins_only_with_a_stated_default(*, nested: bool) -> None:
    def config(**person: Any) -> dict[str, Any]:
        made = team(**person)
        if nested:
            within = {"type": "team", "agents": made["agents"]}
            made = {"version": 1, "agents": [{"id": "inner", "backend": within}]}
        return made

    records: list[Record] = []
    with pytest.raises(ConfigError, match="'ann' is a person, and there is nobody to ask"):
        await arun(config(), "Which?", keep=False, on_record=records.append)
    assert records == []

    result = await arun(config(default="abstain"), "Which?", keep=False)
    assert result.answer == "ada"


async def test_a_person_in_a_team_within_the_team_is_asked() -> None:
    within = {"type": "team", "agents": team()["agents"]}
    config = {"version": 1, "agents": [{"id": "inner", "backend": within}]}
    person = Person(Written(text="ann's"), Chosen(label="agent3"))
    await arun(config, "Which?", keep=False, ask=person)

    assert [asked.agent_id for asked in person.questions] == ["ann", "ann"]


async def test_after_a_kill_a_person_is_asked_again_only_for_what_is_not_recorded() -> None:
    class Leaves(Exception):
        pass

    class Leaver(Person):
        async def __call__(self, question: Question, /) -> Reply:
            if question.kind == "choice":
                scope.cancel()
                await anyio.sleep_forever()
            return await super().__call__(question)

    records: list[Record] = []
    with anyio.CancelScope() as scope:
        await arun(team(), "Which?", ask=Leaver(Written(text="ann's")), on_record=records.append)
    again = Person(Chosen(label="agent3"))
    result = await aresume(records[0].run_id, team(), ask=again, on_record=records.append)

    assert [asked.kind for asked in again.questions] == ["choice"]
    assert "ann's" in {answer.text for answer in again.questions[0].shown}
    assert result.status == "answered"
    own = [record.event for record in records if record.agent_id == "ann"]
    assert len([one for one in own if isinstance(one, Voted)]) == 1
    assert [one.attempt for one in own if isinstance(one, TurnStarted)] == [1, 1, 2]
