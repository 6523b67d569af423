"""AG2's agents, with the host's model and tools behind them."""

from __future__ import annotations

import sys
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from autogen import Agent, ConversableAgent, UpdateSystemMessage
from autogen.agentchat.group import ContextVariables

from massgen_bridge import Message, TextPart, ToolCall, ToolResult
from massgen_bridge.adapting import (
    HAND_OFF,
    ChatAnswer,
    chat_assistant,
    chat_messages,
    chat_tools,
    hand_off_tool,
    not_called,
)
from massgen_bridge_ag2_classic._code import CodeRunner
from massgen_bridge_ag2_classic._running import Running

__all__ = ["Member", "Role", "never"]


def never(_message: Mapping[str, Any]) -> bool:
    """No message ends a conversation by AG2's own rules."""
    return False


@dataclass(frozen=True, kw_only=True)
class Role:
    """What a member is.

    Attributes:
        name: Its name in AG2.
        system_message: What its model is told before all else.
        description: What it is for.
        source: How its events name it; None for an agent that is alone.
        asks_person: Whether a person is asked before each of its answers.
        code: Runs the code that it writes; None: nobody does.
        max_runs: How often.
        variables: Values for names in `system_message`.
    """

    name: str
    system_message: str = ""
    description: str = ""
    source: str | None = None
    asks_person: bool = False
    code: CodeRunner | None = None
    max_runs: int = 0
    variables: Mapping[str, Any] | None = None


class Member(ConversableAgent):
    """An agent of one turn, whose model is the host's.

    Args:
        role: What it is.
        running: The turn.
        request: The body of its model calls, but for the messages.

    Attributes:
        role: What it is.
        handoff: To whom it gave the word when it last spoke.
    """

    def __init__(self, role: Role, running: Running, request: Mapping[str, Any]) -> None:
        with_variables = bool(role.variables) and "{" in role.system_message
        super().__init__(
            role.name,
            system_message=role.system_message,
            description=role.description,
            is_termination_msg=never,
            max_consecutive_auto_reply=sys.maxsize,
            human_input_mode="ALWAYS" if role.asks_person else "NEVER",
            code_execution_config=False,
            llm_config=False,
            context_variables=ContextVariables(dict(role.variables or {})),
            update_agent_state_before_reply=(
                [UpdateSystemMessage(role.system_message)] if with_variables else None
            ),
            silent=True,
        )
        self.role = role
        self.handoff: str | None = None
        self._running = running
        self._request: dict[str, Any] = {}
        self._handoffs: tuple[str, ...] = ()
        self._answer: ChatAnswer | None = None
        self.prepare(request)
        client: Any = _Client(self)
        self.client = client

    def ask(self, messages: Sequence[Mapping[str, Any]]) -> ChatAnswer:
        """Ask the model; `messages` are those of AG2, its system message among them."""
        told = [one for one in messages if one["role"] != "system" or one["content"]]
        request = {**self._request, "messages": told}
        self._answer = self._running.ask_model(request, source=self.role.source)
        return self._answer

    def prepare(self, request: Mapping[str, Any], handoffs: tuple[str, ...] = ()) -> None:
        """Say how its model is called from now on.

        Args:
            request: The body of its model calls, but for the messages.
            handoffs: Whom it may give the word to.
        """
        self._request = dict(request)
        self._handoffs = handoffs
        if handoffs:
            tools = chat_tools([hand_off_tool(handoffs)])
            self._request["tools"] = [*self._request.get("tools", ()), *tools]

    def generate_reply(
        self,
        messages: list[dict[str, Any]] | None = None,
        sender: Agent | None = None,
        exclude: Container[Any] = (),
    ) -> str | None:
        """Answer: ask the model again until it calls no more tools and no code of it is to be run.

        Args:
            messages: The conversation.
            sender: Who wants the answer.
            exclude: Ways to reply that are not to be used.

        Returns:
            None where a person ended the conversation.
        """
        talk = list(messages or ())
        self.handoff = None
        runs = 0
        while True:
            self._answer = None
            reply = super().generate_reply(talk, sender, exclude)
            if reply is None:
                return None
            if self._answer is None:
                return self._by_person(reply)
            answer = self._answer
            if answer.calls and answer.stop_reason != "refusal":
                talk += self._called(answer)
                if self._running.ended or self.handoff is not None:
                    return answer.text
            elif (code := self._code_to_run(answer, runs)) is not None:
                runs += 1
                talk += self._run(code, answer.text)
            else:
                return self._text(answer)

    def _by_person(self, reply: Any) -> str:
        text = str(reply["content"] if isinstance(reply, dict) else reply)
        self._running.history.append(self._message(text))
        self._running.stop_reason = "end"
        return text

    def _text(self, answer: ChatAnswer) -> str:
        self._running.history.append(self._message(answer.text))
        self._running.stop_reason = answer.stop_reason
        return answer.text

    def _message(self, text: str, calls: Sequence[ToolCall] = ()) -> Message:
        said = (TextPart(text=text),) if text else ()
        return Message(role="assistant", parts=(*said, *calls))

    # --- tools ------------------------------------------------------------------------------------

    def _called(self, answer: ChatAnswer) -> list[dict[str, Any]]:
        """Make the calls of an answer, and give what the model is to see of it."""
        self._running.history.append(self._message(answer.text, answer.calls))
        results = tuple(self._result(call) for call in answer.calls)
        told = Message(role="tool", parts=results)
        self._running.history.append(told)
        asked = chat_assistant(answer.text, answer.calls)
        if answer.reasoning:
            asked["reasoning_content"] = answer.reasoning
        return [asked, *chat_messages((told,), self._running.inputs)]

    def _result(self, call: ToolCall) -> ToolResult:
        if self._running.ended or self.handoff is not None:
            return not_called(call)
        if call.name != HAND_OFF or not self._handoffs:
            return self._running.call_tool(call, source=self.role.source)
        return self._running.own_tool(call, partial(self._hand_over, call), source=self.role.source)

    async def _hand_over(self, call: ToolCall) -> ToolResult:
        target = call.arguments.get("to")
        if target not in self._handoffs:
            wanted = ", ".join(self._handoffs)
            return _given(
                call, f"{target!r} cannot have the word; these can: {wanted}", is_error=True
            )
        self.handoff = str(target)
        return _given(call, f"{target} has the word")

    # --- code -------------------------------------------------------------------------------------

    def _code_to_run(self, answer: ChatAnswer, runs: int) -> CodeRunner | None:
        """What runs the code in an answer; None where there is none to run."""
        code = self.role.code
        whole = answer.stop_reason == "end" and runs < self.role.max_runs
        return code if code is not None and whole and code.blocks(answer.text) else None

    def _run(self, code: CodeRunner, text: str) -> list[dict[str, Any]]:
        """Run the code in an answer, and give what the model is to see of it."""
        blocks = code.blocks(text)
        call = code.call(blocks)
        self._running.history.append(self._message(text, (call,)))
        result = self._running.own_tool(
            call, lambda: code.run(call, blocks), source=self.role.source
        )
        self._running.history.append(Message(role="tool", parts=(result,)))
        return [
            {"role": "assistant", "content": text},
            {"role": "user", "content": result.content},
        ]


class _Client:
    """What AG2 asks in the place of its own client, which has caches, prices and logs of its own.

    Args:
        member: Whose model it is.
    """

    def __init__(self, member: Member) -> None:
        self._member = member

    def create(self, *, messages: Sequence[Mapping[str, Any]], **_more: Any) -> ChatAnswer:
        """Make one model call."""
        return self._member.ask(messages)

    def extract_text_or_completion_object(self, answer: ChatAnswer) -> list[str]:
        """The text of an answer; its tool calls go another way."""
        return [answer.text]


def _given(call: ToolCall, content: str, *, is_error: bool = False) -> ToolResult:
    return ToolResult(call_id=call.call_id, name=call.name, content=content, is_error=is_error)
