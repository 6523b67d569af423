"""How the parts of a run are put into words: the same in every display."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from massgen_bridge.agent import AnswerRef
from massgen_bridge.budget import money
from massgen_bridge.display.text import clip, one_line
from massgen_bridge.errors import MediaError
from massgen_bridge.messages import MediaPart

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from massgen_bridge.agent import Source, Usage
    from massgen_bridge.display.agent_view import AgentView
    from massgen_bridge.display.state import RunView
    from massgen_bridge.errors import ErrorKind
    from massgen_bridge.events import Cost, RunResult, Seat, StageInfo, StageStanding, Use
    from massgen_bridge.messages import Message

__all__ = [
    "ADVICE",
    "answer_words",
    "cost_words",
    "count",
    "dollars",
    "listing",
    "made_of",
    "medium_words",
    "moment",
    "name_of",
    "names_of",
    "phase_of",
    "question_of",
    "saved_words",
    "seconds",
    "source_words",
    "stage_words",
    "tie_breaker",
    "tokens",
    "use_words",
]

ADVICE: dict[ErrorKind, str] = {
    "auth": "set a valid API key for this agent's provider",
    "permission": "see what the key and its account may still do, or choose another model",
    "not_found": "check the agent's model and the address of its endpoint",
    "bad_request": "check the agent's model and options against what the provider says",
    "context": "shorten the task, or choose a model with a larger context window",
    "rate_limit": "wait a while, or let fewer agents share this provider",
    "server": "the provider is at fault: try again later, or choose another one",
    "network": "check the network, the proxy and the address of the endpoint",
    "timeout": "raise the limit, the agent's or its connection's, or choose a faster model",
    "protocol": "check that the endpoint speaks the protocol of this kind of agent",
    "truncated": "the connection broke: try again, and check proxies on the way",
    "unsupported": "leave this content out or replace it, or choose an agent that can carry it",
    "tool": "check the tool's own message and its settings",
    "limit": "raise the agent's limits",
    "crash": "this is a fault in the agent's own code or in its adapter: report it there",
    "worker_crashed": "look at what its process wrote last, and at the memory it may use",
}
"""What a person can do about an error, by its kind."""

_MINUTE = 60
_KILO = 1000
_FOREMOST = 5
_LONGEST_ADDRESS = 100
_LONGEST_NAME = 60


def count(number: int, noun: str) -> str:
    """A number with its noun: `1 vote`, `2 votes`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def seconds(value: float) -> str:
    """A duration: `3.2 s`, `2 min 05 s`."""
    if value < _MINUTE:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), _MINUTE)
    return f"{minutes} min {rest:02} s"


def moment(unix_time: float) -> str:
    """A time as the user's clock showed it: `2026-11-22 09:30`."""
    return datetime.fromtimestamp(unix_time, UTC).astimezone().strftime("%Y-%m-%d %H:%M")


def dollars(usd: float | None, unpriced_calls: int) -> str:
    """What calls cost, as far as it is known: `$1.20`, `free`, `unknown`, `at least $0.50`.

    Args:
        usd: Dollars of the calls whose price is known; None where no call's is.
        unpriced_calls: Calls whose price is not known.
    """
    if not usd and unpriced_calls:
        return "unknown"
    if not usd:
        return "-" if usd is None else "free"
    shown = money(usd)
    return f"at least {shown}" if unpriced_calls else shown


def cost_words(cost: Cost, *, names: bool = True) -> list[str]:
    """What calls cost, for a list of facts; nothing of what is free, or where none was made.

    Args:
        cost: What they cost.
        names: Whether models without a price are named.
    """
    told = [money(cost.usd)] if cost.usd else []
    if not cost.unpriced_calls:
        return told
    told = [f"at least {one}" for one in told]
    if not names:
        return told or ["cost unknown"]
    some = [clip(one_line(name), _LONGEST_NAME) for name in cost.unpriced[:_FOREMOST]]
    rest = len(cost.unpriced) - _FOREMOST
    whose = listing([*some, f"{rest} more"] if rest > 0 else some)
    noun = "model" if len(cost.unpriced) == 1 else "models"
    return [*told, f"cost unknown for {noun} {whose}"]


def use_words(used: Use) -> str:
    """Calls, tokens and cost in one line."""
    usage = used.usage
    facts = (
        count(used.calls, "model call"),
        f"{usage.input_tokens:,} tokens in, {usage.output_tokens:,} out",
        *cost_words(used.cost),
    )
    return " · ".join(facts)


def tokens(usage: Usage) -> str:
    """All tokens in few characters: `950 tok`, `12.3k tok`."""
    total = float(usage.input_tokens + usage.output_tokens)
    for unit in ("", "k", "M"):
        if total < _KILO:
            return f"{total:.0f} tok" if not unit else f"{total:.1f}{unit} tok"
        total /= _KILO
    return f"{total:.1f}G tok"


def listing(names: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def name_of(view: RunView, agent_id: str) -> str:
    """An agent's id, with the label that the others know it by where that says something more."""
    agent = view.agents.get(agent_id)
    own = one_line(agent_id)
    if agent is None or agent.seat.label == agent_id:
        return own
    return f"{own} ({one_line(agent.seat.label)})"


def made_of(seat: Seat) -> str:
    """An agent's kind and model; of a team, its members."""
    if seat.members:
        return f"{one_line(seat.kind)} of {listing(map(one_line, seat.members))}"
    return one_line(f"{seat.kind} {seat.model or ''}")


def tie_breaker(agent_ids: Container[str], by: str) -> str | None:
    """What broke a tie, in words; None where it was an agent."""
    if by in agent_ids:
        return None
    known = {"order": "the order of the configuration", "earlier votes": "the votes before"}
    return known.get(by) or f"the plugin {one_line(by)}"


def names_of(view: RunView, agent_ids: Iterable[str]) -> str:
    """Several agents by name."""
    return listing(name_of(view, agent_id) for agent_id in agent_ids)


def phase_of(agent: AgentView) -> str:
    """What an agent does or has done last, in a word or two."""
    if agent.phase in {"evaluating", "debating"}:
        return f"{agent.phase} round {agent.round}"
    if agent.phase == "ranking":
        return f"ranking stage {agent.round}"
    if agent.same_as is not None:
        return f"{agent.phase} as {one_line(agent.same_as)}"
    return agent.phase


def stage_words(view: RunView, stage: StageInfo) -> str:
    """How a stage of a vote by rankings went: who goes on, the best of them with their points."""
    on = [one for one in stage.standing if one.went_on]
    if stage.run_off:
        best = _standing(view, stage.standing, len(stage.standing))
        return f"run-off, {_ballots(stage)}: {best}"
    of = f"{len(on)} of {count(len(stage.standing), 'answer')} go on"
    return f"stage {stage.number}, {_ballots(stage)}: {of}: {_standing(view, on, _FOREMOST)}"


def _ballots(stage: StageInfo) -> str:
    missing = f" of {stage.asked}" if stage.ballots < stage.asked else ""
    return f"{stage.ballots:,}{missing} ballots" if missing else count(stage.ballots, "ballot")


def _standing(view: RunView, standing: Sequence[StageStanding], most: int) -> str:
    told = []
    for one in standing[:most]:
        authors = view.authors_of(AnswerRef(label=one.label, version=one.version))
        who = names_of(view, authors) if authors else one_line(one.label)
        told.append(f"{who} {one.points:.2f}")
    rest = len(standing) - most
    return ", ".join([*told, f"{rest} more"] if rest > 0 else told)


def question_of(message: Message, limit: int) -> str:
    """The question in one line, and what goes along with it."""
    media = [medium_words(part) for part in message.parts if isinstance(part, MediaPart)]
    return " ".join((clip(one_line(message.text[: 4 * limit]), limit), *media))


def medium_words(part: MediaPart) -> str:
    """A picture or the like in words: `[image: plot.png, 640x480, 31 kB]`."""
    facts = [] if part.data is None else [*_pixels(part.data, part.media_type), _size(part.data)]
    if part.url is not None:
        facts.append(clip(one_line(part.url), _LONGEST_ADDRESS))
    name = f": {one_line(part.name)}" if part.name else ""
    return f"[{part.type}{name}, {', '.join(facts)}]"


def saved_words(part: MediaPart) -> str:
    """The same, with the file that it is saved in."""
    return f"{medium_words(part)} {one_line(part.path)}" if part.path else medium_words(part)


def answer_words(result: RunResult) -> str:
    """The answer as it is shown: its text, where its pictures are, and what it rests on."""
    told = (*map(saved_words, result.media), *map(source_words, result.sources))
    saved = "\n".join(told)
    text = result.answer or ""
    return f"{text.rstrip()}\n\n{saved}".lstrip("\n") if saved else text


def source_words(source: Source) -> str:
    """Something that an answer rests on: `Source: Tides, https://a.example/tides`."""
    named = (one_line(text) for text in (source.title, source.url or "") if text)
    return f"Source: {', '.join(named)}"


def _pixels(data: bytes, media_type: str) -> list[str]:
    if not media_type.startswith("image/"):
        return []
    from massgen_bridge.media.headers import read_header  # noqa: PLC0415 - few runs have pictures

    try:
        header = read_header(data, media_type)
    except MediaError:
        return []
    return [] if header is None else [f"{header.width}x{header.height}"]


def _size(data: bytes) -> str:
    size = float(len(data))
    for unit in ("B", "kB", "MB"):
        if size < _KILO:
            return f"{size:.0f} {unit}"
        size /= _KILO
    return f"{size:.1f} GB"
