"""Takes out of a report what is nobody's business: keys, paths of the machine, the user's name."""

from __future__ import annotations

import getpass
import re
import sysconfig
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import massgen_bridge
from massgen_bridge.runtime.secret_forms import MASK, SecretForms

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Scrubber", "secrets_in"]

_SECRET_NAME = re.compile(
    r"(?:^|[_-])(?:\w*KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?|AUTHORIZATION|COOKIE)(?:[_-]|$)",
    re.IGNORECASE,
)
_LOGIN = re.compile(r"(?<=://)[^\s/@:'\"<>]*:[^\s/@'\"<>]+(?=@)")
_POSIX_PATH = re.compile(r"(?<![\w.~…>-])/(?P<first>[^\s/:'\"<>()]+)(?:/[^\s/:'\"<>(),]+)+")
_WINDOWS_PATH = re.compile(r"(?<!\w)[A-Za-z]:\\+(?:[^\s\\:'\"<>|]+\\+)+")
# Names that many machines have, and that are ordinary words, too.
_NOBODY = frozenset({"admin", "agent", "app", "root", "runner", "test", "ubuntu", "user"})
_SHORTEST_NAME = 3
_KEPT_PARTS = 2


def secrets_in(settings: object, name: str = "") -> list[str]:
    """The texts in settings, or variables of the environment, whose names say that they are secret.

    Args:
        settings: A mapping, or what stands in one.
        name: Under which it stands there; what it holds is as secret as that says.
    """
    match settings:
        case str():
            return [settings] if _SECRET_NAME.search(name) else []
        case Mapping():
            held = [(f"{name}_{key}", value) for key, value in settings.items()]
        case list():
            held = [(name, value) for value in settings]
        case _:
            held = []
    return [secret for key, value in held for secret in secrets_in(value, key)]


class Scrubber:
    """Makes text fit to be published.

    Args:
        folder: The folder of what is tested; paths in it become relative to it.
        secrets: Values that must not be seen.
    """

    def __init__(self, folder: Path, secrets: Iterable[str]) -> None:
        self._secrets = SecretForms(secrets)
        known = {str(path): name for path, name in _places(folder) if len(path.parts) > 1}
        self._places = [
            (re.compile(rf"{re.escape(path)}(?:[/\\]|(?![\w.-]))"), name)
            for path, name in sorted(known.items(), key=lambda one: len(one[0]), reverse=True)
        ]
        user = _user()
        self._user = re.compile(rf"\b{re.escape(user)}\b") if user else None

    def __call__(self, text: str) -> str:
        """The text without them."""
        text = _LOGIN.sub(MASK, self._secrets.mask(text))
        for pattern, name in self._places:
            text = pattern.sub(name, text)
        text = _POSIX_PATH.sub(_short, text)
        text = _WINDOWS_PATH.sub(lambda _: "…\\", text)
        return text if self._user is None else self._user.sub("<user>", text)


def _places(folder: Path) -> Iterator[tuple[Path, str]]:
    """Folders, and what stands for them; the later ones count where two are the same."""
    yield Path.home(), "~/"
    yield Path(tempfile.gettempdir()).resolve(), "<tmp>/"
    for name in ("stdlib", "platstdlib", "purelib", "platlib"):
        yield Path(sysconfig.get_path(name)), ""
    yield Path(massgen_bridge.__file__).parents[1], ""
    yield Path.cwd(), ""
    yield folder.resolve(), ""


def _short(match: re.Match[str]) -> str:
    if not Path("/", match["first"]).exists():
        return match[0]  # a path of a URL, for example
    return "/".join(["…", *match[0].split("/")[-_KEPT_PARTS:]])


def _user() -> str | None:
    try:
        name = getpass.getuser()
    except (KeyError, OSError, ImportError):  # a user without a name
        return None
    return name if len(name) >= _SHORTEST_NAME and name.lower() not in _NOBODY else None
