"""How an agent of any framework is asked, and how it votes.

Three ways, chosen by what the agent can do:

- `tools`: it calls the tool `vote`, or simply writes a better answer;
- `schema`: it fills in `{"vote": …, "reason": …}`; choosing `improve` takes one more text turn;
- `text`: it writes one fenced block that bears the turn's own mark.

A vote is never read from prose. Answers are hostile input: they are shown between markers that
nobody can know beforehand, and only a block with the mark of this very turn counts, so nothing in
an answer can change a ballot. A chair names the next speaker on a ballot of the same form; where
many answers are to be compared, `ranking` stands in place of `vote`: all that is shown, in order.
"""

from massgen_bridge.ballots.asking import compose
from massgen_bridge.ballots.earlier import (
    Earlier,
    Remembered,
    earlier_of,
    remembered,
    room_in,
)
from massgen_bridge.ballots.papers import (
    END,
    IMPROVE,
    RANKING,
    VOTE_TOOL,
    Abstention,
    BallotChoice,
    Cast,
    Choice,
    Draft,
    Improvement,
    NextSpeaker,
    Paper,
    Promise,
    RankingCast,
    Spoiled,
    VoteCast,
    mark_of,
    way_for,
)
from massgen_bridge.ballots.reading import read, take_vote
from massgen_bridge.ballots.relay import relayed
from massgen_bridge.ballots.showing import Follow

__all__ = [
    "END",
    "IMPROVE",
    "RANKING",
    "VOTE_TOOL",
    "Abstention",
    "BallotChoice",
    "Cast",
    "Choice",
    "Draft",
    "Earlier",
    "Follow",
    "Improvement",
    "NextSpeaker",
    "Paper",
    "Promise",
    "RankingCast",
    "Remembered",
    "Spoiled",
    "VoteCast",
    "compose",
    "earlier_of",
    "mark_of",
    "read",
    "relayed",
    "remembered",
    "room_in",
    "take_vote",
    "way_for",
]
