"""Trust: code that a configuration names runs only once somebody has allowed exactly this content.

What is allowed is kept by a hash over the configuration's bytes and the files that it names first.
What those files import in turn is not part of it: trusting a file is trusting what it does.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from massgen_bridge.config.load import activate, load_config
from massgen_bridge.config.source import KeyPath, dotted
from massgen_bridge.errors import BridgeError, TrustRequired
from massgen_bridge.plugins import source_files

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_bridge.config.models import RunConfig
    from massgen_bridge.config.source import Source
    from massgen_bridge.plugins import PluginHost

__all__ = [
    "CodeReference",
    "code_references",
    "content_hash",
    "is_trusted",
    "open_config",
    "require",
    "trust",
    "trust_file",
]

FOLDER_VARIABLE = "MASSGEN_BRIDGE_CONFIG"
_FORM = 1


@dataclass(frozen=True, kw_only=True)
class CodeReference:
    """A place in a configuration that imports code.

    Attributes:
        path: The keys that lead to it; into the file of a team by the `config` that names it.
        reference: What it names: a module, a file, or an attribute of one.
        files: The files that importing it runs first, as far as they can be found without that.
    """

    path: KeyPath
    reference: str
    files: tuple[Path, ...]

    def __str__(self) -> str:
        return f"{dotted(self.path)} imports {self.reference!r}"


def code_references(config: RunConfig, host: PluginHost) -> tuple[CodeReference, ...]:
    """Every place in a configuration that imports code; nothing is imported to find them."""
    return tuple(
        CodeReference(path=path, reference=reference, files=source_files(reference, base_dir))
        for path, reference, base_dir in [*_references(config, host)]
    )


def _references(
    config: RunConfig, host: PluginHost, at: KeyPath = ()
) -> Iterator[tuple[KeyPath, str, Path]]:
    """Each reference with its path from the outermost file and the folder that it starts from."""
    for path, reference in _own_references(config, host):
        yield (*at, *path), reference, config.base_dir
    for index, agent in enumerate(config.agents):
        team = config.teams.get(agent.id)
        if team is not None:
            named = () if agent.backend.options.get("config") is None else ("config",)
            yield from _references(team, host, (*at, "agents", index, "backend", *named))


def _own_references(config: RunConfig, host: PluginHost) -> Iterator[tuple[KeyPath, str]]:
    for index, plugin in enumerate(config.plugins):
        yield ("plugins", index), plugin
    for index, agent in enumerate(config.agents):
        try:
            names = host.adapter(agent.backend.type).imports_code
        except BridgeError:  # its kind comes from a plugin that is not loaded yet
            continue
        for name in names:
            path = ("agents", index, "backend", name)
            yield from _texts(agent.backend.options.get(name), path)


def _texts(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _texts(one, (*path, key))
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from _texts(one, (*path, index))


def content_hash(config: RunConfig, host: PluginHost) -> str:
    """A hash over a configuration, those of the teams in it, and the files that it names first."""
    return _content_hash(config, code_references(config, host))


def trust_file() -> Path:
    """Where trusted content is remembered; `MASSGEN_BRIDGE_CONFIG` names another folder."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder:
        return Path(folder) / "trust.json"
    from platformdirs import user_config_path  # noqa: PLC0415 - where no folder is given

    return user_config_path("massgen-bridge") / "trust.json"


def is_trusted(config: RunConfig, host: PluginHost) -> bool:
    """Whether a configuration may import what it names.

    True where it names no code, where it came as values from Python, and where this very content
    was trusted before.
    """
    references = code_references(config, host)
    if not references or config.source.text is None:
        return True
    return _content_hash(config, references) in _read()


def trust(config: RunConfig, host: PluginHost) -> None:
    """Remember the present content of a configuration and of the code that it names as trusted.

    Raises:
        OSError: It cannot be written down.
    """
    _remember(config, code_references(config, host))


def require(
    config: RunConfig,
    host: PluginHost,
    *,
    trust: bool = False,
    ask: Callable[[Sequence[CodeReference]], bool] | None = None,
) -> None:
    """See to it that a configuration may import what it names.

    Args:
        config: The configuration.
        host: Knows which options name code.
        trust: Allow it this once, without asking and without remembering.
        ask: Asks a person; after a yes, this content is never asked about again.

    Raises:
        TrustRequired: Nobody allows it; the text lists what would be imported.
    """
    if trust or is_trusted(config, host):
        return
    references = code_references(config, host)
    if ask is not None and ask(references):
        with suppress(OSError):  # it was allowed all the same; the next run asks again
            _remember(config, references)
        return
    listed = ", ".join(str(one) for one in references)
    raise TrustRequired(
        f"this configuration imports code that nobody has allowed yet: {listed}; look at it, then"
        " allow it with --trust (in Python: trust=True)",
        file=config.file,
    )


def open_config(
    source: Path | str | bytes | Mapping[str, Any] | Source,
    host: PluginHost,
    *,
    trust: bool = False,
    ask: Callable[[Sequence[CodeReference]], bool] | None = None,
) -> RunConfig:
    """Load a configuration, ask for trust, import its plugins, check the rest: ready to run.

    The code that agents name is not imported yet, but it is allowed.

    Raises:
        InvalidConfig: Something is wrong with it.
        ConfigError: It cannot be read, or one of its plugins is broken.
        TrustRequired: It imports code that nobody has allowed.
    """
    config = load_config(source, host)
    require(config, host, trust=trust, ask=ask)
    if any(one.plugins for one in config.tree()):
        config = activate(config, host)
        # Options of kinds that these plugins brought may name code as well.
        require(config, host, trust=trust, ask=ask)
    return config


def _remember(config: RunConfig, references: Sequence[CodeReference]) -> None:
    content = _content_hash(config, references)
    _write({**_read(), content: {"file": config.file, "at": round(time.time())}})


def _content_hash(config: RunConfig, references: Sequence[CodeReference]) -> str:
    digest = hashlib.sha256()
    parts = [b"massgen-bridge trust 1", config.source.text or b""]
    parts += [one.source.text or b"" for one in config.tree() if one.file != config.file]
    for one in references:
        parts.append(f"{dotted(one.path)}\0{one.reference}".encode(errors="surrogateescape"))
        parts += [_bytes_of(path) for path in one.files]
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _read() -> dict[str, Any]:
    try:
        content = json.loads(trust_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not there, or damaged: nothing is trusted
        return {}
    known = content.get("trusted") if isinstance(content, dict) else None
    return known if isinstance(known, dict) else {}


def _write(trusted: Mapping[str, Any]) -> None:
    path = trust_file()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    text = json.dumps({"version": _FORM, "trusted": trusted}, indent=2)
    # A temporary file is made with mode 0600; replacing is atomic.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".trust-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text + "\n")
        Path(name).replace(path)
    except BaseException:  # stopped, too: nobody else knows the temporary file
        Path(name).unlink(missing_ok=True)
        raise
