"""A user's own agents: an agent, a group chat or a group pattern, as they are."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from autogen.io import IOStream

from massgen_bridge import (
    AgentContext,
    AgentCrashed,
    AgentError,
    Capabilities,
    Emit,
    InputKind,
    Message,
    Said,
    TextPart,
    Turn,
    TurnResult,
    UnsupportedContent,
)
from massgen_bridge.adapting import chat_messages, only_text, sdk_error
from massgen_bridge_ag2_classic._converse import agents_of, converse
from massgen_bridge_ag2_classic._load import Source
from massgen_bridge_ag2_classic._options import ClassicOptions
from massgen_bridge_ag2_classic._people import NobodyToAsk, Person
from massgen_bridge_ag2_classic._running import Running, Stopped, in_thread
from massgen_bridge_ag2_classic._stream import TurnStream
from massgen_bridge_ag2_classic._watch import Watcher

__all__ = ["OwnChat"]

_SDKS = frozenset({"anthropic", "groq", "mistralai", "ollama", "openai", "together"})
_TERMINATE = "TERMINATE"
_CARRIER = "AG2"
_WAIT_S = 0.1
_INPUTS: tuple[InputKind, ...] = ("image",)


class OwnChat:
    """A user's own agents as one agent.

    Args:
        context: What it is made of.
        path: The import path of the agents.
        capabilities: What it can do.

    Raises:
        ConfigError: The path leads to something else.
    """

    def __init__(self, context: AgentContext, path: str, capabilities: Capabilities) -> None:
        self._context = context
        self._options: ClassicOptions = context.options
        self._path = path
        self._capabilities = capabilities
        self._source = Source(context.load(path), path=path, connection=context.connection)
        self._busy = threading.Lock()

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        """Do one turn.

        Raises:
            AgentError: The turn failed; the class says how.
        """
        self._capabilities.check(turn)
        running = Running(turn, emit)
        question = _question(turn)
        watcher = Watcher(running, question)

        def work() -> None:
            try:
                with self._alone(running):
                    self._converse(running, watcher, question)
            except Stopped:
                if watcher.failure is not None:
                    raise watcher.failure from None
                raise

        try:
            await in_thread(running, work, abandon=True)
        except NobodyToAsk as error:
            if not watcher.said:
                why = (
                    "no reply came"
                    if self._options.human_input == "ask"
                    else "nobody is asked; `human_input: ask` asks a person"
                )
                raise AgentCrashed(
                    f"`chat: {self._path}` wants a person's input ({error}), and {why}",
                    agent_id=self._context.agent_id,
                ) from error
        except AgentError:
            raise
        except Exception as error:  # the user's own code may raise anything
            raise self._failure(error) from error
        return self._result(running, watcher.said)

    async def aclose(self) -> None:
        """Nothing to give back: the agents are the user's."""

    @contextmanager
    def _alone(self, running: Running) -> Iterator[None]:
        """Agents that are not made for each turn remember things: one turn at a time."""
        if not self._source.is_shared:
            yield
            return
        while not self._busy.acquire(timeout=_WAIT_S):
            if running.stopped:
                raise Stopped
        try:
            yield
        finally:
            self._busy.release()

    def _converse(self, running: Running, watcher: Watcher, question: Any) -> None:
        asked = self._context.ask if self._options.human_input == "ask" else None
        stream = TurnStream(told=watcher.take, ask=Person(asked, running).line_or_end)
        with IOStream.set_default(stream):
            own = self._source.get(running.turn)
            with watcher.watching(agents_of(own)):
                converse(own, question, max_turns=self._options.max_turns)

    def _result(self, running: Running, said: list[Said]) -> TurnResult:
        told = [(one.speaker, _without_end(one.text)) for one in said]
        told = [(speaker, text) for speaker, text in told if text]
        if not told:
            raise AgentCrashed(
                f"`chat: {self._path}` ended without a word", agent_id=self._context.agent_id
            )
        messages = tuple(
            Message(role="assistant", parts=(TextPart(text=text),), name=speaker)
            for speaker, text in told
        )
        return TurnResult(message=messages[-1], new_messages=messages, usage=running.usage)

    def _failure(self, error: Exception) -> AgentError:
        where = f"`chat: {self._path}`"
        cause: BaseException | None = error
        while cause is not None:
            known = sdk_error(cause, where=where, agent_id=self._context.agent_id, packages=_SDKS)
            if known is not None:
                return known
            cause = cause.__cause__
        return AgentCrashed(
            f"{where} raised {type(error).__name__}: {error}", agent_id=self._context.agent_id
        )


def _without_end(text: str) -> str:
    """What was said, without AG2's usual word for the end of a conversation."""
    return text.replace(_TERMINATE, "").strip() if _TERMINATE in text else text


def _question(turn: Turn) -> Any:
    """The history as the one message that a conversation of AG2 begins with.

    Raises:
        UnsupportedContent: Media stand elsewhere than in the last message.
    """
    if not turn.messages or turn.messages[-1].role != "user":
        raise UnsupportedContent("a conversation of AG2 begins with a message of the user")
    *earlier, last = turn.messages
    texts = [only_text(message, carrier=_CARRIER) for message in earlier]
    talk = any(message.role != "system" for message in earlier)
    before = "\n\n".join(
        text if message.role == "system" else f"{message.role}: {text}"
        for message, text in zip(earlier, texts, strict=True)
    )
    before = f"{before}\n\n" if before else ""
    before += "user: " if talk else ""
    (told,) = chat_messages((last,), _INPUTS)
    content = told["content"]
    if isinstance(content, str):
        return before + content
    return [{"type": "text", "text": before}, *content] if before else content
