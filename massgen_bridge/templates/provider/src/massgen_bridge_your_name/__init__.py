"""The provider `your_name`: models that a configuration names as `your_name/some-model`.

Every kind of agent that speaks the provider's protocol can use them.
"""

from __future__ import annotations

from massgen_bridge import ModelTraits, ProviderSpec, hookimpl

__all__ = ["bridge_providers"]


@hookimpl
def bridge_providers() -> list[ProviderSpec]:
    """Register the provider `your_name`."""
    return [
        ProviderSpec(
            name="your_name",
            summary="Models behind an address of your own",
            # An address, or an environment variable that holds one. "chat" is the protocol of
            # OpenAI's Chat Completions.
            base_urls={"chat": "${YOUR_NAME_URL}"},
            key_variables=["YOUR_NAME_API_KEY"],
            needs_key=False,
            # What all its models can do; a configuration can say more of a single one.
            traits=ModelTraits(tools=True, structured=True, inputs=frozenset()),
        )
    ]
