"""OpenAI's SDK, fed by the connection alone: for every adapter that calls a model by it.

The SDK is imported by whoever uses this, not here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from massgen_bridge.models.sdk_clients import ClientPool, Endpoint, transport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from massgen_bridge.connection import Connection

__all__ = ["ChatSdk"]

_NO_KEY = "none"


class ChatSdk:
    """The SDK as one adapter uses it.

    Args:
        openai: The SDK's module, of release 2 or 3.
        name: Tells the adapter's clients from others.

    Attributes:
        openai: The SDK's module.
        clients: The clients of all the adapter's agents.
    """

    def __init__(self, openai: Any, *, name: str) -> None:
        self.openai = openai
        self.clients: ClientPool[Any] = ClientPool(name, self._new_client, openai.AsyncOpenAI.close)
        self._stream_cls = _stream_cls(openai)

    def request_options(self, connection: Connection, *, own_key: bool = False) -> Any:
        """What each request needs so that the SDK sends the connection's key, or none.

        Args:
            connection: The connection.
            own_key: Whether the key is not the client's, and so goes with each request.
        """
        headers = Endpoint.of(connection).key_header(self.openai.Omit(), own_key=own_key)
        return {"headers": headers} if headers else {}

    async def stream(
        self,
        client: Any,
        request: Mapping[str, Any],
        options: Any,
        *,
        path: str = "/chat/completions",
    ) -> Any:
        """Ask for an answer and stream its chunks, as they come from JSON.

        The SDK's own method for it makes models of the request and of every chunk, which costs
        several times as much as all the rest and tells nothing more.

        Args:
            client: Sends the request.
            request: The body.
            options: Settings of this request.
            path: Of the protocol, behind the client's address.
        """
        return await client.post(
            path,
            cast_to=object,
            body=request,
            options=options,
            stream=True,
            stream_cls=self._stream_cls,
        )

    def _new_client(self, endpoint: Endpoint) -> Any:
        openai = self.openai
        settings = transport(openai, endpoint)
        client = openai.AsyncOpenAI(
            base_url=endpoint.base_url,
            api_key=endpoint.api_key or _NO_KEY,
            default_headers=endpoint.sent_headers("OPENAI_CUSTOM_HEADERS", openai.Omit()),
            timeout=settings["timeout"],
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(**settings),
        )
        # The SDK takes these from the environment; the connection alone says what is sent.
        client.organization = client.project = None
        if hasattr(client, "admin_api_key"):
            client.admin_api_key = None
        return client


def _stream_cls(openai: Any) -> Any:
    """A stream that is read to its end, which lets its connection serve the next request.

    Release 2 of the SDK stops at the end marker; release 3 reads on by itself.
    """
    stream = openai.AsyncStream[object]
    if not openai.__version__.startswith("2."):
        return stream

    class WholeStream(stream):  # type: ignore[misc,valid-type] # the SDK's, known when it runs
        async def _iter_events(self) -> AsyncIterator[Any]:
            events = super()._iter_events()
            async for event in events:
                if event.data.startswith("[DONE]"):
                    async for _ in events:
                        pass
                yield event

    return WholeStream
