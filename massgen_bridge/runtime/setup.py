"""What a run is made from, kept in its journal so that another process can go on with it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from massgen_bridge.budget import Budget
from massgen_bridge.config.source import Source, kept_source
from massgen_bridge.config.teams import path_of
from massgen_bridge.config.trust import content_hash
from massgen_bridge.errors import ConfigError, JournalError
from massgen_bridge.messages import Frozen
from massgen_bridge.models.addresses import within_url
from massgen_bridge.runtime.journal_file import read_setup
from massgen_bridge.runtime.secret_forms import SecretForms

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from massgen_bridge.config.models import RunConfig
    from massgen_bridge.plugins import PluginHost

__all__ = [
    "RunSetup",
    "TeamFile",
    "literal_secrets",
    "secret_variables",
    "setup_of",
    "setup_of_file",
]

_LIKE_A_KEY = 12
_SECRET_NAME = re.compile(r"auth|key$|passw|secret|token$|credential", re.IGNORECASE)


class TeamFile(Frozen):
    """The configuration of a team within, in a file of its own.

    Attributes:
        path: Where it is.
        text: What it says, byte for byte but for its secrets.
        digest: SHA-256 of the whole text, in hex.
        has_secrets: Whether secrets were taken out of the text.
    """

    path: str
    text: str
    digest: str
    has_secrets: bool = False

    def without(self, secrets: SecretForms) -> TeamFile:
        """The same without secrets."""
        text = secrets.mask(self.text)
        has_secrets = self.has_secrets or text != self.text
        return self.model_copy(update={"text": text, "has_secrets": has_secrets})


class RunSetup(Frozen):
    """What a run is made from.

    Attributes:
        text: The configuration, byte for byte but for its secrets; None where it cannot be
            written down, because ready objects take part.
        is_json: Whether that is JSON, not YAML.
        file: The file, as it was named.
        base_dir: The folder that paths in it are relative to.
        digest: SHA-256 of the whole text, in hex.
        content: A hash over the text and the files of code that it names.
        has_secrets: Whether secrets were taken out of the text.
        deadline_s: Longest run in seconds, as it was asked for.
        budget: What the run may use in all, as it was asked for.
        teams: The files of the teams within.
    """

    text: str | None = None
    is_json: bool = False
    file: str | None = None
    base_dir: str = "."
    digest: str = ""
    content: str = ""
    has_secrets: bool = False
    deadline_s: float | None = None
    budget: Budget = Budget()
    teams: tuple[TeamFile, ...] = ()

    def without(self, secrets: Iterable[str]) -> RunSetup:
        """The same without the values of keys that are in use."""
        forms = SecretForms(secrets)
        text = None if self.text is None else forms.mask(self.text)
        has_secrets = self.has_secrets or text != self.text
        teams = tuple(team.without(forms) for team in self.teams)
        return self.model_copy(update={"text": text, "has_secrets": has_secrets, "teams": teams})

    @property
    def path(self) -> Path | None:
        """The file, wherever the process stands."""
        return None if self.file is None else Path(self.base_dir) / Path(self.file).name

    @property
    def changed(self) -> tuple[str, ...]:
        """The files, as they are named, that are there and say something else by now."""
        files = [(self.file or "", self.path, self.digest)]
        files += [(Path(team.path).name, Path(team.path), team.digest) for team in self.teams]
        return tuple(
            name
            for name, path, digest in files
            if (now := _bytes_of(path)) is not None and sha256(now).hexdigest() != digest
        )

    def source(self) -> Source:
        """The configuration as it was when the run began.

        Raises:
            ConfigError: It cannot be had any more; the text says what to do.
        """
        if self.text is None:
            raise ConfigError(
                "this run is made of objects in a program: resume it there, with"
                " massgen_bridge.resume(run_id, team)"
            )
        text = self.text.encode()
        if self.has_secrets:
            text = _whole(self.path, self.digest)
        kept = {
            team.path: _whole(Path(team.path), team.digest)
            if team.has_secrets
            else team.text.encode()
            for team in self.teams
        }
        base_dir = Path(self.base_dir)
        source = kept_source(text, file=self.file, base_dir=base_dir, is_json=self.is_json)
        return replace(source, kept=kept)


def _whole(path: Path | None, digest: str) -> bytes:
    """What a file says, as long as that is what it said."""
    found = _bytes_of(path)
    if found is None or sha256(found).hexdigest() != digest:
        raise ConfigError(
            "the configuration of this run holds secrets, which are not kept, and it is no"
            f" longer to be had from {str(path or 'a file')!r}: name a file that says"
            " the same, with --config FILE (in Python: resume(run_id, config))"
        )
    return found


def _bytes_of(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError:
        return None


def setup_of(config: RunConfig, host: PluginHost, *, from_objects: bool = False) -> RunSetup:
    """What a run of a configuration is made from, less what it calls secret itself.

    Args:
        config: The checked configuration.
        host: Knows which options name code.
        from_objects: Whether objects of a program take part, which no file can name.
    """
    deadline_s = config.timeout_settings.orchestrator_timeout_seconds
    if from_objects:
        return RunSetup(deadline_s=deadline_s, budget=config.budget)
    source = config.source
    if source.text is None:
        text, is_json = json.dumps(source.data).encode(), True
    else:
        text, is_json = source.text, (source.file or "").endswith(".json")
    setup = RunSetup(
        text=text.decode(),
        is_json=is_json,
        file=source.file,
        base_dir=str(source.base_dir.absolute()),
        digest=sha256(text).hexdigest(),
        content=content_hash(config, host),
        deadline_s=deadline_s,
        budget=config.budget,
        teams=tuple(_team_files(config)),
    )
    return setup.without(
        value for one in config.tree() for value in _values(one.source.data, secret=False)
    )


def _team_files(config: RunConfig) -> Iterator[TeamFile]:
    """The files of the teams within, each once."""
    seen = {path_of(config.source)}
    for one in config.tree():
        path, text = path_of(one.source), one.source.text
        if path is not None and text is not None and path not in seen:
            seen.add(path)
            yield TeamFile(path=str(path), text=text.decode(), digest=sha256(text).hexdigest())


def secret_variables(environ: Mapping[str, str]) -> frozenset[str]:
    """The values of variables that by their names are secret; neither paths nor single words."""
    return frozenset(
        value
        for name, value in environ.items()
        if _SECRET_NAME.search(name) and len(value) >= _LIKE_A_KEY and not value.startswith("/")
    )


def literal_secrets(config: RunConfig) -> frozenset[str]:
    """What a configuration itself gives away: under names of secrets, and in addresses."""
    data = config.source.data
    addresses = (value for value in _addresses(data) if "${" not in value)
    return frozenset((*_values(data, secret=False), *(s for a in addresses for s in within_url(a))))


def setup_of_file(path: Path) -> RunSetup | None:
    """What the run of a journal is made from; None where that was not written down.

    Raises:
        JournalError: The file cannot be read.
    """
    text = read_setup(path)
    if text is None:
        return None
    try:
        return RunSetup.model_validate_json(text)
    except ValidationError as error:
        reason = str(error).partition("\n")[0]
        raise JournalError(
            f"what {str(path)!r} was made from cannot be read ({reason}): a newer massgen-bridge"
            " wrote it"
        ) from error


def _addresses(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _addresses(one)
    elif isinstance(value, str) and "://" in value:
        yield value


def _values(value: Any, *, secret: bool) -> Iterator[str]:
    """The texts under keys whose names say that they are secret."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from _values(one, secret=secret or bool(_SECRET_NAME.search(name)))
    elif isinstance(value, list):
        for one in value:
            yield from _values(one, secret=secret)
    elif secret and isinstance(value, str) and "${" not in value:
        yield value
