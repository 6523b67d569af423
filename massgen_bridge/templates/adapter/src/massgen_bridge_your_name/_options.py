"""What a configuration can say of agents of the kind `your_name`, and what they can do."""

from __future__ import annotations

from massgen_bridge import Capabilities, NoOptions
from pydantic import Field

__all__ = ["CAPABILITIES", "FirstWordsOptions"]

# Say what is true: massgen-bridge never asks for more, and the conformance suite tests all of it.
CAPABILITIES = Capabilities(
    streaming=True,
    tools=False,
    structured=False,
    history=False,
    inputs=frozenset(),
)


class FirstWordsOptions(NoOptions):
    """The keys that stand beside `type: your_name`; any other key is an error with its line."""

    most_words: int = Field(default=5, ge=1, description="Words of the longest answer.")
