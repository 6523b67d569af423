"""Keys that people write into a backend, and that have their place elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from massgen_bridge.config.models import AgentConfig
from massgen_bridge.models.settings import ModelConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_bridge.specs import AdapterSpec

__all__ = ["places_of_keys"]

_UNDER_MODELS: Final = "write it at a connection under 'models:', and name that with 'model' here"
_OTHER_NAMES: Final = {
    "max_completion_tokens": "max_output_tokens",
    "max_tokens": "max_output_tokens",
}


def places_of_keys(spec: AdapterSpec) -> Mapping[str, str]:
    """What to say of a key that a backend of a kind does not know, by the key."""
    told = dict.fromkeys(AgentConfig.model_fields, "; it stands beside 'backend', not in it")
    if spec.protocols:
        told |= dict.fromkeys(ModelConfig.model_fields, f"; {_UNDER_MODELS}")
        told |= {old: f"; as {new!r}, {_UNDER_MODELS}" for old, new in _OTHER_NAMES.items()}
    return told
