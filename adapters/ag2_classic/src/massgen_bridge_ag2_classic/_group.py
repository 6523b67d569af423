"""A group chat of classic AG2, made from YAML: GroupChat and its manager, by the bridge's rules."""

from __future__ import annotations

import sys
from collections.abc import Container, Mapping, Sequence
from typing import Any, assert_never

from autogen import Agent, ConversableAgent, GroupChat, GroupChatManager
from autogen.io import IOStream

from massgen_bridge import (
    AgentContext,
    AgentCrashed,
    AgentError,
    Emit,
    LimitReached,
    Said,
    Turn,
    TurnResult,
    UnsupportedContent,
)
from massgen_bridge import GroupChat as GroupConfig
from massgen_bridge.adapting import chat_response_format, check_traits
from massgen_bridge_ag2_classic._member import Member, Role, never
from massgen_bridge_ag2_classic._options import ClassicOptions
from massgen_bridge_ag2_classic._people import NobodyToAsk, Person
from massgen_bridge_ag2_classic._running import Model, Running, in_thread, instructed
from massgen_bridge_ag2_classic._sdk import SDK
from massgen_bridge_ag2_classic._stream import TurnStream

__all__ = ["GroupAgent"]

_CHOOSER = "chat_manager"
_DECIDE = (
    "The conversation is over. Give its outcome as JSON that fits the schema, and nothing else."
)


class GroupAgent:
    """A group chat as one agent; each turn has agents, a chat and a manager of its own.

    Args:
        context: What it is made of; its connection is needed.
        group: Who takes part, who speaks when, and when it is over.
    """

    def __init__(self, context: AgentContext, group: GroupConfig) -> None:
        options: ClassicOptions = context.options
        self._context = context
        self._group = group
        self._variables = options.context_variables
        self._model = Model(context, SDK, max_tokens_parameter=options.max_tokens_parameter)

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        """Do one turn.

        Raises:
            AgentError: The turn failed; the class says how.
        """
        model = self._model
        check_traits(turn, model.connection.traits, where=model.where, agent_id=model.agent_id)
        running = Running(turn, emit, model)
        person = Person(self._context.ask, running)
        chat = _Chat(self._group, self._variables, running, model, person)

        def work() -> Said:
            with IOStream.set_default(TurnStream(ask=person.line)):
                return chat.run()

        try:
            answer = await in_thread(running, work)
        except NobodyToAsk as error:
            raise AgentCrashed(
                "`pattern: manual` wants a person who chooses the next speaker, and nobody can be "
                "asked",
                agent_id=model.agent_id,
            ) from error
        structured = model.decoded(turn, running, answer.text)
        return running.result(text=answer.text, speaker=answer.speaker, structured=structured)

    async def aclose(self) -> None:
        """Give back the model's client."""
        await self._model.aclose()


class _Chat:
    """The chat of one turn. It works in the turn's thread, but for its making."""

    def __init__(
        self,
        group: GroupConfig,
        variables: Mapping[str, Any] | None,
        running: Running,
        model: Model,
        person: Person,
    ) -> None:
        turn = running.turn
        self._group = group
        self._variables = variables
        self.running = running
        self._person = person
        self._able = model.connection.traits.structured
        self.request = model.first_request(turn)
        self._history: list[dict[str, Any]] = self.request.pop("messages")
        if not turn.messages or turn.messages[-1].role != "user":
            raise UnsupportedContent("a group chat begins with a message of the user")
        self._said: list[Said] = []
        self._error: AgentError | None = None
        self._format = self.request.pop("response_format", None)
        self._is_formatted = False
        self._members: dict[str, _Speaker] = {}

    def run(self) -> Said:
        """Let the members talk until the chat is over.

        Returns:
            The answer.
        """
        system_message, talk = instructed("", self._history)
        self._members = {
            one.name: _Speaker(self._role(one.name, system_message), self)
            for one in self._group.members
        }
        chat = GroupChat(
            agents=list(self._members.values()),
            messages=[],
            max_round=self._group.max_turns + 1,  # the question is AG2's first round
            speaker_selection_method=self._next,
            func_call_filter=False,
        )
        manager = GroupChatManager(
            chat,
            llm_config=False,
            is_termination_msg=never,
            max_consecutive_auto_reply=sys.maxsize,
            silent=True,
        )
        *earlier, question = talk
        for member in self._members.values():
            member.chat_messages[manager].extend(_seen_by(member.name, earlier))
        asker = ConversableAgent("user", llm_config=False, human_input_mode="NEVER", silent=True)
        manager.run_chat([question], sender=asker, config=chat)
        return self._answer(manager)

    def speak(self, member: _Speaker, talk: list[dict[str, Any]]) -> str:
        """Let a member speak.

        Args:
            member: The member.
            talk: The conversation as it knows it.

        Returns:
            What it said, empty if its turn failed and the chat is to go on.
        """
        last = self._group.is_last(self._said, member.name)
        if self._format is not None and last and self._group.answer in {"last", member.name}:
            self._is_formatted = True
            member.hold_to(self._format)
        heard = [one for one in talk if one.get("content") or one.get("tool_calls")]
        try:
            text = member.answer(heard)
        except LimitReached:
            raise
        except AgentError as error:
            if self._group.on_failure == "fail":
                raise
            self._error = error
            self._said.append(Said(speaker=member.name, text="", failed=True))
            return ""
        if not text and member.handoff is not None:
            text = f"I give the word to {member.handoff}."
        self._said.append(Said(speaker=member.name, text=text, handoff=member.handoff))
        return text

    def _role(self, name: str, system_message: str) -> Role:
        member = self._group.member(name)
        told = (member.system_message, system_message)
        return Role(
            name=name,
            system_message="\n\n".join(text for text in told if text),
            description=member.description or member.system_message,
            source=name,
            handoffs=member.handoffs,
            variables=self._variables,
        )

    # --- who is next ------------------------------------------------------------------------------

    def _next(self, _last: Agent, _chat: GroupChat) -> Agent | None:
        """Who speaks next, by the rules of `massgen_bridge.GroupChat`; None ends the chat."""
        if self.running.ended:
            return None
        turn = self.running.turn
        found = self._group.next_speaker(self._said, seed=f"{turn.agent_id}\n{turn.turn_id}")
        name = found.speaker
        if found.candidates:
            match found.chooser:
                case "model":
                    name = self._chosen_by_model(found.candidates)
                case "person":
                    name = self._person.choice("Who speaks next?", found.candidates)
                case _:
                    assert_never(found.chooser)
        return None if name is None else self._members[name]

    def _chosen_by_model(self, candidates: Sequence[str]) -> str:
        group = self._group
        wish = group.choice_request(self._said, candidates, self.running.turn.question)
        request = {name: value for name, value in self.request.items() if name != "tools"}
        request.pop("parallel_tool_calls", None)
        request["messages"] = [{"role": "user", "content": wish}]
        if self._able:
            request["response_format"] = chat_response_format(group.choice_schema(candidates))
        answer = self.running.ask_model(request, source=_CHOOSER, silent=True)
        return group.chosen(answer.text, candidates) or group.fallback(self._said)

    # --- the answer -------------------------------------------------------------------------------

    def _answer(self, manager: GroupChatManager) -> Said:
        if self._said and all(one.failed for one in self._said) and self._error is not None:
            raise self._error
        if self.running.ended:
            return self._said[-1]
        found = self._group.answer_of(self._said)
        if found is None:
            raise AgentCrashed(
                f"{self._group.answer!r}, whose message is the group's answer, has said nothing",
                agent_id=self.running.turn.agent_id,
            )
        number, text = found
        answer = self._said[number].model_copy(update={"text": text})
        if self._format is None or self._is_formatted:
            return answer
        member = self._members[answer.speaker]
        member.hold_to(self._format)
        talk = [*member.chat_messages[manager], {"role": "user", "content": _DECIDE}]
        return answer.model_copy(update={"text": member.answer(talk)})


class _Speaker(Member):
    """A member of a chat, which speaks when the manager lets it."""

    def __init__(self, role: Role, chat: _Chat) -> None:
        super().__init__(role, chat.running, chat.request)
        self._chat = chat

    def answer(self, talk: list[dict[str, Any]]) -> str:
        """Answer by the model, and by the tools that it calls."""
        return super().generate_reply(talk) or ""

    def generate_reply(
        self,
        messages: list[dict[str, Any]] | None = None,
        sender: Agent | None = None,
        exclude: Container[Any] = (),  # noqa: ARG002 - AG2's signature
    ) -> str:
        """Say something in the chat."""
        talk = self.chat_messages[sender] if sender is not None else messages
        return self._chat.speak(self, list(talk or ()))


def _seen_by(name: str, talk: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Earlier messages as a member knows them: its own and those of nobody are the assistant's."""
    seen = []
    for message in talk:
        others = message["role"] == "assistant" and message.get("name", name) != name
        plain = "tool_calls" not in message
        seen.append({**message, "role": "user"} if others and plain else dict(message))
    return seen
