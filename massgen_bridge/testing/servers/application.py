"""Answering requests by a script: routes, choice of the reply, record."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from massgen_bridge.testing.servers.delivery import Delivery
from massgen_bridge.testing.servers.http_response import whole_response
from massgen_bridge.testing.servers.model_request import api_key
from massgen_bridge.testing.servers.protocol import RefusedRequest
from massgen_bridge.testing.servers.script import HttpError, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from massgen_bridge.testing.servers.files import FileStore
    from massgen_bridge.testing.servers.gemini_files import GeminiFiles
    from massgen_bridge.testing.servers.http_request import HttpRequest
    from massgen_bridge.testing.servers.http_response import Response
    from massgen_bridge.testing.servers.model_request import ModelRequest
    from massgen_bridge.testing.servers.protocol import WireProtocol
    from massgen_bridge.testing.servers.recorder import Recorder
    from massgen_bridge.testing.servers.script import ReplyFunction, Script
    from massgen_bridge.testing.servers.vector_stores import VectorStores

__all__ = ["ModelApplication", "Selector"]

_MODELS_PATH = "/v1/models"


class Selector:
    """Chooses replies by a script.

    Args:
        script: what the test wrote; None: the default for every request.
        default: for requests that the script leaves open: the queue is empty, the model has no
            reply of its own, or the function returned None.

    Raises:
        TypeError: the script is none of the forms of `Script`.
    """

    def __init__(self, script: Script | None, default: Reply | ReplyFunction) -> None:
        self._default = _checked(default, "default")
        self._queue: deque[Reply] = deque()
        self._by_model: dict[str, Reply | ReplyFunction] = {}
        self._always: Reply | ReplyFunction | None = None
        if isinstance(script, Mapping):
            self._by_model = {
                model: _checked(reply, f"script[{model!r}]") for model, reply in script.items()
            }
        elif isinstance(script, Sequence):
            self.enqueue(*script)
        elif script is not None:
            self._always = _checked(script, "script")

    @property
    def models(self) -> tuple[str, ...]:
        """The models that have a reply of their own."""
        return tuple(self._by_model)

    def enqueue(self, *replies: Reply) -> None:
        """Add replies that are given, once each, before anything else is."""
        for reply in replies:
            if not isinstance(reply, Reply):
                raise TypeError(f"the queue of replies holds {reply!r}; expected replies only")
        self._queue.extend(replies)

    def choose(self, request: ModelRequest) -> Reply:
        """The reply to a request."""
        if self._queue:
            return self._queue.popleft()
        chosen = self._by_model.get(request.model, self._always)
        reply = chosen(request) if callable(chosen) else chosen
        if reply is None:
            reply = self._default(request) if callable(self._default) else self._default
        if not isinstance(reply, Reply):
            raise TypeError(f"the script's function returned {reply!r}; expected a reply or None")
        return reply


def _checked(reply: Reply | ReplyFunction, where: str) -> Reply | ReplyFunction:
    if isinstance(reply, Reply) or callable(reply):
        return reply
    raise TypeError(
        f"{where} is {reply!r}; expected a reply such as Text('hello'), a list of replies, "
        "a mapping of model names to replies, or a function of the request"
    )


@dataclass(frozen=True, slots=True)
class _Plan:
    """What to answer, before it is recorded."""

    response: Response
    body: Any = None
    asked: ModelRequest | None = None
    number: int | None = None


class ModelApplication:
    """Answers HTTP requests.

    Args:
        selector: chooses the replies.
        recorder: remembers the requests.
        deliveries: one for each protocol. What belongs to none, such as the list of models, is
            told as the protocol says it that the client speaks, else as the first one does.
        models: names to list beside those of the script.
        key: the only API key that is let in; None: any, or none.
        documents: what else can be read by `GET`, by its path.
        files: those that clients keep here.
        gemini_files: the same files, as clients of Gemini know them.
        stores: what else of OpenAI's API has to do with files.

    Attributes:
        failures: what the script's functions raised.
    """

    def __init__(
        self,
        *,
        selector: Selector,
        recorder: Recorder,
        deliveries: Sequence[Delivery],
        models: Sequence[str],
        key: str | None,
        documents: Mapping[str, Callable[[], bytes]],
        files: FileStore,
        gemini_files: GeminiFiles,
        stores: VectorStores,
    ) -> None:
        self.failures: list[Exception] = []
        self._selector = selector
        self._recorder = recorder
        self._deliveries = {delivery.protocol.path: delivery for delivery in deliveries}
        self._patterns = [
            (_pattern(delivery.protocol.path), delivery)
            for delivery in deliveries
            if "{" in delivery.protocol.path
        ]
        self._key = key
        self._models = (*selector.models, *models)
        self._documents = documents
        self._files = files
        self._gemini_files = gemini_files
        self._stores = stores

    def connections_changed(self) -> None:
        """A connection was opened or closed."""
        self._recorder.changed()

    def respond(self, request: HttpRequest) -> Response:
        """The response to a request."""
        plan = self._plan(request)
        entry = self._recorder.begin(
            request,
            body=plan.body,
            asked=plan.asked,
            number=plan.number,
            status=plan.response.status,
        )
        return replace(plan.response, observer=entry)

    def _plan(self, request: HttpRequest) -> _Plan:
        delivery = self._deliveries.get(request.path) or self._matching(request.path)
        if delivery is None:
            return self._plan_other(request)
        if request.method != "POST":
            return _Plan(self._not_allowed(delivery, request, "POST"))
        self._recorder.calls += 1
        return self._plan_call(delivery, request, self._recorder.calls)

    def _matching(self, path: str) -> Delivery | None:
        return next((one for pattern, one in self._patterns if pattern.fullmatch(path)), None)

    def _plan_other(self, request: HttpRequest) -> _Plan:
        delivery = self._spoken(request)
        try:
            found = (
                self._gemini_files.respond(request)
                or self._files.respond(request, delivery.protocol)
                or self._stores.respond(request)
            )
        except RefusedRequest as refusal:
            found = delivery.error(refusal.error)
        if found is not None:
            return _Plan(found, _parsed(request.body))
        models = partial(delivery.protocol.models_document, self._models)
        documents: Mapping[str, Callable[[], bytes]] = {_MODELS_PATH: models, **self._documents}
        document = documents.get(request.path)
        if request.path.endswith("/models") and not self._has_key(request):
            return _Plan(delivery.error(HttpError(status=401)))
        if document is not None and request.method in {"GET", "HEAD"}:
            return _Plan(whole_response(document()))
        if document is not None:
            return _Plan(self._not_allowed(delivery, request, "GET"))
        message = (
            f"this server has no {request.method} {request.path}; expected GET {_MODELS_PATH} or "
            f"POST to one of: {', '.join(self._deliveries)}"
        )
        error = HttpError(status=404, message=message, code="unknown_url")
        return _Plan(delivery.error(error), _parsed(request.body))

    def _spoken(self, request: HttpRequest) -> Delivery:
        deliveries = tuple(self._deliveries.values())
        speakers = (one for one in deliveries if one.protocol.speaks(request.headers))
        return next(speakers, deliveries[0])

    def _not_allowed(self, delivery: Delivery, request: HttpRequest, allowed: str) -> Response:
        message = f"{request.path} does not take {request.method}; expected {allowed}"
        return delivery.error(HttpError(status=405, message=message, headers=(("allow", allowed),)))

    def _has_key(self, request: HttpRequest) -> bool:
        return self._key is None or api_key(request.headers) == self._key

    def _plan_call(self, delivery: Delivery, request: HttpRequest, number: int) -> _Plan:
        body = _parsed(request.body)
        if not self._has_key(request):
            return _Plan(delivery.error(HttpError(status=401)), body, number=number)
        try:
            asked = _read(delivery.protocol, body, request, number)
        except RefusedRequest as refusal:
            return _Plan(delivery.error(refusal.error), body, number=number)
        return _Plan(self._answer(delivery, asked), body, asked, number)

    def _answer(self, delivery: Delivery, asked: ModelRequest) -> Response:
        try:
            return delivery.response(asked, self._selector.choose(asked))
        except Exception as error:  # noqa: BLE001 a test's own function: the client and the test both have to hear of it
            self.failures.append(error)
            message = f"the test's script failed: {type(error).__name__}: {error}"
            return delivery.error(HttpError(status=500, message=message))


def _pattern(path: str) -> re.Pattern[str]:
    """What matches the paths that one with `{name}` in it stands for."""
    return re.compile("[^/:]+".join(re.escape(part) for part in re.split(r"\{\w+\}", path)))


def _read(protocol: WireProtocol, body: Any, request: HttpRequest, number: int) -> ModelRequest:
    """What the request asks for.

    Raises:
        RefusedRequest: it is not one of the protocol's, or one that a provider refuses.
    """
    if not isinstance(body, dict):
        raise RefusedRequest(HttpError(status=400, message="the body is not a JSON object"))
    try:
        return protocol.parse(body, request, number)
    except (AttributeError, KeyError, TypeError) as error:
        message = (
            f"the body does not have the shape of a {protocol.name} request: "
            f"{type(error).__name__}: {error}"
        )
        raise RefusedRequest(HttpError(status=400, message=message)) from error


def _parsed(body: bytes) -> Any:
    if not body:
        return None
    try:
        return json.loads(body)
    except ValueError:
        return None
