"""Users' own agents of AG2, as their files have them."""

import os
from typing import Any

from autogen import (
    Agent,
    AssistantAgent,
    ConversableAgent,
    GroupChat,
    GroupChatManager,
    LLMConfig,
    UserProxyAgent,
)
from autogen.agentchat.group import (
    AgentTarget,
    ContextVariables,
    OnCondition,
    ReplyResult,
    StringLLMCondition,
    TerminateTarget,
)
from autogen.agentchat.group.patterns import (
    AutoPattern,
    DefaultPattern,
    ManualPattern,
    RandomPattern,
    RoundRobinPattern,
)


def config(**more: Any) -> LLMConfig:
    """The user's own model, as OpenAI's variables name it."""
    return LLMConfig(
        {
            "api_type": "openai",
            "model": "own-model",
            "base_url": os.environ["OPENAI_BASE_URL"],
            "api_key": os.environ["OPENAI_API_KEY"],
            "max_retries": 0,
            **more,
        }
    )


def agent(name: str = "helper", **more: Any) -> ConversableAgent:
    """An assistant with the user's own model."""
    return AssistantAgent(name, system_message=f"You are {name}.", llm_config=config(**more))


def single() -> ConversableAgent:
    """One agent."""
    return agent()


def streaming() -> ConversableAgent:
    """One agent whose words come as they are made."""
    return agent(stream=True)


def with_tool() -> ConversableAgent:
    """One agent with a tool of its own."""
    made = agent()

    @made.register_for_llm(description="Adds two numbers.")
    def add(left: int, right: int) -> int:
        return left + right

    return made


def round_robin() -> RoundRobinPattern:
    """Two who speak in turn."""
    first, second = agent("first", stream=True), agent("second", stream=True)
    return RoundRobinPattern(initial_agent=first, agents=[first, second])


def random_pattern() -> RandomPattern:
    """Three of whom anybody may be next."""
    members = [agent(name) for name in ("first", "second", "third")]
    return RandomPattern(initial_agent=members[0], agents=members)


def auto() -> AutoPattern:
    """Three of whom the model chooses the next."""
    members = [agent(name) for name in ("first", "second", "third")]
    return AutoPattern(
        initial_agent=members[0],
        agents=members,
        group_manager_args={"llm_config": config()},
    )


def manual() -> ManualPattern:
    """Two of whom a person chooses the next."""
    members = [agent(name) for name in ("first", "second")]
    user = UserProxyAgent("customer", code_execution_config=False)
    return ManualPattern(initial_agent=members[0], agents=members, user_agent=user)


def note(topic: str, context_variables: ContextVariables) -> ReplyResult:
    """Writes down what the customer wants."""
    context_variables["topic"] = topic
    return ReplyResult(message=f"noted: {topic}", context_variables=context_variables)


def support() -> DefaultPattern:
    """A desk that hands over, by the model's choice, with context variables and a tool."""
    repairs = agent("repairs")
    desk = AssistantAgent(
        "desk", system_message="You are the desk.", llm_config=config(), functions=[note]
    )
    condition = StringLLMCondition(prompt="Something is broken.")
    desk.handoffs.add_llm_condition(OnCondition(target=AgentTarget(repairs), condition=condition))
    repairs.handoffs.set_after_work(TerminateTarget())
    return DefaultPattern(
        initial_agent=desk,
        agents=[desk, repairs],
        context_variables=ContextVariables({"topic": ""}),
        group_after_work=TerminateTarget(),
    )


def group_chat() -> GroupChat:
    """A GroupChat with a proxy that begins it."""
    members: list[Agent] = [agent("first"), agent("second")]
    proxy = UserProxyAgent("proxy", human_input_mode="NEVER", code_execution_config=False)
    return GroupChat(
        [proxy, *members],
        max_round=3,
        speaker_selection_method=lambda last, _chat: (
            members[0] if last is proxy else members[1] if last is members[0] else None
        ),
    )


def manager() -> GroupChatManager:
    """A GroupChat with a manager of its own, whose model chooses who speaks."""
    members = [agent("first"), agent("second"), agent("third")]
    chat = GroupChat(list(members), max_round=4)
    return GroupChatManager(chat, llm_config=config())


def asks_person() -> UserProxyAgent:
    """One who wants a person's input for everything."""
    return UserProxyAgent("person", human_input_mode="ALWAYS", code_execution_config=False)


def without_model() -> ConversableAgent:
    """One agent that says the same, whatever it hears."""
    return ConversableAgent(
        "parrot", llm_config=False, human_input_mode="NEVER", default_auto_reply="Polly!"
    )


def from_model(llm_config: dict[str, Any]) -> ConversableAgent:
    """One agent with the model of the configuration."""
    return ConversableAgent("helper", llm_config=llm_config, human_input_mode="NEVER")


def streaming_from_model(llm_config: dict[str, Any]) -> ConversableAgent:
    """One agent with the model of the configuration, whose words come as they are made."""
    (model,) = llm_config["config_list"]
    return from_model({"config_list": [{**model, "stream": True}]})


def raises() -> ConversableAgent:
    """Nothing."""
    raise RuntimeError("no such table")


def makes_nothing() -> str:
    """No agent."""
    return "an agent"


def needs_more(path: str) -> ConversableAgent:
    """One that cannot be had."""
    return agent(path)


PARROT = without_model()
NUMBER = 7
