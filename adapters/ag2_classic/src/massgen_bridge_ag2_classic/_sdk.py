"""OpenAI's SDK as this adapter uses it."""

from __future__ import annotations

import openai

from massgen_bridge.adapting import ChatSdk

__all__ = ["SDK"]

SDK = ChatSdk(openai, name="massgen_bridge_ag2_classic_clients")
"""The SDK and the clients of all agents."""
