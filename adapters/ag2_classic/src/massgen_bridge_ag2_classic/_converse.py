"""A conversation with a user's own agents, held in AG2's own ways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from autogen import Agent, ConversableAgent, GroupChat, GroupChatManager, LLMConfig, UserProxyAgent
from autogen.agentchat import initiate_group_chat
from autogen.agentchat.group.patterns.pattern import Pattern

from massgen_bridge_ag2_classic._load import Own
from massgen_bridge_ag2_classic._member import never

__all__ = ["agents_of", "converse"]


def agents_of(own: Own) -> Sequence[Agent]:
    """The agents that take part."""
    if isinstance(own, Pattern):
        return [*own.agents, *([own.user_agent] if own.user_agent else [])]
    if isinstance(own, GroupChat):
        return list(own.agents)
    if isinstance(own, GroupChatManager):
        return [own, *own.groupchat.agents]
    return [own]


def converse(own: Own, question: Any, *, max_turns: int) -> None:
    """Put a question to agents and let them talk until they are done.

    Args:
        own: The agents. What they remember of an earlier conversation is forgotten.
        question: A text, or the parts of a message.
        max_turns: Most messages.
    """
    for agent in agents_of(own):
        if isinstance(agent, ConversableAgent):
            agent.reset()
    message = {"role": "user", "content": question}
    if isinstance(own, Pattern):
        # The question is AG2's first round.
        initiate_group_chat(pattern=own, messages=[message], max_rounds=max_turns + 1)
    elif isinstance(own, GroupChat):
        config = _first_config(own)
        _in_group(GroupChatManager(own, llm_config=config), message, max_turns)
    elif isinstance(own, GroupChatManager):
        _in_group(own, message, max_turns)
    else:
        _with_one(own, message, max_turns)


def _in_group(manager: GroupChatManager, message: dict[str, Any], max_turns: int) -> None:
    chat = manager.groupchat
    proxies = (one for one in chat.agents if isinstance(one, UserProxyAgent))
    asker = next(proxies, None) or _asker()
    rounds = chat.max_round
    chat.max_round = min(rounds, max_turns + 1)
    try:
        asker.initiate_chat(manager, message=message, clear_history=True)
    finally:
        chat.max_round = rounds


def _with_one(agent: ConversableAgent, message: dict[str, Any], max_turns: int) -> None:
    asker = _asker(is_termination_msg=_calls_nothing)
    # The other side of a conversation makes the calls, as AG2 has it.
    asker.register_function(dict(agent.function_map))
    for tool in agent.tools:
        tool.register_for_execution(asker)
    asker.initiate_chat(agent, message=message, max_turns=max_turns, clear_history=True)


def _asker(**settings: Any) -> ConversableAgent:
    return ConversableAgent(
        "user",
        llm_config=False,
        human_input_mode="NEVER",
        **{"is_termination_msg": never, **settings},
    )


def _first_config(chat: GroupChat) -> LLMConfig | Literal[False]:
    """What a manager chooses speakers by, where the group brings none along."""
    configs = (one.llm_config for one in chat.agents if isinstance(one, ConversableAgent))
    return next((config for config in configs if config), False)


def _calls_nothing(message: Mapping[str, Any]) -> bool:
    return not (message.get("tool_calls") or message.get("function_call"))
