"""What MassGen calls an agent's backend: a kind of agent here, and a connection to a model."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from massgen_bridge.config.massgen_google import add_to_body
from massgen_bridge.config.massgen_types import (
    CONNECTION_KEYS,
    GROUPS,
    HOSTED_KEYS,
    LATER_KEYS,
    LOCAL_KEYS,
    MEANINGLESS_KEYS,
    SAME_KEYS,
    TYPES,
    BackendType,
)
from massgen_bridge.models.addresses import is_loopback
from massgen_bridge.models.providers import PROVIDERS, provider_for_url, trusted_hosts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_bridge.config.massgen_findings import Findings
    from massgen_bridge.config.source import KeyPath

__all__ = ["Translated", "translated"]


@dataclass(frozen=True, kw_only=True)
class Translated:
    """A backend in the current form.

    Attributes:
        backend: The agent's `backend`, without the name of its connection.
        connection: What stands for it under `models:`.
        own_provider: A name for the provider of its server, and what stands under `providers:`.
        written: For keys of the connection, the keys that lead to them in the file's backend.
        options: The same for keys of the backend.
        ballot: How the agent votes, where it is not as usual.
        within: Where in the file's backend the connection stands.
    """

    backend: Mapping[str, Any]
    connection: Mapping[str, Any]
    own_provider: tuple[str, Mapping[str, Any]] | None = None
    written: Mapping[KeyPath, KeyPath] = field(default_factory=dict)
    options: Mapping[str, KeyPath] = field(default_factory=dict)
    ballot: str | None = None
    within: KeyPath = ()


_PROVIDERS: Final = frozenset(one.name for one in PROVIDERS)
_SELF_HOSTED: Final = frozenset(one.name for one in PROVIDERS if not trusted_hosts(one))
_PICTURES: Final = frozenset({"image_path", "url"})
_NO_KEYS: Final = frozenset({"EMPTY", "lm-studio"})
"""What MassGen writes where a local server wants no key."""
_ELSEWHERE: Final = frozenset({"azure_endpoint", "base_url", "provider", "type"})
_THINKING: Final = frozenset({"budget_tokens", "type"})
_SHORT_SPOKEN: Final = re.compile(r"claude-3-(?!7)", re.IGNORECASE)
_SHORT: Final = 4096
"""What MassGen lets Claude write; beyond it, models of that age refuse some limits."""


def translated(
    backend: Mapping[str, Any],
    at: KeyPath,
    findings: Findings,
    *,
    kind: str,
    of: BackendType | None = None,
) -> Translated:
    """Bring a backend into the current form.

    Args:
        backend: What the file says.
        at: Where it stands there.
        findings: Gets what is to be told of it.
        kind: Its type, one of `TYPES`, or the kind of agent that it is for.
        of: What is known of it, where it is none of these types.
    """
    reading = _Backend(backend, at, findings, kind, of or TYPES[kind])
    reading.read()
    return reading.result()


class _Backend:
    def __init__(
        self,
        given: Mapping[str, Any],
        at: KeyPath,
        findings: Findings,
        kind: str,
        type_: BackendType,
    ) -> None:
        self._given = given
        self._at = at
        self._findings = findings
        self._kind = kind
        self._type = type_
        self._backend: dict[str, Any] = {"type": kind}
        self._connection: dict[str, Any] = {"provider": type_.provider}
        self._body: dict[str, Any] = {}
        self._own_provider: tuple[str, Mapping[str, Any]] | None = None
        self._written: dict[KeyPath, KeyPath] = {("provider",): ("type",)}
        self._options: dict[str, KeyPath] = {}

    def read(self) -> None:
        """Take over every key."""
        if self._type.protocol is not None:
            self._connection["protocol"] = self._type.protocol
        self._read_address()
        # What is written out as a whole comes first: single keys are added to it.
        for key in sorted(self._given, key=lambda one: not one.startswith("extra_")):
            if self._given[key] is not None and key not in _ELSEWHERE:
                self._read_key(key, self._given[key])
        self._complete()
        if self._body:
            # What is no mapping stays, to be refused.
            self._connection.setdefault("extra_body", self._body)

    def result(self) -> Translated:
        """What came of it."""
        searches = self._kind == "gemini" and self._options.keys() & self._type.hosted
        return Translated(
            backend=self._backend,
            connection=self._connection,
            own_provider=self._own_provider,
            written=self._written,
            options=self._options,
            # As MassGen does; with tools of the provider, not all models take those of a vote.
            ballot="schema" if searches else None,
        )

    def _read_key(self, key: str, value: Any) -> None:
        if key == "upload_files":
            self._backend[key] = _from_here(value)
        elif key == "api_key":
            is_none = isinstance(value, str) and value in _NO_KEYS
            if not (self._type.is_local and is_none):
                self._connection[key] = value
        elif key == "extra_body" and isinstance(value, dict):
            self._read_body(value)
        elif key in CONNECTION_KEYS:
            name = CONNECTION_KEYS[key]
            self._connection[name] = dict(value) if isinstance(value, dict) else value
            self._written[name,] = (key,)
        elif key in LATER_KEYS:
            if value:
                self._findings.later.append((*self._at, key))
        elif key in HOSTED_KEYS:
            self._read_hosted(key, value)
        elif key in MEANINGLESS_KEYS:
            self._dropped(key)
        else:
            self._read_other(key, value)

    def _read_hosted(self, key: str, value: Any) -> None:
        if value is False:
            return
        if HOSTED_KEYS[key] in self._type.hosted:
            self._option(HOSTED_KEYS[key], value, key)
        else:
            self._dropped(key)

    def _read_other(self, key: str, value: Any) -> None:
        """Take over what some types know; the rest is passed on."""
        group = GROUPS.get(key) if self._type.protocol == "responses" else None
        if group is not None and isinstance(value, dict) and value.keys() <= group.keys():
            for name, one in value.items():
                if one is not None:
                    self._option(group[name], one, key, name)
        elif key in SAME_KEYS and self._kind in TYPES and self._type.protocol is not None:
            self._option(key, value, key)
        elif key == "search_parameters" and self._kind == "grok":
            self._search(value, key)
        elif key == "betas" and self._kind == "claude" and isinstance(value, list):
            self._read_betas(value)
        elif key == "thinking" and self._kind == "claude" and _is_thinking(value):
            tokens = value.get("budget_tokens")
            # One option, of which the limit of the output knows.
            self._option(key, tokens if value["type"] == "enabled" else value["type"], key)
        elif key == "top_k" or (key in LOCAL_KEYS and self._type.is_local):
            self._send(key, value)
        else:
            self._findings.passed.append((*self._at, key))
            self._send(key, value)

    def _read_body(self, body: Mapping[str, Any]) -> None:
        for key, value in body.items():
            if key == "search_parameters" and self._kind == "grok":
                self._search(value, "extra_body", key)
            else:
                self._body[key] = dict(value) if isinstance(value, dict) else value
                self._written["extra_body", key] = ("extra_body", key)

    def _search(self, value: Any, *keys: str) -> None:
        self._findings.retired.append((*self._at, *keys))
        if not (isinstance(value, dict) and value.get("mode") == "off"):
            self._option("web_search", True, *keys)  # noqa: FBT003 - any value

    def _read_betas(self, betas: list[Any]) -> None:
        """What Anthropic's SDK takes beside a request; the names go into a header."""
        headers = self._connection.setdefault("headers", {})
        if isinstance(headers, dict):
            headers["anthropic-beta"] = ",".join(map(str, betas))
            self._written["headers", "anthropic-beta"] = ("betas",)

    def _send(self, key: str, value: Any) -> None:
        if self._kind == "gemini":
            add_to_body(self._body, key, value)
            return
        self._body[key] = value
        self._written["extra_body", key] = (key,)

    def _option(self, name: str, value: Any, *written: str) -> None:
        self._backend[name] = value
        self._options[name] = written

    def _dropped(self, key: str) -> None:
        self._findings.dropped.append((*self._at, key))

    def _complete(self) -> None:
        """Say of the connection what the file only implies."""
        model = self._connection.get("model")
        if self._kind == "claude" and isinstance(model, str) and _SHORT_SPOKEN.match(model):
            self._connection.setdefault("max_output_tokens", _SHORT)
        is_known = self._own_provider is None and self._connection["provider"] not in _SELF_HOSTED
        if not is_known and _has_pictures(self._given.get("upload_files")):
            # Nobody knows the model but the file's author, who means it to see them.
            self._connection["inputs"] = ["image"]

    # --- the server ------------------------------------------------------------------------------

    def _read_address(self) -> None:
        """Say who serves the model: no key goes to a host that it does not belong to."""
        key = "azure_endpoint" if "azure_endpoint" in self._given else "base_url"
        url, named = self._given.get(key), self._given.get("provider")
        if url is None:
            is_known = isinstance(named, str) and named in _PROVIDERS
            if is_known and self._kind in {"chatcompletion", "inference"}:
                self._connection["provider"] = named
                self._written["provider",] = ("provider",)
            elif named is not None:
                self._dropped("provider")
            return
        if named is not None:
            self._dropped("provider")
        self._written["base_url",] = (key,)
        if self._type.provider == "azure" and isinstance(url, str):
            url = _of_azure(url)
        self._connection["base_url"] = url
        host = _host(url)
        if host is None:
            return
        owner = provider_for_url(url, PROVIDERS)
        if owner is not None:
            self._connection["provider"] = owner.name
        elif self._kind not in {"ag2_classic", "chatcompletion"}:
            return
        elif is_loopback(url):
            self._connection["provider"] = "vllm"
        else:
            # A row of its own: the usual keys stay here, and no price is taken for granted.
            del self._connection["base_url"]
            name = re.sub(r"[^a-z0-9]", "-", host)
            row = {"base_url": url, "protocol": "chat"}
            self._own_provider = (f"at-{name}"[:60], row)


def _of_azure(url: str) -> str:
    """The address of Azure's API of today, which needs no version."""
    url = url.rstrip("/")
    return url if url.endswith("/v1") else f"{url.partition('/openai')[0].rstrip('/')}/openai/v1"


def _host(url: Any) -> str | None:
    try:
        return urlsplit(url).hostname if isinstance(url, str) else None
    except ValueError:  # told where the connection is checked
        return None


def _from_here(uploads: Any) -> Any:
    """Files as MassGen finds them: from the folder that it is started in.

    Those that are not there are looked for from the configuration's folder, as elsewhere.
    """
    if not isinstance(uploads, list):
        return uploads
    return [
        {key: _path_from_here(value) for key, value in one.items()}
        if isinstance(one, dict)
        else one
        for one in uploads
    ]


def _has_pictures(uploads: Any) -> bool:
    entries = uploads if isinstance(uploads, list) else []
    return any(isinstance(one, dict) and one.keys() & _PICTURES for one in entries)


def _path_from_here(value: Any) -> Any:
    if not isinstance(value, str) or "://" in value:
        return value
    path = Path(value)
    try:
        return str(path.absolute()) if path.is_file() else value
    except OSError:  # such as a name that is too long; told where it is read
        return value


def _is_thinking(value: Any) -> bool:
    """Whether it says how Claude thinks, and nothing else."""
    return isinstance(value, dict) and "type" in value and value.keys() <= _THINKING
