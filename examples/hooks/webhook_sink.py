"""A sink that posts records to a webhook, as JSON.

It may be slow, fail, hang or be gone: a sink has a thread of its own, the run goes on, and what
could not be delivered is told. A receiver knows a record that comes twice by `run_id` and `seq`.
"""

from __future__ import annotations

import json
import os
import time
from http.client import HTTPException
from typing import TYPE_CHECKING, Self, get_args
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from pydantic import Field, field_validator, model_validator

from massgen_bridge import Event, NoOptions, Sink, SinkSpec, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from massgen_bridge import Record

TYPES = frozenset(one.model_fields["type"].default for one in get_args(get_args(Event)[0]))
MAY_PASS = frozenset({408, 425, 429, 500, 502, 503, 504})
FIRST_WAIT_S = 0.25


class WebhookOptions(NoOptions):
    """The keys beside `type: webhook`; what is secret is read from environment variables."""

    url: str | None = Field(default=None, description="Where to post.")
    url_variable: str | None = Field(
        default=None, description="In place of `url`: the environment variable that holds it."
    )
    header_variables: dict[str, str] = Field(
        default_factory=dict,
        description="Further headers: for each name the environment variable with its value.",
    )
    events: tuple[str, ...] = Field(
        default=("run_started", "answered", "voted", "turn_lost", "run_finished"),
        description="Types of the records to post.",
    )
    batch: int = Field(default=50, ge=1, description="Most records in one request.")
    attempts: int = Field(default=3, ge=1, description="Attempts at one request.")
    timeout_s: float = Field(default=5.0, gt=0, description="Seconds to wait for the webhook.")

    @field_validator("events")
    @classmethod
    def _known(cls, events: tuple[str, ...]) -> tuple[str, ...]:
        unknown = sorted(set(events) - TYPES)
        if unknown:
            raise ValueError(f"there are no records of type {', '.join(unknown)}")
        return events

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if (self.url is None) == (self.url_variable is None):
            raise ValueError("give either `url` or `url_variable`")
        return self


class Webhook:
    """Posts what it gets at once; while it waits, more records gather for the next request."""

    def __init__(self, options: WebhookOptions) -> None:
        self._options = options
        self._url = options.url or _value_of(options.url_variable or "")
        parts = urlsplit(self._url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("the webhook's url is no http or https address")
        # Told is the host alone: the rest of a webhook's address is often its secret.
        self._host = parts.hostname
        self._headers = {"Content-Type": "application/json"}
        for name, variable in options.header_variables.items():
            self._headers[name] = _value_of(variable)
        self._opener = build_opener(_NoRedirects)
        self._taken = self._lost = self._told = 0
        self._is_down = False
        self._problem = ""

    def write(self, records: Sequence[Record]) -> None:
        """Post the records of the chosen types; the first loss is told at once."""
        chosen = [record for record in records if record.event.type in self._options.events]
        for first in range(0, len(chosen), self._options.batch):
            self._deliver(chosen[first : first + self._options.batch])
        if self._lost and not self._told:
            self._told = self._lost
            raise ConnectionError(self._losses())

    def close(self) -> None:
        """Tell what was lost in all."""
        if self._lost > self._told:
            raise ConnectionError(self._losses())

    def _losses(self) -> str:
        return f"{self._lost} of {self._taken} records did not reach {self._host}: {self._problem}"

    def _deliver(self, records: Sequence[Record]) -> None:
        listed = [record.model_dump(mode="json") for record in records]
        body = json.dumps({"records": listed}).encode()
        self._taken += len(records)
        # A webhook that is down gets one attempt a request until it is back.
        for attempt in range(1 if self._is_down else self._options.attempts):
            if attempt:
                time.sleep(FIRST_WAIT_S * 2 ** (attempt - 1))
            outcome = self._post(body)
            self._is_down = outcome is not None
            if outcome is None:
                return
            self._problem, may_pass = outcome
            if not may_pass:
                break
        self._lost += len(records)

    def _post(self, body: bytes) -> tuple[str, bool] | None:
        """What went wrong, and whether it may pass."""
        request = Request(self._url, body, self._headers)  # noqa: S310 - its scheme is checked above
        try:
            self._opener.open(request, timeout=self._options.timeout_s).close()
        except HTTPError as error:
            error.close()
            return f"HTTP {error.code}", error.code in MAY_PASS
        except (OSError, HTTPException) as error:
            return str(getattr(error, "reason", "") or type(error).__name__), True
        return None


class _NoRedirects(HTTPRedirectHandler):
    """A redirect is an error: following it would drop the body and carry the headers elsewhere."""

    def redirect_request(self, *_arguments: object) -> None:
        """Follow none."""


def _value_of(variable: str) -> str:
    try:
        return os.environ[variable].strip()
    except KeyError:
        raise ValueError(f"the environment variable {variable!r} is not set") from None


def _create(options: WebhookOptions) -> Sink:
    return Webhook(options)


@hookimpl
def bridge_sinks() -> Iterable[SinkSpec]:
    """Register the sink `webhook`."""
    return [
        SinkSpec(
            name="webhook",
            summary="Posts records as JSON.",
            create=_create,
            options=WebhookOptions,
        )
    ]
