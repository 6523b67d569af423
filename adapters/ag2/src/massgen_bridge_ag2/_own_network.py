"""A user's own group over AG2's network."""

from __future__ import annotations

import logging
from typing import Any

import anyio
from ag2.network import (
    EV_PACKET,
    EV_TEXT,
    BaseHubListener,
    Channel,
    ChannelMetadata,
    Envelope,
    Hub,
)

from massgen_bridge import (
    AgentContext,
    AgentCrashed,
    AgentError,
    Capabilities,
    Emit,
    LogLine,
    ProtocolFailed,
    TextDelta,
    Turn,
    TurnResult,
    assistant,
)
from massgen_bridge.adapting import OwnFactory, as_text, cancelled_once, model_call_error
from massgen_bridge_ag2._options import AG2Options

__all__ = ["OwnNetwork"]

_EXPECTED = "a function without arguments that returns a hub and a channel opened in it"
_ABLE = Capabilities(streaming=False, history=False, group=True)

# What fails a turn is raised; without a handler of the program's own, AG2's report of it would go
# to the terminal besides.
logging.getLogger("ag2.network.client.handlers").addHandler(logging.NullHandler())


class OwnNetwork:
    """Sends a question into somebody's channel and waits for the end of the conversation.

    A hub and its channel are made anew for each turn: closing the hub is what stops a member.
    """

    def __init__(self, context: AgentContext, *, path: str) -> None:
        options: AG2Options = context.options
        self._agent_id = context.agent_id
        self._option = f"network: {path}"
        self._where = f"network {path!r}"
        self._most = options.max_turns
        self._factory = OwnFactory(
            context.load(path),
            option=self._option,
            expected=_EXPECTED,
            makes="a hub and a channel",
        )

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        """Do one turn.

        Raises:
            AgentError: The turn failed; the class says how.
        """
        _ABLE.check(turn)
        text = as_text(turn.messages, carrier="AG2's network")
        return await cancelled_once(lambda: self._talk(text, emit))

    async def aclose(self) -> None:
        """Nothing to give back: each turn closes its hub."""

    async def _talk(self, question: str, emit: Emit) -> TurnResult:
        made = await self._factory.make_in_thread()
        match made:
            case (Hub() as hub, Channel() as channel):
                pass
            case _:
                raise AgentCrashed(
                    f"`{self._option}` returned {made!r}; expected {_EXPECTED}",
                    agent_id=self._agent_id,
                )
        listener = _Listener(hub, channel, emit, most=self._most)
        try:
            hub.register_listener(listener)
            await channel.send(question)
            await listener.over.wait()
        finally:
            await hub.close()
        if listener.failure is not None:
            raise self._mapped(listener.failure) from listener.failure
        if listener.answer is None:
            raise ProtocolFailed(
                f"{self._where}: the channel was closed before anybody had answered",
                agent_id=self._agent_id,
            )
        message = assistant(listener.answer)
        return TurnResult(message=message, new_messages=(message,))

    def _mapped(self, error: Exception) -> AgentError:
        known = model_call_error(error, where=self._where, agent_id=self._agent_id, sdk="openai")
        if isinstance(known, AgentCrashed):
            name = type(error).__name__
            return AgentCrashed(f"{self._where}: {name}: {error}", agent_id=self._agent_id)
        return known


class _Listener(BaseHubListener):
    """Tells what is said, and hears of the end: not all of AG2's protocols have one."""

    def __init__(self, hub: Hub, channel: Channel, emit: Emit, *, most: int) -> None:
        self.over = anyio.Event()
        self.failure: Exception | None = None
        self.answer: str | None = None
        self._hub = hub
        self._channel_id = channel.channel_id
        self._emit = emit
        self._most = most
        self._asked = False
        self._said = 0

    async def on_envelope_posted(self, envelope: Envelope, metadata: ChannelMetadata) -> None:  # noqa: ARG002 - AG2's signature
        """A message has come into the channel."""
        if envelope.channel_id != self._channel_id or envelope.event_type not in {
            EV_TEXT,
            EV_PACKET,
        }:
            return
        if not self._asked:  # the question itself
            self._asked = True
            return
        if self.over.is_set():
            return
        text = envelope.event_data.get("body") or envelope.event_data.get("text") or ""
        if text:
            self.answer = str(text)
            name = self._hub.name_for(envelope.sender_id)
            await self._emit(TextDelta(text=self.answer, source=name))
        self._said += 1
        if self._said >= self._most:
            await self._emit(
                LogLine(stream="log", text=f"the conversation ends after {self._most} messages")
            )
            self.over.set()

    async def on_channel_event(self, channel_id: str, kind: str, payload: Any) -> None:  # noqa: ARG002 - AG2's signature
        """The channel's state has changed."""
        if channel_id == self._channel_id and kind in {"closed", "expired"}:
            self.over.set()

    async def on_turn_failed(
        self,
        channel_id: str,
        agent_id: str,  # noqa: ARG002 - AG2's signature
        envelope_id: str,  # noqa: ARG002 - AG2's signature
        exc: BaseException,
    ) -> None:
        """A member has failed, which leaves AG2's channel open."""
        if channel_id == self._channel_id and isinstance(exc, Exception):
            self.failure = exc
            self.over.set()
