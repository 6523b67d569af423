"""A group chat of classic AG2, made from YAML: GroupChat and its manager, by the bridge's rules."""

from __future__ import annotations

import sys
from collections.abc import Container, Mapping, Sequence
from typing import Any, assert_never

from autogen import Agent, ConversableAgent, GroupChat, GroupChatManager
from autogen.io import IOStream

from massgen_bridge import (
    AgentContext,
    AgentError,
    ConfigError,
    Emit,
    LimitReached,
    LogLine,
    Message,
    ProtocolFailed,
    Said,
    StopReason,
    Turn,
    TurnResult,
    UnsupportedContent,
)
from massgen_bridge import GroupChat as GroupConfig
from massgen_bridge.adapting import chat_response_format, check_traits
from massgen_bridge_ag2_classic._member import Member, Role, never
from massgen_bridge_ag2_classic._options import ClassicOptions
from massgen_bridge_ag2_classic._people import Person
from massgen_bridge_ag2_classic._running import Model, Running, in_thread, instructed
from massgen_bridge_ag2_classic._sdk import SDK
from massgen_bridge_ag2_classic._stream import TurnStream

__all__ = ["GroupAgent"]

_CHOOSER = "chat_manager"
_CONCLUDE = (
    "The conversation is over. Now reply to the task for the whole group, as the conversation has "
    "settled it."
)
_GO_ON = {"role": "user", "content": "Go on."}
_NEXT_IN_ORDER = "the next member in order speaks"


class GroupAgent:
    """A group chat as one agent; each turn has agents, a chat and a manager of its own.

    Args:
        context: What it is made of; its connection is needed.
        group: Who takes part, who speaks when, and when it is over.

    Raises:
        ConfigError: A person is to choose who speaks, and nobody can be asked.
    """

    def __init__(self, context: AgentContext, group: GroupConfig) -> None:
        if group.pattern == "manual" and context.ask is None:
            raise ConfigError(
                f"agent {context.agent_id!r}: the pattern 'manual' asks a person who speaks next, "
                "and here nobody can be asked; run it at a terminal, or choose another pattern"
            )
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

        def work() -> str:
            with IOStream.set_default(TurnStream(ask=person.line)):
                return chat.run()

        text = await in_thread(running, work)
        return running.result(text=text, structured=model.decoded(turn, running, text))

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
        self.running = running
        self._group = group
        self._variables = variables
        self._person = person
        self._able = model.connection.traits.structured
        # A tool that ends the turn speaks for the group, so only the end of the talk may call it.
        tools = tuple(tool for tool in turn.tools if not tool.ends_turn)
        talk = turn.model_copy(update={"tools": tools, "output_schema": None})
        self.request = model.first_request(talk)
        self._history: list[dict[str, Any]] = self.request.pop("messages")
        self._conclusion = model.first_request(turn)
        self._wants_conclusion = turn.output_schema is not None or len(tools) < len(turn.tools)
        self._concluded: int | None = None  # the message that did what a conclusion is for
        if not turn.messages or turn.messages[-1].role != "user":
            raise UnsupportedContent("a group chat begins with a message of the user")
        self._said: list[Said] = []
        self._spoken: list[tuple[list[Message], StopReason]] = []  # one for each message
        self._error: AgentError | None = None
        self._members: dict[str, _Speaker] = {}

    def run(self) -> str:
        """Let the members talk until the chat is over.

        Returns:
            The answer; the history of `running` is then what led to it.
        """
        system_message, talk = instructed("", self._history)
        self._members = {
            name: _Speaker(self._role(name, system_message), self) for name in self._group.names
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
            member.chat_messages[manager].extend(dict(message) for message in earlier)
        asker = ConversableAgent("user", llm_config=False, human_input_mode="NEVER", silent=True)
        manager.run_chat([question], sender=asker, config=chat)
        return self._answer(manager)

    def speak(self, member: _Speaker, talk: list[dict[str, Any]]) -> str:
        """Let a member speak.

        Args:
            member: The member.
            talk: The conversation as it knows it.

        Returns:
            What the others hear, empty if its turn failed and the chat is to go on.
        """
        name, number = member.name, len(self._said)
        # Who is sure to speak last concludes by that, which saves a call.
        last = self._group.answer in {"last", name} and self._group.is_last(self._said, name)
        self._concluded = number if last else None
        if last:
            member.prepare(self._conclusion)
        else:
            member.prepare(self.request, self._group.member(name).handoffs)
        begun = len(self.running.history)
        try:
            text = member.answer(talk)
        except LimitReached:
            raise
        except AgentError as error:
            if self._group.on_failure == "fail":
                raise
            self._error = error
            self.running.tell(
                LogLine(stream="log", text=f"the chat goes on without {name!r}: {error}")
            )
            self._keep(Said(speaker=name, text="", failed=True), begun)
            return ""
        self._keep(Said(speaker=name, text=text, handoff=member.handoff), begun)
        handed = f"[gives the word to {member.handoff}]" if member.handoff else ""
        return "\n\n".join(filter(None, (text, handed)))

    def _keep(self, said: Said, begun: int) -> None:
        self._said.append(said)
        self._spoken.append((self.running.history[begun:], self.running.stop_reason))

    def _role(self, name: str, system_message: str) -> Role:
        member = self._group.member(name)
        told = (member.system_message, system_message)
        return Role(
            name=name,
            system_message="\n\n".join(text for text in told if text),
            description=member.description or member.system_message,
            source=name,
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
                    name = self._chosen_by_person(found.candidates)
                case _:
                    assert_never(found.chooser)
        return None if name is None else self._members[name]

    def _chosen_by_person(self, candidates: Sequence[str]) -> str:
        wish = "Choose who speaks next in the group."
        name = self._person.choice(wish, candidates, default=_NEXT_IN_ORDER)
        return name or self._group.fallback(self._said)

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

    def _answer(self, manager: GroupChatManager) -> str:
        if self.running.ended:
            return self._told(len(self._said) - 1, self._said[-1].text)
        found = self._group.answer_of(self._said)
        if found is None:
            raise self._nothing_said()
        number, text = found
        if not self._wants_conclusion or self._concluded == number:
            return self._told(number, text)
        member = self._members[self._said[number].speaker]
        member.prepare(self._conclusion)
        self.running.history.clear()
        wish = {"role": "user", "content": _CONCLUDE}
        return member.answer([*member.chat_messages[manager], wish])

    def _told(self, number: int, text: str) -> str:
        """Take one message for what the turn adds to the history."""
        messages, self.running.stop_reason = self._spoken[number]
        self.running.history[:] = messages
        return text

    def _nothing_said(self) -> AgentError:
        if self._error is not None:
            return self._error
        whose = (
            "anything" if self._group.answer == "last" else f"anything by {self._group.answer!r}"
        )
        return ProtocolFailed(
            f"the group chat ended without {whose}, so it has no answer",
            agent_id=self.running.turn.agent_id,
        )


class _Speaker(Member):
    """A member of a chat, which speaks when the manager lets it."""

    def __init__(self, role: Role, chat: _Chat) -> None:
        super().__init__(role, chat.running, chat.request)
        self._chat = chat

    def answer(self, talk: Sequence[dict[str, Any]]) -> str:
        """Answer by the model, and by the tools that it calls."""
        heard = [one for one in talk if one.get("content") or one.get("tool_calls")]
        if heard and heard[-1]["role"] == "assistant":
            heard.append(_GO_ON)
        return super().generate_reply(heard) or ""

    def generate_reply(
        self,
        messages: list[dict[str, Any]] | None = None,
        sender: Agent | None = None,
        exclude: Container[Any] = (),  # noqa: ARG002 - AG2's signature
    ) -> str:
        """Say something in the chat."""
        talk = self.chat_messages[sender] if sender is not None else messages
        return self._chat.speak(self, list(talk or ()))
