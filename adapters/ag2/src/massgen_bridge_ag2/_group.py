"""A group chat over AG2's network, from YAML alone."""

from __future__ import annotations

from typing import Any

from ag2 import Agent

from massgen_bridge import (
    AgentContext,
    AgentError,
    Asking,
    ConfigError,
    Connection,
    Emit,
    GroupChat,
    LimitReached,
    LogLine,
    NextSpeaker,
    ProtocolFailed,
    Said,
    Turn,
    TurnResult,
    assistant,
)
from massgen_bridge.adapting import cancelled_once, check_traits
from massgen_bridge_ag2._ask import Asked
from massgen_bridge_ag2._calls import Course, ModelAccess, TurnCalls
from massgen_bridge_ag2._choice import chosen_speaker
from massgen_bridge_ag2._network import Conversation
from massgen_bridge_ag2._transcript import Transcript

__all__ = ["GroupAgent"]

_CONCLUDE = (
    "The conversation is over. Now reply to the task for the whole group, as the conversation has "
    "settled it."
)


class GroupAgent:
    """Members that talk to each other over a hub of their own, made anew for each turn.

    Raises:
        ConfigError: A person is to choose who speaks, and nobody can be asked.
    """

    def __init__(self, context: AgentContext, connection: Connection, chat: GroupChat) -> None:
        if chat.pattern == "manual" and context.ask is None:
            raise ConfigError(
                f"agent {context.agent_id!r}: the pattern 'manual' asks a person who speaks next, "
                "and here nobody can be asked; run it at a terminal, or choose another pattern"
            )
        self._access = ModelAccess(context, connection)
        self._ask = context.ask
        self._chat = chat
        self._agents: dict[str, Agent[Any]] = {name: Agent(name) for name in chat.names}

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        """Do one turn.

        Raises:
            AgentError: The turn failed; the class says how.
        """
        access = self._access
        traits = access.connection.traits
        check_traits(turn, traits, where=access.where, agent_id=access.agent_id)
        transcript = Transcript(self._chat, turn, inputs=traits.inputs)
        course = Course(turn=turn, emit=emit)
        async with access.calls(course) as calls:
            held = _GroupTurn(self._chat, self._agents, calls, transcript, self._ask)
            return await cancelled_once(held.run)

    async def aclose(self) -> None:
        """Give back the client."""
        await self._access.aclose()


class _GroupTurn:
    """One turn of a group: the conversation, and what comes of it."""

    def __init__(
        self,
        chat: GroupChat,
        agents: dict[str, Agent[Any]],
        calls: TurnCalls,
        transcript: Transcript,
        ask: Asking | None,
    ) -> None:
        self._chat = chat
        self._agents = agents
        self._calls = calls
        self._transcript = transcript
        self._ask = ask
        self._turn = calls.course.turn
        self._last_error: AgentError | None = None
        self._asked: list[Asked] = []  # one for each message
        # A tool that ends the turn speaks for the group, so only the end of the talk may call it.
        self._talk_tools = [tool for tool in self._turn.tools if not tool.ends_turn]
        self._wants_conclusion = self._turn.output_schema is not None or len(
            self._talk_tools
        ) < len(self._turn.tools)
        self._concluded: int | None = None  # the message that did what a conclusion is for

    async def run(self) -> TurnResult:
        conversation = Conversation(self._agents, speak=self._speak, follow=self._follow)
        await conversation.hold(self._turn.question)
        if self._calls.course.ended:
            return self._result(self._asked[-1])
        said = self._transcript.said
        answer = self._chat.answer_of(said)
        if answer is None:
            raise self._nothing_said()
        number, text = answer
        if self._wants_conclusion and self._concluded != number:
            return await self._conclude(said[number].speaker)
        return self._result(self._asked[number], text)

    async def _speak(self, name: str) -> Said:
        """Have a member speak, and keep what it says."""
        number = len(self._transcript.said)
        # Who is sure to speak last concludes by that, which saves a call.
        last = self._chat.answer in {"last", name} and self._chat.is_last(
            self._transcript.said, name
        )
        asked = Asked(
            self._calls,
            self._transcript.told_to(name),
            tools=self._turn.tools if last else self._talk_tools,
            schema=self._turn.output_schema if last else None,
            source=name,
            targets=() if last else self._chat.member(name).handoffs,
        )
        self._concluded = number if last else None
        try:
            await asked.of(self._agents[name], self._turn.question)
        except LimitReached:
            raise
        except AgentError as error:
            if self._chat.on_failure == "fail" or self._calls.course.failure is not None:
                raise
            said = Said(speaker=name, text="", failed=True)
            self._last_error = error
            await self._calls.course.emit(
                LogLine(stream="log", text=f"the chat goes on without {name!r}: {error}")
            )
        else:
            handoff = asked.handoff[0] if asked.handoff is not None else None
            said = Said(speaker=name, text=asked.text, handoff=handoff)
        self._transcript.said.append(said)
        self._asked.append(asked)
        return said

    async def _follow(self) -> NextSpeaker:
        """Decide who speaks next."""
        said = self._transcript.said
        following = self._chat.next_speaker(
            said, seed=f"{self._turn.agent_id}\n{self._turn.turn_id}"
        )
        if self._calls.course.ended:
            return NextSpeaker(reason="a tool has ended the turn")
        if not following.candidates:
            return following
        name = await chosen_speaker(
            following, chat=self._chat, said=said, calls=self._calls, ask=self._ask
        )
        return NextSpeaker(speaker=name, reason=f"the {following.chooser} chose")

    async def _conclude(self, name: str) -> TurnResult:
        """Ask the member whose message counts for what only the whole group can give."""
        asked = Asked(
            self._calls,
            self._transcript.told_to(name, wish=_CONCLUDE),
            tools=self._turn.tools,
            schema=self._turn.output_schema,
            source=name,
        )
        await asked.of(self._agents[name], self._turn.question)
        return self._result(asked)

    def _result(self, asked: Asked, text: str | None = None) -> TurnResult:
        """What the group gives by the message of one member.

        Args:
            asked: The member's turn.
            text: What its words come to; None for all of them.
        """
        course = self._calls.course
        history = list(asked.history)
        if text is not None and text != history[-1].text:
            history[-1] = assistant(text)
        message = next(one for one in reversed(history) if one.role == "assistant")
        return TurnResult(
            message=message,
            new_messages=tuple(history),
            stop_reason="tool" if course.ended else asked.stop_reason,
            structured=asked.structured(),
            usage=course.usage,
        )

    def _nothing_said(self) -> AgentError:
        if self._last_error is not None:
            return self._last_error
        whose = "anything" if self._chat.answer == "last" else f"anything by {self._chat.answer!r}"
        return ProtocolFailed(
            f"the group chat ended without {whose}, so it has no answer",
            agent_id=self._calls.access.agent_id,
        )
