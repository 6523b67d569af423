"""The answers that stand for election, and how new ones join them."""

from __future__ import annotations

from massgen_bridge.agent import AnswerRef, ShownAnswer, StopReason
from massgen_bridge.events import AnswerInfo, BudgetReached, RunStatus, Seat, VoteInfo
from massgen_bridge.messages import Frozen
from massgen_bridge.strategy import Finish


class Candidate(Frozen):
    """An answer that can be voted for; several authors gave it without knowing of each other."""

    label: str
    version: int
    text: str
    authors: tuple[str, ...]
    stop_reason: StopReason = "end"

    @property
    def ref(self) -> AnswerRef:
        """What a vote binds to."""
        return AnswerRef(label=self.label, version=self.version)

    def shown(self, asked: str | None = None) -> ShownAnswer:
        """As others get to see it; `asked` is the part of the task that it is about."""
        return ShownAnswer(label=self.label, version=self.version, text=self.text, asked=asked)

    def info(self, votes: int = 0) -> AnswerInfo:
        """As it is reported at the end."""
        return AnswerInfo(
            label=self.label,
            version=self.version,
            authors=self.authors,
            text=self.text,
            votes=votes,
            stop_reason=self.stop_reason,
        )

    def vote(self, voter: str, reason: str) -> VoteInfo:
        """A vote for it."""
        return VoteInfo(
            voter=voter,
            author=self.authors[0],
            label=self.label,
            version=self.version,
            reason=reason,
        )


class Draft(Frozen):
    """An answer given in the running round, unseen by the others."""

    agent_id: str
    text: str
    stop_reason: StopReason = "end"


def same_text(one: str, other: str) -> bool:
    """Whether two answers say the same, white space at the ends aside."""
    return one.strip() == other.strip()


def votes_for(candidate: Candidate, votes: tuple[VoteInfo, ...]) -> int:
    """How many votes it has."""
    ref = (candidate.label, candidate.version)
    return sum(1 for vote in votes if (vote.label, vote.version) == ref)


def leaders_of(
    candidates: tuple[Candidate, ...], votes: tuple[VoteInfo, ...]
) -> tuple[Candidate, ...]:
    """Those with the most votes, in the order of the candidates."""
    counts = [votes_for(candidate, votes) for candidate in candidates]
    most = max(counts, default=0)
    return tuple(c for c, count in zip(candidates, counts, strict=True) if count == most)


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
    candidates: tuple[Candidate, ...], drafts: tuple[Draft, ...], seats: tuple[Seat, ...]
) -> tuple[tuple[Candidate, ...], tuple[Candidate, ...]]:
    """Let the drafts join the candidates.

    Equal drafts become one candidate with all their authors. A newer answer replaces its author's
    older one; co-authors of the older one keep it, under their own label.

    Returns:
        All candidates and, among them, those that are new, both in the order of the seats,
        whatever the order in which the drafts came in.
    """
    labels = {seat.agent_id: seat.label for seat in seats}
    order = {seat.label: position for position, seat in enumerate(seats)}
    versions = {candidate.label: candidate.version for candidate in candidates}
    kept: list[Candidate] = []
    relabelled: list[Candidate] = []
    improved = {draft.agent_id for draft in drafts}
    for candidate in candidates:
        authors = tuple(author for author in candidate.authors if author not in improved)
        if authors == candidate.authors:
            kept.append(candidate)
        elif authors:
            relabelled.append(_relabelled(candidate, authors, labels, versions))
    same: dict[str, list[Draft]] = {}
    for draft in sorted(drafts, key=lambda draft: order[labels[draft.agent_id]]):
        same.setdefault(draft.text.strip(), []).append(draft)
    fresh = [_candidate(equal, labels, versions) for equal in same.values()]
    listed = sorted((*relabelled, *fresh), key=lambda c: order[c.label])
    everything = sorted((*kept, *listed), key=lambda c: order[c.label])
    return tuple(everything), tuple(listed)


def _candidate(equal: list[Draft], labels: dict[str, str], versions: dict[str, int]) -> Candidate:
    """One candidate of all who say the same, under the label of the first."""
    first = equal[0]
    label = labels[first.agent_id]
    return Candidate(
        label=label,
        version=versions.get(label, 0) + 1,
        text=first.text,
        authors=tuple(draft.agent_id for draft in equal),
        stop_reason=first.stop_reason,
    )


def _relabelled(
    candidate: Candidate,
    authors: tuple[str, ...],
    labels: dict[str, str],
    versions: dict[str, int],
) -> Candidate:
    label = labels[authors[0]]
    if label == candidate.label:
        return candidate.model_copy(update={"authors": authors})
    version = versions.get(label, 0) + 1
    return candidate.model_copy(update={"label": label, "version": version, "authors": authors})
