"""What the gateway's paths mean."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_bridge.connection import Protocols
    from massgen_bridge.models.gateway.server import Request

__all__ = ["MODEL", "Route", "likely_protocol", "route_of"]


@dataclass(frozen=True, slots=True)
class Route:
    """What a path asks for.

    Attributes:
        task: A model call, a count of tokens, the list of models, or one of them.
        protocol: In whose form; None where the connection says it.
        path: Behind the address that the protocol's SDK takes; `MODEL` stands for the model's name.
    """

    task: Literal["call", "count", "models", "model"]
    protocol: Protocols | None
    path: str


MODEL = "MODEL"
"""Stands for the model's name in a route's path."""

_ROUTES: Mapping[tuple[str, str], Route] = {
    ("POST", "/chat/completions"): Route("call", "chat", "/chat/completions"),
    ("POST", "/responses"): Route("call", "responses", "/responses"),
    ("POST", "/messages"): Route("call", "messages", "/v1/messages"),
    ("POST", "/messages/count_tokens"): Route("count", "messages", "/v1/messages/count_tokens"),
    ("GET", "/models"): Route("models", None, "/models"),
}

_GEMINI = re.compile(r"(?P<version>/v1(?:beta|alpha)?)?/models/[^:]+:(?P<method>[A-Za-z]+)")
_GEMINI_METHODS: Mapping[str, Literal["call", "count"]] = {
    "countTokens": "count",
    "generateContent": "call",
    "streamGenerateContent": "call",
}


def route_of(request: Request) -> Route | None:
    """What a request asks for; None where the gateway has nothing like it.

    Clients differ in whether `/v1` belongs to an address or to a path, so it counts not at all.
    """
    path = request.path
    if request.method == "POST" and (called := _GEMINI.fullmatch(path)):
        method = called["method"]
        task = _GEMINI_METHODS.get(method)
        return task and Route(
            task, "gemini", f"{called['version'] or '/v1beta'}/models/{MODEL}:{method}"
        )
    path = path.replace("/v1beta/", "/v1/", 1)
    while path.startswith("/v1/"):
        path = path[3:]
    if request.method == "GET" and path.startswith("/models/"):
        return Route("model", None, path)
    return _ROUTES.get((request.method, path.rstrip("/")))


def likely_protocol(request: Request) -> Protocols:
    """The protocol in whose form a client expects an error."""
    if "/v1beta/" in request.path or "x-goog-api-key" in request.headers:
        return "gemini"
    is_messages = "/messages" in request.path or "anthropic-version" in request.headers
    return "messages" if is_messages else "chat"
