"""Answers that try to be more than answers change no ballot and no label, by any way to vote."""

from __future__ import annotations

import re
from functools import cache
from itertools import product
from typing import Any

import pytest
from injection.corpus import CORPUS, Hostile, each

from massgen_bridge import Team, ballots
from massgen_bridge.agent import AnswerRef, Capabilities, ShownAnswer, TurnResult
from massgen_bridge.events import Purpose, Record, RunResult
from massgen_bridge.kinds.scripted import ScriptedAgent, ScriptedOptions
from massgen_bridge.messages import ToolCall, assistant, user
from massgen_bridge.strategy import Speaker, StartTurn

MARK = ballots.mark_of("secret", "ada.2")
PLAIN = "A plain answer."
WAYS: tuple[Any, ...] = ("tools", "schema", "text")
CHOICES: tuple[Purpose, ...] = ("evaluate", "judge", "chair", "break_tie")
BALLOTS: tuple[Purpose, ...] = (*CHOICES, "rank")
TEXTS: tuple[Purpose, ...] = (
    *("improve", "continue", "debate", "reduce", "speak", "conclude"),
    "present",
)
SPEAKERS = tuple(Speaker(label=f"agent{n}") for n in (1, 2, 3))


def test_the_corpus_is_large_and_its_entries_differ() -> None:
    assert len(CORPUS) >= 30
    assert len({one.text for one in CORPUS}) == len({one.name for one in CORPUS}) == len(CORPUS)
    assert max(len(one.text) for one in CORPUS) > 200_000


# --- what is asked --------------------------------------------------------------------------------


def draft(purpose: Purpose, way: Any, text: str) -> ballots.Draft:
    command = StartTurn(
        turn_id="ada.2",
        agent_id="ada",
        purpose=purpose,
        shown=(
            ShownAnswer(label="agent3", version=1, text=text, asked="a part"),
            ShownAnswer(label="agent1", version=2, text=PLAIN),
        ),
        may_improve=purpose == "evaluate",
        label="agent1",
        speakers=SPEAKERS,
        may_end=True,
        stop_phrase="DONE",
    )
    return ballots.compose(command, user("Which?"), system="Be brief.", way=way, mark=MARK)


@each
def test_an_answer_changes_nothing_but_its_own_place(hostile: Hostile) -> None:
    for purpose, way in product((*BALLOTS, *TEXTS), WAYS):
        made, harmless = draft(purpose, way, hostile.text), draft(purpose, way, "@@")

        assert (made.paper, made.tools, made.output_schema) == (
            harmless.paper,
            harmless.tools,
            harmless.output_schema,
        )
        text = harmless.messages[-1].text
        assert text.count("@@") == 1
        assert made.messages[-1].text == text.replace("@@", hostile.text)
        assert made.messages[:-1] == harmless.messages[:-1]


@each
def test_who_knows_the_mark_finds_each_answer_whole_under_its_label(hostile: Hostile) -> None:
    block = re.compile(rf'<answer-{MARK} label="(\w+)">\n(.*?)\n</answer-{MARK}>', re.DOTALL)
    for purpose in (*BALLOTS, *TEXTS):
        text = draft(purpose, "text", hostile.text).messages[-1].text
        assert block.findall(text) == [("agent3", hostile.text), ("agent1", PLAIN)]
        assert text.count(f"answer-{MARK} label=") == 2
        assert text.startswith(f"The task:\n<task-{MARK}>\nWhich?\n</task-{MARK}>\n")


# --- what is read ---------------------------------------------------------------------------------


def paper(way: Any, purpose: Purpose, hostile: Hostile) -> ballots.Paper:
    made = draft(purpose, way, hostile.text).paper
    assert made is not None
    return made


def said(text: str, structured: Any = None) -> TurnResult:
    return TurnResult(message=assistant(text), structured=structured)


def chosen(cast: Any) -> str | None:
    """What a cast counts for: the label, None where it is no valid choice."""
    match cast:
        case ballots.VoteCast(choice=AnswerRef(label="agent1", version=2)):
            return "agent1"
        case ballots.NextSpeaker(label="agent1"):
            return "agent1"
        case ballots.RankingCast(
            ranking=(AnswerRef(label="agent1", version=2), AnswerRef(label="agent3", version=1))
        ):
            return "agent1"
        case ballots.VoteCast() | ballots.RankingCast() | ballots.NextSpeaker():
            return "another"
    return None


@each
def test_who_only_repeats_an_answer_has_not_chosen(hostile: Hostile) -> None:
    for purpose, way in product(BALLOTS, ("tools", "text")):
        made = paper(way, purpose, hostile)
        assert chosen(ballots.read(made, said(hostile.text))) is None


@each
def test_a_ballot_counts_for_its_label_whatever_is_quoted_beside_it(hostile: Hostile) -> None:
    ballot = f"```ballot-{MARK}\nvote: agent1\nreason: short\n```"
    value = {"vote": "agent1", "reason": hostile.text}
    call = ToolCall(call_id="c", name="vote", arguments={"label": "agent1", "reason": hostile.text})
    for purpose in CHOICES:
        text, schema, tools = (paper(way, purpose, hostile) for way in ("text", "schema", "tools"))
        for quoted in (f"{hostile.text}\n\n{ballot}", f"{ballot}\n\n{hostile.text}"):
            assert chosen(ballots.read(text, said(quoted))) == "agent1"
        assert chosen(ballots.read(schema, said("", value))) == "agent1"
        cast, result = ballots.take_vote(tools, call)
        assert chosen(cast) == "agent1"
        assert result.content == "Counted for agent1."
        assert chosen(ballots.read(tools, said(hostile.text), cast))


@each
def test_a_ranking_counts_as_it_stands_whatever_is_quoted_beside_it(hostile: Hostile) -> None:
    ballot = f"```ballot-{MARK}\nranking: agent1, agent3\nreason: short\n```"
    text = paper("text", "rank", hostile)
    for quoted in (f"{hostile.text}\n\n{ballot}", f"{ballot}\n\n{hostile.text}"):
        assert chosen(ballots.read(text, said(quoted))) == "agent1"
    order: list[Any] = ["agent1", "agent3"]
    by_schema = {"ranking": order, "reason": hostile.text}
    assert chosen(ballots.read(paper("schema", "rank", hostile), said("", by_schema))) == "agent1"
    arguments = {"ranking": order, "reason": hostile.text}
    call = ToolCall(call_id="c", name="vote", arguments=arguments)
    cast, result = ballots.take_vote(paper("tools", "rank", hostile), call)
    assert chosen(cast) == "agent1"
    assert result.content == "Counted, agent1 first."


@each
def test_an_answer_has_no_place_in_a_ranking(hostile: Hostile) -> None:
    if hostile.text == "agent1":
        return  # it is what it says
    for order in ([hostile.text, "agent1"], ["agent1", hostile.text], hostile.text):
        call = ToolCall(call_id="c", name="vote", arguments={"ranking": order, "reason": "x"})
        cast, result = ballots.take_vote(paper("tools", "rank", hostile), call)
        assert cast is None
        assert len(result.content) < 500
        value = {"ranking": order, "reason": "x"}
        spoiled = ballots.read(paper("schema", "rank", hostile), said("", value))
        assert isinstance(spoiled, ballots.Spoiled)
        assert len(spoiled.problem) < 500


@each
def test_an_answer_is_no_label(hostile: Hostile) -> None:
    if hostile.text in {"agent1", "end", "improve"}:
        return  # these are what they say; the test below is about the labels
    call = ToolCall(call_id="c", name="vote", arguments={"label": hostile.text, "reason": "x"})
    value = {"vote": hostile.text, "reason": "x"}
    for purpose in CHOICES:
        cast, result = ballots.take_vote(paper("tools", purpose, hostile), call)
        assert cast is None
        assert len(result.content) < 500
        spoiled = ballots.read(paper("schema", purpose, hostile), said("", value))
        assert isinstance(spoiled, ballots.Spoiled)
        assert len(spoiled.problem) < 500


@pytest.mark.parametrize(
    "label",
    ["Agent1", "agent1 ", "agent01", "agent1.", "agent\u0661", "\u0430gent1", "agent1\u200b", "1"],
)
def test_only_the_label_itself_is_the_label(label: str) -> None:
    for purpose in CHOICES:
        made = paper("schema", purpose, CORPUS[0])
        assert chosen(ballots.read(made, said("", {"vote": label, "reason": ""}))) is None


# --- whole runs -----------------------------------------------------------------------------------

NAMES = ("ada", "bob", "eve")
VOTES = {
    "consensus": (["agent2"], ["agent1"], ["agent2"]),
    "debate": ((), ["agent1"], ()),
    "group": ((), ["agent3", "agent1", "end"], ()),
}
STRATEGIES: dict[str, dict[str, Any]] = {
    "consensus": {},
    "debate": {"judge": "bob", "rounds": 1},
    "group": {"chair": "bob", "max_turns": 3},
    "map_reduce": {"reducer": "bob"},
    "sequential": {"show": "all"},
}


@cache
def course(strategy: str, way: Any, answer: str) -> tuple[RunResult, list[tuple[str, ...]]]:
    """A run in which `eve` gives the answer: its result, and all that happened but for texts."""
    team = Team(strategy={"type": strategy, **STRATEGIES[strategy]})
    texts = ("By ada.", "By bob.", answer)
    votes = VOTES.get(strategy, ((), (), ()))
    for name, text, labels in zip(NAMES, texts, votes, strict=True):
        options = ScriptedOptions(answers=(text,), votes=tuple(labels) or ("agent1",))
        able = Capabilities(tools=True, structured=True)
        team.add(name, ScriptedAgent(options), ballot=way, capabilities=able)
    records: list[Record] = []
    result = team.run("Which?", keep=False, on_record=records.append)
    return result, sorted(one for one in map(_happened, records) if one)


def _happened(record: Record) -> tuple[str, ...]:
    event = record.event
    match event.type:
        case "turn_started":
            shown = [f"{one.label}.{one.version}" for one in event.turn.shown]
            return (event.type, event.turn.turn_id, event.purpose, *shown)
        case "voted":
            choice = f"{event.choice.label}.{event.choice.version}"
            return (event.type, event.agent_id, choice, event.reason)
        case "ranked":
            order = [f"{one.label}.{one.version}" for one in event.ranking]
            return (event.type, event.agent_id, event.turn_id, *order)
        case "speaker_chosen":
            return (event.type, event.agent_id, event.turn_id, str(event.label))
        case "answered" | "ballot_spoiled" | "turn_lost" | "tie_broken":
            return (event.type, str(record.agent_id))
    return ()


@each
@pytest.mark.parametrize(
    ("strategy", "way"),
    [("consensus", "tools"), ("consensus", "schema"), *((name, "text") for name in STRATEGIES)],
)
def test_a_run_takes_the_course_that_it_takes_with_a_plain_answer(
    hostile: Hostile, strategy: str, way: str
) -> None:
    result, happened = course(strategy, way, hostile.text)
    if not hostile.text.strip():  # no answer at all: it is asked for again, and then left out
        assert {one for one in happened if one[0] == "ballot_spoiled"} <= {
            ("ballot_spoiled", "eve")
        }
        assert result.status == "answered"
        return
    plain, expected = course(strategy, way, PLAIN)
    assert happened == expected
    assert [(one.label, one.version, one.authors, one.votes) for one in result.answers] == [
        (one.label, one.version, one.authors, one.votes) for one in plain.answers
    ]
    assert (result.winning, result.votes) == (plain.winning, plain.votes)


@cache
def staged_course(way: Any, answer: str) -> tuple[RunResult, list[tuple[str, ...]]]:
    """A vote in stages on answers of five, that of `eve` among them."""
    team = Team(strategy={"type": "consensus", "ballot_size": 3})
    liked = (("agent2", "agent4", "agent1", "agent3", "agent5"),)
    for name in ("ada", "bob", "cyd", "dan", "eve"):
        text = answer if name == "eve" else f"By {name}."
        options = ScriptedOptions(answers=(text,), rankings=liked)
        able = Capabilities(tools=True, structured=True)
        team.add(name, ScriptedAgent(options), ballot=way, capabilities=able)
    records: list[Record] = []
    result = team.run("Which?", keep=False, on_record=records.append)
    return result, sorted(one for one in map(_happened, records) if one)


@each
@pytest.mark.parametrize("way", ["tools", "text"])
def test_stages_take_the_course_that_they_take_with_a_plain_answer(
    hostile: Hostile, way: str
) -> None:
    result, happened = staged_course(way, hostile.text)
    if not hostile.text.strip():
        assert result.status == "answered"
        return
    plain, expected = staged_course(way, PLAIN)
    assert happened == expected
    assert (result.stages, result.votes) == (plain.stages, plain.votes)
    assert result.winning == AnswerRef(label="agent2", version=1)
