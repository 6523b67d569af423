from __future__ import annotations

import os

# Read when LangChain is imported: no test is traced, whatever the environment says.
os.environ["LANGSMITH_TRACING"] = "false"
os.environ["LANGCHAIN_TRACING_V2"] = "false"

import pytest

from massgen_bridge.testing.fixtures import model_server

__all__ = ["model_server"]


@pytest.fixture
def anyio_backend() -> str:
    """The event loop that the product runs on."""
    return "asyncio"
