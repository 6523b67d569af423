"""The frame of a run: who takes part, how it begins, what it gives."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from massgen_bridge.agent import AnswerRef, Source, StopReason, Usage
from massgen_bridge.budget import BudgetName
from massgen_bridge.errors import ErrorKind, RunFailed
from massgen_bridge.events._used import AgentUse, Cost, Use
from massgen_bridge.messages import Frozen, JsonValue, MediaPart, Message

TeamRole = Literal["propose", "vote", "break_ties"]
"""What an agent does in a team: give answers, vote on them, decide between equals."""


class Seat(Frozen):
    """One agent's place in a run: its id, and the label under which the others know it.

    `model` and `provider` name its model and who serves it, where it has one. `weight` is what its
    vote counts. `has_tools` says that it can do more than write. `members` are the ids of those
    within, where it is a team.
    """

    agent_id: str
    label: str
    kind: str
    model: str | None = None
    provider: str | None = None
    roles: tuple[TeamRole, ...] = ("propose", "vote")
    weight: float = Field(default=1.0, gt=0)
    has_tools: bool = False
    members: tuple[str, ...] = ()


class AnswerListed(Frozen):
    """An answer stands for election; `authors` are agent ids, several where equal ones merged."""

    type: Literal["answer_listed"] = "answer_listed"
    answer: AnswerRef
    authors: tuple[str, ...]
    text: str
    media: tuple[MediaPart, ...] = ()


class AnswerInfo(Frozen):
    """An answer at the end of a run; `votes` counts the valid votes for this version.

    `score` is what decided where that is not the number of votes: the sum of their weights, or
    the points of rankings. `media` are the pictures and the like that belong to it,
    `sources` what it rests on.
    """

    label: str
    version: int
    authors: tuple[str, ...]
    text: str
    media: tuple[MediaPart, ...] = ()
    sources: tuple[Source, ...] = ()
    votes: int = 0
    score: float | None = None
    stop_reason: StopReason = "end"


class VoteInfo(Frozen):
    """A valid vote at the end of a run: `voter` and `author` are agent ids.

    A vote that put several answers in order has them in `ranking`, the one that it is for first.
    """

    voter: str
    author: str
    label: str
    version: int
    reason: str = ""
    weight: float = 1.0
    ranking: tuple[AnswerRef, ...] = ()


class StageStanding(Frozen):
    """What an answer got in one stage of a vote by rankings.

    `points` is what its places gave on average, from 1 (always first) to 0 (always last), over
    `ballots` valid rankings. `went_on` says that it stands in the next stage or, in the run-off,
    that nothing has more points.
    """

    label: str
    version: int
    points: float = Field(ge=0, le=1)
    ballots: int = Field(ge=0)
    went_on: bool = False


class StageInfo(Frozen):
    """One stage of a vote by rankings: the field, the best first.

    `number` counts from 1; in the `run_off` all voters rank the same answers. `asked` and
    `ballots` count what was asked for and what was valid.
    """

    number: int = Field(ge=1)
    run_off: bool = False
    asked: int = Field(ge=0)
    ballots: int = Field(ge=0)
    standing: tuple[StageStanding, ...] = ()


class StageClosed(Frozen):
    """A stage of a vote by rankings is counted."""

    type: Literal["stage_closed"] = "stage_closed"
    stage: StageInfo


class Dissent(Frozen):
    """An answer that did not win, and the votes for it: what a minority held against the winner.

    `authors` and `text` are those of the answer; empty where it stood no longer at the end.
    """

    label: str
    version: int
    authors: tuple[str, ...] = ()
    text: str = ""
    votes: tuple[VoteInfo, ...]


class ErrorInfo(Frozen):
    """A failure during a run that cost an agent its turn."""

    agent_id: str
    turn_id: str
    kind: ErrorKind
    message: str


RunStatus = Literal["answered", "best_so_far", "failed", "cancelled"]


class RunResult(Frozen):
    """What a run gave; `--output json` prints it, with the `dissent` that follows from it.

    Attributes:
        status: `answered`; `best_so_far` when a deadline or a limit ended it early; `failed`;
            `cancelled`.
        answer: The winning text, None without one.
        media: The pictures and the like that belong to it, with the files they are saved in.
        sources: What it rests on, as providers' own searches told it.
        presented: The winner presented its answer once more: `answer` is that text, and what was
            voted for stands among `answers`.
        budget: The budget that ended the run, None where none did.
        winner: Agent id of its (first) author.
        winning: Label and version of the winning answer.
        tie_broken_by: What decided a tie, None where there was none.
        stages: Of a vote by rankings, in order; `votes` are then the rankings of the run-off.
        usage: Tokens of all turns.
        calls: Model calls made, retries and failures included.
        cost: What they cost, as far as it is known.
        agents: What each agent has used, in the order of the configuration.
        duration_s: Wall time in seconds.
    """

    run_id: str
    status: RunStatus
    answer: str | None = None
    media: tuple[MediaPart, ...] = ()
    sources: tuple[Source, ...] = ()
    presented: bool = False
    budget: BudgetName | None = None
    winner: str | None = None
    winning: AnswerRef | None = None
    votes: tuple[VoteInfo, ...] = ()
    answers: tuple[AnswerInfo, ...] = ()
    stages: tuple[StageInfo, ...] = ()
    errors: tuple[ErrorInfo, ...] = ()
    tie_broken_by: str | None = None
    usage: Usage = Usage()
    calls: int = 0
    cost: Cost = Cost()
    agents: tuple[AgentUse, ...] = ()
    duration_s: float = 0.0
    message: str | None = None

    @property
    def used(self) -> Use:
        """Calls, tokens and cost of the whole run."""
        return Use(calls=self.calls, usage=self.usage, cost=self.cost)

    @property
    def dissent(self) -> tuple[Dissent, ...]:
        """What others than the winner got votes, the most votes first; no model is asked."""
        if self.winning is None:
            return ()
        won = (self.winning.label, self.winning.version)
        known = {(answer.label, answer.version): answer for answer in self.answers}
        camps: dict[tuple[str, int], tuple[VoteInfo, ...]] = {}
        for vote in self.votes:
            ref = (vote.label, vote.version)
            camps[ref] = (*camps.get(ref, ()), vote)
        camps.pop(won, None)
        found = []
        weights = {ref: math.fsum(vote.weight for vote in votes) for ref, votes in camps.items()}
        for ref, votes in sorted(camps.items(), key=lambda camp: -weights[camp[0]]):
            label, version = ref
            answer = known.get((label, version))
            who, text = (answer.authors, answer.text) if answer else ((), "")
            found.append(Dissent(label=label, version=version, authors=who, text=text, votes=votes))
        return tuple(found)

    def require_answer(self) -> str:
        """The answer.

        Raises:
            RunFailed: There is none; the text says why.
        """
        if self.answer is None:
            raise RunFailed(f"run {self.run_id} {self.status}: {self.message or 'no answer'}")
        return self.answer


class Exchange(Frozen):
    """A question of the user and the team's answer to it, as the user saw both: that of a run.

    `media` belong to the answer.
    """

    run_id: str
    question: Message
    answer: str
    media: tuple[MediaPart, ...] = ()


class Conversation(Frozen):
    """The conversation with the user that a run goes on with.

    Attributes:
        session: The name that it is kept under, None where it is not kept.
        earlier: What was asked and answered before, the oldest first, as far as any agent may be
            shown it.
        forgotten: How many older turns there are that no agent has room for.
    """

    session: str | None = None
    earlier: tuple[Exchange, ...] = ()
    forgotten: int = Field(default=0, ge=0)


class OuterTurn(Frozen):
    """The turn of another run that a run is the work of: its agent is a team."""

    run_id: str
    agent_id: str
    turn_id: str


class RunStarted(Frozen):
    """The first record of a run; holds no secret. `conversation` is None of a lone question.

    `within` tells of which turn of another run it is the work, where an agent is a team.
    `replayed_from` is the cassette that answers in place of all models, where one does. `attached`
    is what single agents get with every task, beside the question, by agent id; that of a team's
    member is `team/member`, and `team/` stands for all of them.
    """

    type: Literal["run_started"] = "run_started"
    bridge_version: str
    question: Message
    seats: tuple[Seat, ...]
    strategy: str
    strategy_options: dict[str, JsonValue] = Field(default_factory=dict)
    config_file: str | None = None
    conversation: Conversation | None = None
    within: OuterTurn | None = None
    replayed_from: str | None = None
    attached: dict[str, tuple[MediaPart, ...]] = Field(default_factory=dict)


class RunResumed(Frozen):
    """The run goes on in another process; a turn without terminal event is started again."""

    type: Literal["run_resumed"] = "run_resumed"
    bridge_version: str


class RunFinished(Frozen):
    """The last record of a run; only one that was cancelled can be resumed after it."""

    type: Literal["run_finished"] = "run_finished"
    result: RunResult
