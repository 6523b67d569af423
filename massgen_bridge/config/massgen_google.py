"""Where Google's API has what MassGen gives to Google's SDK."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic.alias_generators import to_camel  # by which Google's SDK names them, too

__all__ = ["add_to_body"]

_OF_REQUESTS: Final = frozenset(
    {"cached_content", "labels", "safety_settings", "service_tier", "store"}
)
"""What stands beside the settings of an answer, in which all the rest is."""
_AS_THEY_ARE: Final = frozenset({"labels", "response_json_schema", "response_schema"})
"""What has names of the user's own in it."""


def add_to_body(body: dict[str, Any], key: str, value: Any) -> None:
    """Put a setting of Google's SDK into the body of a request.

    Args:
        body: What is to be added to each request; it is changed.
        key: The setting's name in Python.
        value: Its value.
    """
    named = to_camel(key)
    sent = value if key in _AS_THEY_ARE else _camel_keys(value)
    if key in _OF_REQUESTS:
        body[named] = sent
        return
    settings = body.setdefault("generationConfig", {})
    if isinstance(settings, dict):  # else it is written out, and wrong
        settings[named] = sent


def _camel_keys(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {to_camel(key): _camel_keys(one) for key, one in value.items()}
    return [_camel_keys(one) for one in value] if isinstance(value, list) else value
