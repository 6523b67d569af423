"""A conversation over AG2's network: a hub, a channel of its workflow protocol, and its members."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import anyio
from ag2 import Agent
from ag2.knowledge import MemoryKnowledgeStore
from ag2.network import (
    EV_PACKET,
    WORKFLOW_TYPE,
    AgentClient,
    Always,
    BaseHubListener,
    Envelope,
    Hub,
    TerminateTarget,
    Transition,
    TransitionDecision,
    TransitionGraph,
    WorkflowState,
    default_handler,
    register_target,
)

from massgen_bridge import AgentCrashed, NextSpeaker, Said

__all__ = ["Conversation"]

_HOST = "the user"  # with a blank, which no member's name has
_NEXT = "massgen_bridge.next_speaker"


@dataclass(slots=True)
class DecidedTarget:
    """AG2's transition to whoever was decided on, which stands in the message itself.

    A transition of AG2 is a pure function and cannot ask a model; what a model has chosen is a
    variable of the conversation by then.
    """

    name: ClassVar[str] = "massgen_bridge_decided"

    def resolve(self, state: WorkflowState, envelope: Envelope) -> TransitionDecision:  # noqa: ARG002 - AG2's signature
        """Who is next."""
        return TransitionDecision(next_speaker=state.context_vars.get(_NEXT))


register_target(DecidedTarget)


class _Listener(BaseHubListener):
    """Hears of the end, and of a member's failure, which leaves AG2's channel open."""

    def __init__(self) -> None:
        self.over = anyio.Event()
        self.failure: BaseException | None = None

    async def on_channel_event(self, channel_id: str, kind: str, payload: Any) -> None:  # noqa: ARG002 - AG2's signature
        if kind in {"closed", "expired"}:
            self.over.set()

    async def on_turn_failed(
        self,
        channel_id: str,  # noqa: ARG002 - AG2's signature
        agent_id: str,  # noqa: ARG002 - AG2's signature
        envelope_id: str,  # noqa: ARG002 - AG2's signature
        exc: BaseException,
    ) -> None:
        self.failure = exc
        self.over.set()


class Conversation:
    """Lets members speak one after the other until it is decided that nobody does.

    Args:
        agents: The members, by name.
        speak: Has a member speak.
        follow: Decides who speaks next.
    """

    def __init__(
        self,
        agents: Mapping[str, Agent[Any]],
        *,
        speak: Callable[[str], Awaitable[Said]],
        follow: Callable[[], Awaitable[NextSpeaker]],
    ) -> None:
        self._agents = agents
        self._speak = speak
        self._follow = follow
        self._listener = _Listener()
        self._ids: dict[str, str] = {}

    async def hold(self, question: str) -> None:
        """Begin it, and wait for its end.

        Args:
            question: What the members are asked.

        Raises:
            AgentError: A member failed.
        """
        # No sweepers: how long a turn may take is the host's business.
        hub = await Hub.open(
            MemoryKnowledgeStore(), ttl_sweep_interval=0, expectation_sweep_interval=0
        )
        try:
            hub.register_listener(self._listener)
            await self._begin(hub, question)
            await self._listener.over.wait()
        finally:
            # Only this stops a member that speaks; closing the channel does not.
            await hub.close()
        if self._listener.failure is not None:
            raise self._listener.failure

    async def _begin(self, hub: Hub, question: str) -> None:
        host = await hub.register(Agent(_HOST), attach_plugin=False)
        host.on_envelope(_ignore)
        for name, agent in self._agents.items():
            client = await hub.register(agent, attach_plugin=False)
            client.on_envelope(partial(self._heard, hub, client, name))
            self._ids[name] = client.agent_id
        graph = TransitionGraph(
            initial_speaker=host.agent_id,
            transitions=[Transition(when=Always(), then=DecidedTarget())],
            default_target=TerminateTarget(reason="nobody is left to speak"),
        )
        channel = await host.open(
            type=WORKFLOW_TYPE, target=list(self._agents), knobs={"graph": graph.to_dict()}
        )
        first = await self._follow()
        await host.send_envelope(
            self._packet(channel.channel_id, host.agent_id, question, first, handoff=False)
        )

    async def _heard(self, hub: Hub, client: AgentClient, name: str, envelope: Envelope) -> None:
        """A member hears something: an invitation, or a message that may give it the word."""
        if envelope.event_type != EV_PACKET:
            await default_handler(envelope, client)
            return
        heard: str | None = envelope.envelope_id
        try:
            # Nobody is told of its own message, and may yet have to speak again.
            while heard is not None and self._has_word(hub, client, envelope.channel_id, heard):
                said = await self._speak(name)
                following = await self._follow()
                handed = said.handoff is not None and said.handoff == following.speaker
                packet = self._packet(
                    envelope.channel_id, client.agent_id, said.text, following, handoff=handed
                )
                packet.causation_id = heard
                heard = await client.send_envelope(packet)
        except Exception as error:  # noqa: BLE001 - raised again by whoever holds the conversation
            await hub.report_turn_failure(
                channel_id=envelope.channel_id,
                agent_id=client.agent_id,
                envelope_id=envelope.envelope_id,
                exc=error,
            )

    def _has_word(self, hub: Hub, client: AgentClient, channel_id: str, heard: str) -> bool:
        """Whether it is the member's turn since just this message, not an earlier one."""
        state = hub.adapter_state(channel_id)
        return (
            isinstance(state, WorkflowState)
            and state.expected_next_speaker == client.agent_id
            and state.last_envelope_id == heard
        )

    def _packet(
        self, channel_id: str, sender_id: str, body: str, following: NextSpeaker, *, handoff: bool
    ) -> Envelope:
        speaker = following.speaker
        if not following.is_end and speaker is None:
            raise AgentCrashed("nobody has decided who speaks next")
        next_id = None if speaker is None else self._ids[speaker]
        routing: dict[str, Any] = {"kind": "text"}
        if next_id is None:
            routing = {"kind": "finish", "reason": following.reason}
        elif handoff:
            routing = {"kind": "handoff", "target": next_id, "reason": following.reason}
        return Envelope(
            channel_id=channel_id,
            sender_id=sender_id,
            audience=None,
            event_type=EV_PACKET,
            event_data={
                "routing": routing,
                "context_updates": {"set": {_NEXT: next_id}, "delete": []},
                "body": body,
            },
        )


async def _ignore(envelope: Envelope) -> None:
    """The user only asks."""
