"""What a connection adds to the requests of Gemini's API, which knows each key in two forms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["gemini_merged", "gemini_unmerged"]


def gemini_merged(values: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """A request with extras, key by key at all depths; `top_p` counts as `topP`.

    Args:
        values: The body of the request; it is not changed.
        extra: What comes into it, in place of what is there.
    """
    body = dict(values)
    for key, given in extra.items():
        name = _name_in(body, key)
        held = body.get(name)
        if isinstance(held, dict) and isinstance(given, dict):
            body[name] = gemini_merged(held, given)
        else:
            body[name] = given
    return body


def gemini_unmerged(values: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """A request without what `gemini_merged` has put into it.

    Args:
        values: The body of the request; it is not changed.
        extra: What was put into it.
    """
    body = dict(values)
    for key, given in extra.items():
        name = _name_in(body, key)
        held = body.get(name)
        if isinstance(held, dict) and isinstance(given, dict):
            held = body[name] = gemini_unmerged(held, given)
            if not held:
                del body[name]
        elif name in body and held == given:
            del body[name]
    return body


def _name_in(body: Mapping[str, Any], key: str) -> str:
    """What a key is called there."""
    return next((name for name in body if _plain(name) == _plain(key)), key)


def _plain(key: str) -> str:
    return key.replace("_", "").lower()
