"""Agents that are one model behind OpenAI's SDK: text goes in, text comes out."""

from massgen_bridge import AdapterSpec, Agent, AgentContext, hookimpl


def create(context: AgentContext) -> Agent:
    from plain_agent import PlainAgent  # noqa: PLC0415 - the SDK, when an agent is made

    return PlainAgent(context)


@hookimpl
def bridge_adapters() -> list[AdapterSpec]:
    spec = AdapterSpec(
        kind="plain",
        summary="A model behind OpenAI's SDK, for text alone.",
        factory=create,
        requires=["openai>=2.30"],
        protocols=["chat"],
        needs_model=True,
    )
    return [spec]
