"""The answers that stand for election, and how new ones join them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

from massgen_bridge.agent import AnswerRef, ShownAnswer, Source, StopReason
from massgen_bridge.events import (
    AnswerInfo,
    AnswerListed,
    BudgetReached,
    RunStatus,
    Seat,
    VoteInfo,
)
from massgen_bridge.messages import Frozen, MediaPart
from massgen_bridge.strategy import Announce, Finish

if TYPE_CHECKING:
    from collections.abc import Mapping

# Sums of weights that differ by less are equal.
_TOLERANCE = 1e-9


class Candidate(Frozen):
    """An answer that can be voted for; several authors gave it without knowing of each other.

    `since` is the round from which on it is shown.
    """

    label: str
    version: int
    text: str
    media: tuple[MediaPart, ...] = ()
    sources: tuple[Source, ...] = ()
    authors: tuple[str, ...]
    stop_reason: StopReason = "end"
    since: int = 0

    @property
    def ref(self) -> AnswerRef:
        """What a vote binds to."""
        return AnswerRef(label=self.label, version=self.version)

    def shown(self, asked: str | None = None) -> ShownAnswer:
        """As others get to see it; `asked` is the part of the task that it is about."""
        return ShownAnswer(
            label=self.label, version=self.version, text=self.text, media=self.media, asked=asked
        )

    def listed(self) -> Announce:
        """What is announced when it stands for election."""
        event = AnswerListed(
            answer=self.ref, authors=self.authors, text=self.text, media=self.media
        )
        return Announce(event=event)

    def info(self, votes: int = 0, score: float | None = None) -> AnswerInfo:
        """As it is reported at the end."""
        return AnswerInfo(
            label=self.label,
            version=self.version,
            authors=self.authors,
            text=self.text,
            media=self.media,
            sources=self.sources,
            votes=votes,
            score=score,
            stop_reason=self.stop_reason,
        )

    def vote(self, voter: str, reason: str, weight: float = 1.0) -> VoteInfo:
        """A vote for it."""
        return VoteInfo(
            voter=voter,
            author=self.authors[0],
            label=self.label,
            version=self.version,
            reason=reason,
            weight=weight,
        )


class Draft(Frozen):
    """An answer given in the running round, unseen by the others."""

    agent_id: str
    text: str
    media: tuple[MediaPart, ...] = ()
    sources: tuple[Source, ...] = ()
    stop_reason: StopReason = "end"


class Says(Protocol):
    """An answer, as far as it says something."""

    @property
    def text(self) -> str:
        """Its text."""

    @property
    def media(self) -> tuple[MediaPart, ...]:
        """What belongs to it."""


def content_of(answer: Says) -> tuple[str, tuple[bytes | str | None, ...]]:
    """What an answer says and shows: of equal ones the same, white space at the ends aside."""
    return answer.text.strip(), tuple(part.data or part.url for part in answer.media)


def votes_for(candidate: Candidate, votes: tuple[VoteInfo, ...]) -> int:
    """How many votes it has."""
    ref = (candidate.label, candidate.version)
    return sum(1 for vote in votes if (vote.label, vote.version) == ref)


def leaders_of(
    candidates: tuple[Candidate, ...], votes: tuple[VoteInfo, ...]
) -> tuple[Candidate, ...]:
    """Those whose votes weigh most, in the order of the candidates."""
    weights: dict[tuple[str, int], list[float]] = {}
    for vote in votes:
        weights.setdefault((vote.label, vote.version), []).append(vote.weight)
    scores = [math.fsum(weights.get((c.label, c.version), ())) for c in candidates]
    most = max(scores, default=0.0)
    return tuple(
        candidate
        for candidate, score in zip(candidates, scores, strict=True)
        if score >= most - _TOLERANCE
    )


def ended(
    status: RunStatus,
    answers: tuple[Candidate, ...],
    winner: Candidate | None,
    message: str | None = None,
    budget: BudgetReached | None = None,
) -> Finish:
    """The end of a run that nobody voted in; without a winner it has failed."""
    finish = Finish(
        status=status if winner else "failed",
        winner=winner.ref if winner else None,
        answers=tuple(answer.info() for answer in answers),
        message=message,
    )
    return finish if budget is None else by_budget(finish, budget)


def by_budget(finish: Finish, budget: BudgetReached) -> Finish:
    """The end of a run, marked as one that a budget has brought about."""
    failed = finish.winner is None
    message = f"{budget.message}, before any answer" if failed else budget.message
    changes = {"budget": budget.budget, "message": message}
    if not failed:
        changes["status"] = "best_so_far"
    return finish.model_copy(update=changes)


def merge(
    candidates: tuple[Candidate, ...],
    drafts: tuple[Draft, ...],
    seats: tuple[Seat, ...],
    versions: Mapping[str, int],
    *,
    since: int = 0,
) -> tuple[tuple[Candidate, ...], tuple[Candidate, ...]]:
    """Let the drafts join the candidates.

    Equal drafts become one candidate with all their authors; one that equals a candidate only
    adds its author to it. A newer answer replaces its author's older one; co-authors of the older
    one keep it, under their own label.

    Args:
        candidates: Those that stand already.
        drafts: Given since, none of them by somebody who was shown an equal candidate.
        seats: All agents.
        versions: The last version given under each label.
        since: The round from which on the new ones are shown.

    Returns:
        All candidates and, among them, those that are new or have other authors, both in the order
        of the seats, whatever the order in which the drafts came in.
    """
    labels = {seat.agent_id: seat.label for seat in seats}
    order = {seat.label: position for position, seat in enumerate(seats)}
    same: dict[tuple[object, ...], list[Draft]] = {}
    for draft in sorted(drafts, key=lambda draft: order[labels[draft.agent_id]]):
        same.setdefault(content_of(draft), []).append(draft)
    gone = {draft.agent_id for draft in drafts}
    kept: list[Candidate] = []
    changed: list[Candidate] = []
    for candidate in candidates:
        stay = tuple(author for author in candidate.authors if author not in gone)
        joining = same.pop(content_of(candidate), []) if stay else []
        authors = (*stay, *(draft.agent_id for draft in joining))
        if authors == candidate.authors:
            kept.append(candidate)
        elif authors:
            changed.append(_relabelled(candidate, authors, labels, versions, since))
    fresh = [_candidate(equal, labels, versions, since) for equal in same.values()]
    listed = sorted((*changed, *fresh), key=lambda c: order[c.label])
    everything = sorted((*kept, *listed), key=lambda c: order[c.label])
    return tuple(everything), tuple(listed)


def _candidate(
    equal: list[Draft], labels: dict[str, str], versions: Mapping[str, int], since: int
) -> Candidate:
    """One candidate of all who say the same, under the label of the first."""
    first = equal[0]
    label = labels[first.agent_id]
    return Candidate(
        label=label,
        version=versions.get(label, 0) + 1,
        text=first.text,
        media=first.media,
        sources=tuple(dict.fromkeys(source for draft in equal for source in draft.sources)),
        authors=tuple(draft.agent_id for draft in equal),
        stop_reason=first.stop_reason,
        since=since,
    )


def _relabelled(
    candidate: Candidate,
    authors: tuple[str, ...],
    labels: dict[str, str],
    versions: Mapping[str, int],
    since: int,
) -> Candidate:
    """The candidate with other authors: under its label, if whose that is stays one of them."""
    if any(labels[author] == candidate.label for author in authors):
        return candidate.model_copy(update={"authors": authors})
    label = labels[authors[0]]
    version = versions.get(label, 0) + 1
    return candidate.model_copy(
        update={"label": label, "version": version, "authors": authors, "since": since}
    )
