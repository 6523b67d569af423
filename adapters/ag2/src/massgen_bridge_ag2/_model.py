"""What AG2 takes for the model of an agent, while it is the turn's."""

from __future__ import annotations

from typing import Any, Self

from ag2.config import ModelConfig
from ag2.config.config import ModelProvider

from massgen_bridge import UnsupportedContent
from massgen_bridge_ag2._calls import TurnCalls

__all__ = ["TurnModel"]


class TurnModel(ModelConfig):
    """A model's configuration and client in one; there is one for each question.

    Args:
        calls: Makes the model calls.
    """

    def __init__(self, calls: TurnCalls) -> None:
        self._calls = calls

    @property
    def provider(self) -> ModelProvider:
        """What AG2 takes the model for."""
        return ModelProvider.OPENAI

    @property
    def model(self) -> str:
        """The model's name."""
        return self._calls.access.connection.model

    def copy(self) -> Self:
        """Itself."""
        return self

    def create(self) -> Any:
        """Itself, as the client that AG2 calls."""
        return self

    def create_files_client(self) -> Any:
        """Refuse: files go along with messages here.

        Raises:
            UnsupportedContent: Always.
        """
        raise UnsupportedContent("no files can be kept with the provider of this model")
