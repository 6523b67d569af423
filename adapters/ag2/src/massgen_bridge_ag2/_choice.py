"""Who speaks next, where a model or a person chooses."""

from __future__ import annotations

from collections.abc import Sequence

from massgen_bridge import (
    Asking,
    Chosen,
    Emit,
    GroupChat,
    NextSpeaker,
    PersonAsked,
    PersonReplied,
    Question,
    ReasoningDelta,
    Said,
    ShownAnswer,
    TextDelta,
    TurnEvent,
)
from massgen_bridge.adapting import chat_response_format
from massgen_bridge_ag2._calls import TurnCalls

__all__ = ["chosen_speaker"]


async def chosen_speaker(
    following: NextSpeaker,
    *,
    chat: GroupChat,
    said: Sequence[Said],
    calls: TurnCalls,
    ask: Asking | None,
) -> str:
    """Have somebody choose among the candidates; the next in order where nobody is named.

    Args:
        following: Whom there is to choose from, and who chooses.
        chat: The group.
        said: Every message of a member in this turn.
        calls: Makes the model calls of the turn.
        ask: Asks a person.

    Raises:
        AgentError: The model call failed.
    """
    if following.chooser == "person" and ask is not None:
        name = await _by_person(following.candidates, said, calls, ask)
    else:
        name = await _by_model(following.candidates, chat, said, calls)
    return name or chat.fallback(said)


async def _by_model(
    candidates: Sequence[str], chat: GroupChat, said: Sequence[Said], calls: TurnCalls
) -> str | None:
    task = calls.course.turn.question
    request = chat.choice_request(said, candidates, task)
    body: dict[str, object] = {"messages": [{"role": "user", "content": request}]}
    if calls.access.connection.traits.structured:
        body["response_format"] = chat_response_format(chat.choice_schema(candidates))
    answer = await calls.ask(body, emit=_without_words(calls.course.emit))
    return chat.chosen(answer.text, candidates)


def _without_words(emit: Emit) -> Emit:
    """What is told of a call whose words are no part of the conversation."""

    async def tell(event: TurnEvent, /) -> None:
        if not isinstance(event, TextDelta | ReasoningDelta):
            await emit(event)

    return tell


async def _by_person(
    candidates: Sequence[str], said: Sequence[Said], calls: TurnCalls, ask: Asking
) -> str | None:
    turn, emit = calls.course.turn, calls.course.emit
    last = said[-1]
    default = "the next member in order speaks"
    await emit(PersonAsked(default=default))
    reply = await ask(
        Question(
            run_id=turn.run_id,
            turn_id=turn.turn_id,
            agent_id=turn.agent_id,
            kind="choice",
            wish="Choose who speaks next in the group.",
            task=turn.task,
            shown=(ShownAnswer(label=last.speaker, version=len(said), text=last.text),),
            choices=tuple(candidates),
            default=default,
        )
    )
    name = reply.label if isinstance(reply, Chosen) and reply.label in candidates else None
    await emit(PersonReplied(by_default=name is None))
    return name
