"""From the records of a run to what a reader wants to know of it: a pure function."""

from __future__ import annotations

from collections import Counter
from math import isclose
from typing import TYPE_CHECKING

from massgen_bridge.agent import AnswerRef
from massgen_bridge.display.state import RunView
from massgen_bridge.display.words import ADVICE, saved_words, source_words
from massgen_bridge.events import (
    BudgetReached,
    Conversation,
    DeadlinePassed,
    RunResumed,
    RunStarted,
    TieBroken,
)
from massgen_bridge.export._pictures import shown
from massgen_bridge.export._turns import TurnLog
from massgen_bridge.export.model import (
    AgentPart,
    Attachment,
    Break,
    EarlierTurn,
    Failure,
    GivenAnswer,
    Round,
    RunExport,
    SpentBudget,
    Tie,
    VoteCast,
)
from massgen_bridge.messages import MediaPart

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from massgen_bridge.agent import Source
    from massgen_bridge.display.agent_view import AgentView
    from massgen_bridge.events import AnswerListed, Exchange, Record, RunResult, VoteInfo
    from massgen_bridge.export.model import Standing, TurnPart
    from massgen_bridge.messages import MediaPart, Message

__all__ = ["export_of"]


def export_of(records: Iterable[Record]) -> RunExport:
    """The whole of a run.

    The same records give the same value.

    Args:
        records: All records of one run, in order, as the journal has them: without secrets.
    """
    return _Story(records).told()


class _Story:
    """A run while it is read."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._view = RunView()
        self._log = TurnLog()
        self._listed: dict[AnswerRef, tuple[AnswerListed, float, int]] = {}
        self._tie: TieBroken | None = None
        self._deadline: float | None = None
        self._breaks: list[Break] = []
        self._budgets: list[SpentBudget] = []
        for record in records:
            self._take(record)

    def _take(self, record: Record) -> None:
        stopped_at = self._view.last_at
        self._view.apply(record)
        at_s = round(record.at - self._view.started_at, 3)
        self._log.take(record, at_s)
        match record.event:
            case RunStarted():
                self._listed.clear()
            case RunResumed():
                start_s = round(max(stopped_at - self._view.started_at, 0.0), 3)
                self._breaks.append(Break(start_s=start_s, end_s=at_s))
            case TieBroken() as broken:
                self._tie = broken
            case DeadlinePassed(after_s=after_s):
                self._deadline = after_s
            case BudgetReached() as spent:
                about = spent.model_dump(exclude={"type"})
                self._budgets.append(SpentBudget(**about, message=spent.message))
            case _ if record.event.type == "answer_listed":
                self._listed[record.event.answer] = (record.event, at_s, self._view.round)
            case _:
                pass

    # --- the whole ------------------------------------------------------------------------------

    def told(self) -> RunExport:
        """Everything."""
        view, result = self._view, self._view.result
        used = result.used if result else view.used()
        turns = tuple(self._log.turns())
        rounds = tuple(self._rounds(turns))
        started = view.started
        last_s = round(view.last_at - view.started_at, 3)
        answers = tuple(self._answers(turns))
        conversation = (started.conversation if started else None) or Conversation()
        return RunExport(
            run_id=view.run_id,
            status=result.status if result else "unfinished",
            message=result.message if result else None,
            started_at=view.started_at,
            duration_s=max(result.duration_s if result else 0.0, last_s),
            bridge_version=started.bridge_version if started else "",
            config_file=started.config_file if started else None,
            strategy=started.strategy if started else "",
            strategy_options=started.strategy_options if started else {},
            question=started.question.text if started else "",
            attachments=_attachments(started.question) if started else (),
            session=conversation.session,
            earlier=tuple(map(_earlier, conversation.earlier)),
            forgotten=conversation.forgotten,
            answer=result.answer if result else None,
            winning=result.winning if result else None,
            agents=tuple(self._agents(turns)),
            turns=turns,
            rounds=rounds,
            answers=answers,
            votes=self._final_votes(rounds),
            without_vote=self._without_vote(rounds),
            dissent=result.dissent if result else (),
            stages=result.stages if result else tuple(view.stages),
            tie=self._broken_tie(answers),
            refusals=tuple(self._log.refusals),
            failures=tuple(self._failures()),
            deadline_s=self._deadline,
            budgets=tuple(self._budgets),
            breaks=tuple(self._breaks),
            calls=used.calls,
            usage=used.usage,
            cost=used.cost,
        )

    # --- its parts ------------------------------------------------------------------------------

    def _agents(self, turns: tuple[TurnPart, ...]) -> Iterable[AgentPart]:
        for agent in self._view.agents.values():
            own = [turn for turn in turns if turn.agent_id == agent.id]
            yield AgentPart(
                seat=agent.seat,
                turns=len(own),
                calls=agent.ledger.calls,
                busy_s=round(sum(turn.end_s - turn.start_s for turn in own), 3),
                usage=agent.ledger.usage,
                cost=agent.ledger.cost,
            )

    def _answers(self, turns: tuple[TurnPart, ...]) -> Iterable[GivenAnswer]:
        """In the order in which they were put up, those that came too late at the end."""
        result = self._view.result
        known = {_ref(one.label, one.version): one for one in result.answers} if result else {}
        final = self._final_votes(tuple(self._rounds(turns)))
        votes = Counter(_ref(vote.label, vote.version) for vote in final)
        newest: dict[str, AnswerRef] = {}
        for ref, (event, at_s, number) in self._listed.items():
            info = known.get(ref)
            yield GivenAnswer(
                label=ref.label,
                version=ref.version,
                # Authors who improve later leave an answer that they shared.
                authors=info.authors if info else event.authors,
                text=event.text,
                attachments=_belonging(event.media, info.sources if info else ()),
                at_s=at_s,
                round=number,
                votes=info.votes if info else votes[ref],
                score=info.score if info else None,
                stop_reason=info.stop_reason if info else "end",
                standing=self._standing(ref, result),
                before=newest.get(event.authors[0]) if event.authors else None,
            )
            for author in event.authors:
                newest[author] = ref
        for ref, info in known.items():
            if ref not in self._listed:
                given = self._log.given.get((info.authors[0], info.text)) if info.authors else None
                yield GivenAnswer(
                    **info.model_dump(exclude={"media", "sources"}),
                    attachments=_belonging(info.media, info.sources),
                    at_s=given[0] if given else None,
                    round=given[1] if given else self._view.round,
                    standing=self._unlisted(ref),
                    before=newest.get(info.authors[0]) if info.authors else None,
                )

    def _unlisted(self, ref: AnswerRef) -> Standing:
        result = self._view.result
        if result is not None and ref == result.winning:
            return "winner"
        return "step" if result is not None and result.status == "answered" else "late"

    def _standing(self, ref: AnswerRef, result: RunResult | None) -> Standing:
        if result is None or not result.answers:
            newer = any(
                one.label == ref.label and one.version > ref.version for one in self._listed
            )
            return "replaced" if newer else "standing"
        if ref == result.winning:
            return "winner"
        kept = {_ref(one.label, one.version) for one in result.answers}
        return "standing" if ref in kept else "replaced"

    def _rounds(self, turns: tuple[TurnPart, ...]) -> Iterable[Round]:
        result = self._view.result
        counted = result.votes if result else None
        numbers = sorted({turn.round for turn in turns})
        last = numbers[-1] if numbers else 0
        for number in numbers:
            own = [turn for turn in turns if turn.round == number]
            votes = [
                # A ranking of an earlier stage decided who went on.
                self._vote(
                    vote,
                    at_s,
                    counted=bool(vote.ranking) or (number == last and _counts(vote, counted)),
                )
                for vote, at_s, in_round in self._log.votes
                if in_round == number
            ]
            yield Round(
                number=number,
                start_s=min(turn.start_s for turn in own),
                end_s=max(turn.end_s for turn in own),
                votes=tuple(votes),
                improved=number > 0 and any(turn.outcome == "answered" for turn in own),
            )

    def _final_votes(self, rounds: Sequence[Round]) -> tuple[VoteCast, ...]:
        result = self._view.result
        cast = [vote for one in rounds for vote in one.votes if vote.counted]
        if result is None:
            # Rankings of earlier stages have counted there.
            last = max((one.number for one in rounds), default=0)
            return tuple(
                vote for one in rounds if one.number == last for vote in one.votes if vote.counted
            )
        times = {(vote.voter, vote.label, vote.version): vote.at_s for vote in cast}
        return tuple(
            self._vote(vote, times.get((vote.voter, vote.label, vote.version)))
            for vote in result.votes
        )

    def _vote(self, vote: VoteInfo, at_s: float | None, *, counted: bool = True) -> VoteCast:
        return VoteCast(
            voter=vote.voter,
            label=vote.label,
            version=vote.version,
            authors=self._view.authors_of(_ref(vote.label, vote.version)),
            reason=vote.reason,
            weight=vote.weight,
            ranking=vote.ranking,
            at_s=at_s,
            counted=counted,
        )

    def _without_vote(self, rounds: tuple[Round, ...]) -> dict[str, str]:
        voted = {vote.voter for vote in self._final_votes(rounds)}
        if not voted:
            return {}
        last = rounds[-1].number if rounds else 0
        asked = {turn.agent_id for turn in self._log.turns() if turn.round == last}
        return {
            agent.id: agent.problem or _why(agent)
            for agent in self._view.agents.values()
            if agent.id not in voted and (agent.id in asked or _why(agent))
        }

    def _broken_tie(self, answers: tuple[GivenAnswer, ...]) -> Tie | None:
        result = self._view.result
        by = result.tie_broken_by if result else self._tie.by if self._tie else None
        if by is None:
            return None
        standing = [one for one in answers if one.standing in {"winner", "standing"}]
        most = max(map(_score, standing), default=0.0)
        return Tie(
            tied=tuple(
                _ref(one.label, one.version) for one in standing if isclose(_score(one), most)
            ),
            winner=result.winning if result else self._tie.winner if self._tie else None,
            by=by,
        )

    def _failures(self) -> Iterable[Failure]:
        result = self._view.result
        errors = (
            result.errors
            if result
            else tuple(error for a in self._view.agents.values() for error in a.ledger.errors)
        )
        for error in errors:
            agent = self._view.agents.get(error.agent_id.partition("/")[0])
            if agent is not None and agent.is_refusal(error.message):
                continue  # that is what a budget is for, and told by it
            yield Failure(**error.model_dump(), advice=ADVICE[error.kind])


def _why(agent: AgentView) -> str:
    """Why an agent said nothing, where that is known."""
    if agent.phase == "out of budget" and agent.spent is not None:
        return agent.spent.message
    return agent.error.message if agent.error else ""


def _score(answer: GivenAnswer) -> float:
    return answer.votes if answer.score is None else answer.score


def _ref(label: str, version: int) -> AnswerRef:
    return AnswerRef(label=label, version=version)


def _counts(vote: VoteInfo, counted: tuple[VoteInfo, ...] | None) -> bool:
    if counted is None:
        return True
    cast = (vote.voter, vote.label, vote.version)
    return any((one.voter, one.label, one.version) == cast for one in counted)


def _earlier(turn: Exchange) -> EarlierTurn:
    return EarlierTurn(
        run_id=turn.run_id,
        question=turn.question.text,
        attachments=_attachments(turn.question),
        answer=turn.answer,
    )


def _attachments(question: Message) -> tuple[Attachment, ...]:
    return tuple(
        Attachment(words=f"{part.type} {part.name or ''}".rstrip(), picture=shown(part))
        for part in question.parts
        if isinstance(part, MediaPart)
    )


def _belonging(media: Iterable[MediaPart], sources: Iterable[Source]) -> tuple[Attachment, ...]:
    return (
        *(Attachment(words=saved_words(part), picture=shown(part)) for part in media),
        *(Attachment(words=source_words(one)) for one in sources),
    )
