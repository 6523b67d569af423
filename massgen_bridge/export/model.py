"""A run as a reader wants it: one value that follows from its records alone.

Times are seconds since the start of the run, money is US dollars. Texts are as the journal has
them: whoever shows them makes them safe for where they are shown.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from massgen_bridge.agent import AnswerRef, StopReason, Usage
from massgen_bridge.budget import BudgetName
from massgen_bridge.errors import ErrorKind
from massgen_bridge.events import Cost, Dissent, Purpose, RunResult, RunStatus, Seat, StageInfo
from massgen_bridge.messages import Frozen, ImagePart, JsonValue

__all__ = [
    "EXPORT_VERSION",
    "AgentPart",
    "Attachment",
    "Break",
    "EarlierTurn",
    "Failure",
    "GivenAnswer",
    "ModelCall",
    "Refusal",
    "Round",
    "RunExport",
    "SpentBudget",
    "TeamWork",
    "Tie",
    "ToolUse",
    "TurnPart",
    "VoteCast",
    "Wait",
]

EXPORT_VERSION: Literal[1] = 1

Outcome = Literal[
    "answered",
    "voted",
    "ranked",
    "chose",
    "promised",
    "abstained",
    "rejected",
    "spoiled",
    "failed",
    "stopped",
    "done",
    "unfinished",
]
Standing = Literal["winner", "standing", "replaced", "late", "step"]


class ModelCall(Frozen):
    """One request to a model; `end_s` and `usage` are null where it failed or was stopped.

    `source` is the member that made it, where the agent is a team. `cost_usd` is null where the
    price is not known.
    """

    model: str
    source: str | None = None
    start_s: float
    end_s: float | None = None
    usage: Usage | None = None
    cost_usd: float | None = None


class Wait(Frozen):
    """The pause after a failed model call, and why there was one.

    `fallback` is the connection that was asked instead, where it was another one.
    """

    start_s: float
    end_s: float
    attempt: int
    kind: ErrorKind
    message: str
    fallback: str | None = None


class ToolUse(Frozen):
    """One call of a tool.

    Attributes:
        end_s: Null where the call never ended.
        arguments: With the changes that plugins made.
        content: What it gave; null where it never ended.
        is_ballot: Whether the call was the vote itself.
        is_hosted: Whether the provider called a tool of its own; the host then knows neither when
            it ended nor what it gave.
        judged: What plugins decided on it, such as `deny`; null where they had no opinion.
        judged_by: The plugin that decided.
        judged_because: Its reason.
    """

    call_id: str
    name: str
    start_s: float
    end_s: float | None = None
    arguments: dict[str, JsonValue] = Field(default_factory=dict)
    content: str | None = None
    is_error: bool = False
    is_ballot: bool = False
    is_hosted: bool = False
    judged: str | None = None
    judged_by: str | None = None
    judged_because: str = ""


class TeamWork(Frozen):
    """What a team did in a turn: a run of its own.

    Attributes:
        run_id: That run, which can be exported itself.
        purpose: Whether the team gave an answer, or voted.
        strategy: How; `poll` of a vote.
        seats: Its members.
        result: What came of it; null where it has no end.
    """

    run_id: str
    purpose: Literal["answer", "vote"]
    strategy: str
    seats: tuple[Seat, ...]
    result: RunResult | None = None


class TurnPart(Frozen):
    """One turn of an agent.

    Attributes:
        end_s: When it ended; of an `unfinished` one, when it was last heard of.
        purpose: What was asked of the agent.
        calls: Its model calls, in order.
        waits: The pauses before calls that were made again.
        usage: As the agent counts it at the end; of a turn that failed, that of its calls.
        outcome: What came of it; `chose` of a chair that named a speaker, `done` where nothing
            more is known.
        said: What there is to say of the outcome: a problem, an error, a reason.
        team: What its agent did as a team; null of any other.
    """

    turn_id: str
    agent_id: str
    purpose: Purpose
    round: int
    start_s: float
    end_s: float
    outcome: Outcome = "unfinished"
    said: str = ""
    calls: tuple[ModelCall, ...] = ()
    waits: tuple[Wait, ...] = ()
    tools: tuple[ToolUse, ...] = ()
    usage: Usage = Usage()
    cost: Cost = Cost()
    team: TeamWork | None = None


class AgentPart(Frozen):
    """One agent: its seat, and what it used.

    Attributes:
        calls: Model calls, failed ones included.
        busy_s: Seconds within turns.
    """

    seat: Seat
    turns: int = 0
    calls: int = 0
    busy_s: float = 0.0
    usage: Usage = Usage()
    cost: Cost = Cost()


class Attachment(Frozen):
    """What belongs to a question or an answer beside its text.

    Attributes:
        words: What it is, for a person.
        picture: The picture to show, where it is one that can be shown; in no JSON.
    """

    words: str
    picture: ImagePart | None = Field(default=None, exclude=True, repr=False)


class GivenAnswer(Frozen):
    """An answer that stood for election, or was given too late for it.

    Attributes:
        round: The round in which it was given; 0 is the first, blind one.
        votes: The valid votes for it at the end.
        score: What decided where that is not the number of votes.
        standing: `winner`; `standing` at the end; `replaced` by a better one before; `late`,
            given when the run was being ended; `step`, given on the way and never voted for.
        before: The answer of the same author that it replaced.
        attachments: The pictures and the like that belong to it, with the files they are in, and
            what it rests on.
    """

    label: str
    version: int
    authors: tuple[str, ...]
    text: str
    attachments: tuple[Attachment, ...] = ()
    at_s: float | None = None
    round: int = 0
    votes: int = 0
    score: float | None = None
    stop_reason: StopReason = "end"
    standing: Standing = "standing"
    before: AnswerRef | None = None


class VoteCast(Frozen):
    """A vote; `authors` are the agents behind the answer, `counted` whether it decided.

    `ranking` are all answers that were put in order, the best one first; the vote is for that.
    """

    voter: str
    label: str
    version: int
    authors: tuple[str, ...] = ()
    reason: str = ""
    weight: float = 1.0
    ranking: tuple[AnswerRef, ...] = ()
    at_s: float | None = None
    counted: bool = True


class Round(Frozen):
    """A round; `improved` says that a better answer came in it, so that its votes lapsed."""

    number: int
    start_s: float
    end_s: float
    votes: tuple[VoteCast, ...] = ()
    improved: bool = False


class Refusal(Frozen):
    """An answer that a plugin rejected, or a ballot that was spoiled; `text` is what was said."""

    what: Literal["answer", "ballot"]
    agent_id: str
    turn_id: str
    round: int = 0
    at_s: float
    reason: str
    text: str = ""


class Tie(Frozen):
    """A tie and who broke it: an agent, a plugin, or `order` for the order of the configuration."""

    tied: tuple[AnswerRef, ...] = ()
    winner: AnswerRef | None = None
    by: str


class Failure(Frozen):
    """A failure that cost an agent a turn, and what can be done about it."""

    agent_id: str
    turn_id: str
    kind: ErrorKind
    message: str
    advice: str


class Break(Frozen):
    """A time in which nothing went on: from the last record of a process to the resumption."""

    start_s: float
    end_s: float


class SpentBudget(Frozen):
    """A budget that was used up: that of an agent, or with `agent_id` null that of the run.

    `limit` and `used` are calls, tokens, US dollars or seconds.
    """

    agent_id: str | None
    budget: BudgetName
    limit: float
    used: float
    message: str


class EarlierTurn(Frozen):
    """A turn of the conversation before, as the user saw it; `attachments` as for the question."""

    run_id: str
    question: str
    attachments: tuple[Attachment, ...] = ()
    answer: str


class RunExport(Frozen):
    """A run, finished or broken off.

    Attributes:
        v: The version of this form; it rises when a field changes its meaning or goes away.
        status: How it ended; `unfinished` where the records have no end.
        message: Why it ended so, where there is more to say.
        duration_s: From its start to its last record.
        bridge_version: What ran it.
        strategy_options: With the defaults.
        started_at: Unix time in seconds.
        question: The text of the question.
        attachments: What went along with it, by type and name.
        session: The conversation that it belongs to, where that is kept.
        earlier: What was asked and answered in it before, as far as any agent was shown it.
        forgotten: How many older turns no agent was shown.
        answer: The winning text; null without one.
        winning: Label and version of the winning answer.
        agents: In the order of the configuration.
        turns: By their start.
        rounds: As the strategy counts them; in `consensus`, 0 is that of the first answers.
        answers: In the order in which they were put up for election; then what was not.
        votes: The votes that counted; in an unfinished run those of its last round.
        without_vote: Agents without a valid vote in the vote that counted, and why, as far as it
            is known; not those that had none to give.
        dissent: What a minority held against the winner.
        stages: Of a vote by rankings, in order; `votes` are then the rankings of the run-off.
        tie: Null where there was none.
        refusals: What agents said that did not count.
        failures: What cost agents their turns.
        deadline_s: The time limit, where it ended the run.
        budgets: Those that were used up.
        breaks: Where the run was broken off, and resumed later.
        calls: Model calls, failed ones and repeated ones included.
        usage: Tokens of all turns.
        cost: By list prices on the day of the run.
    """

    v: Literal[1] = EXPORT_VERSION
    run_id: str
    status: RunStatus | Literal["unfinished"]
    message: str | None = None
    started_at: float
    duration_s: float
    bridge_version: str = ""
    config_file: str | None = None
    strategy: str = ""
    strategy_options: dict[str, JsonValue] = Field(default_factory=dict)
    question: str = ""
    attachments: tuple[Attachment, ...] = ()
    session: str | None = None
    earlier: tuple[EarlierTurn, ...] = ()
    forgotten: int = 0
    answer: str | None = None
    winning: AnswerRef | None = None
    agents: tuple[AgentPart, ...] = ()
    turns: tuple[TurnPart, ...] = ()
    rounds: tuple[Round, ...] = ()
    answers: tuple[GivenAnswer, ...] = ()
    votes: tuple[VoteCast, ...] = ()
    without_vote: dict[str, str] = Field(default_factory=dict)
    dissent: tuple[Dissent, ...] = ()
    stages: tuple[StageInfo, ...] = ()
    tie: Tie | None = None
    refusals: tuple[Refusal, ...] = ()
    failures: tuple[Failure, ...] = ()
    deadline_s: float | None = None
    budgets: tuple[SpentBudget, ...] = ()
    breaks: tuple[Break, ...] = ()
    calls: int = 0
    usage: Usage = Usage()
    cost: Cost = Cost()

    @property
    def winner(self) -> GivenAnswer | None:
        """The answer that won."""
        return next((one for one in self.answers if one.standing == "winner"), None)
