"""What a worker process finds around it: variables of the environment, and folders of its own.

A worker runs foreign code, and needs no key: models are reached by way of the host. So it gets the
variables in a list and those that its configuration names, and nothing else.
"""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from massgen_bridge.folders import cache_path
from massgen_bridge.models.addresses import no_proxy_for_loopback

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Surroundings", "worker_variables"]

_PASSED_ON: Final = (
    # the machine and its user, as far as programs need them
    "LANG",
    "LANGUAGE",
    "LOGNAME",
    "PATH",
    "SHELL",
    "TERM",
    "TZ",
    "USER",
    # where libraries and their devices are
    "CUDA_HOME",
    "CUDA_VISIBLE_DEVICES",
    "DYLD_FALLBACK_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "HIP_VISIBLE_DEVICES",
    "LD_LIBRARY_PATH",
    "MKL_NUM_THREADS",
    "NVIDIA_VISIBLE_DEVICES",
    "OMP_NUM_THREADS",
    "PYTHONHOME",
    "ROCR_VISIBLE_DEVICES",
    # the way out: proxies and certificates
    "ALL_PROXY",
    "CURL_CA_BUNDLE",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NODE_EXTRA_CA_CERTS",
    "NO_PROXY",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
)
_PASSED_ON_PREFIX: Final = "LC_"

_SET: Final = {
    # Nothing is told to the makers of a framework, and it asks them for nothing.
    "ANONYMIZED_TELEMETRY": "False",
    "AUTOGEN_TRACING_ENABLED": "false",
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_DISABLE_VERSION_CHECK": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "LANGCHAIN_TRACING_V2": "false",
    "LANGSMITH_TRACING": "false",
    "OTEL_SDK_DISABLED": "true",
    # What is printed is told at once, whole and without colours.
    "NO_COLOR": "1",
    "PYTHONIOENCODING": "utf-8:backslashreplace",
    "PYTHONUNBUFFERED": "1",
}


def worker_variables(environ: Mapping[str, str], named: Iterable[str] = ()) -> dict[str, str]:
    """The environment variables of a worker, but for its folders.

    Args:
        environ: The host's.
        named: Names of others that it gets where the host has them; they win.
    """
    passed = {
        name: value
        for name, value in environ.items()
        if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIX)
    }
    chosen = {name: environ[name] for name in named if name in environ}
    return {**passed, **no_proxy_for_loopback(passed), **_SET, **chosen}


class Surroundings:
    """The folders of one worker process, and the variables that lead there.

    Its home and its temporary files are its own and go with it. What programs keep to themselves
    to be faster next time, such as models that they have downloaded, is shared by the workers of a
    kind and stays.

    Attributes:
        private: The folder that goes with the worker.
        variables: The variables.
    """

    def __init__(self, kind: str) -> None:
        self.private = Path(tempfile.mkdtemp(prefix="massgen-bridge-"))
        home, temporary = self.private / "home", self.private / "tmp"
        cache = cache_path() / "workers" / kind
        for folder in (home, temporary, cache):
            folder.mkdir(parents=True, exist_ok=True)
        # Many look below the home, whatever the variable says.
        with suppress(OSError):
            (home / ".cache").symlink_to(cache, target_is_directory=True)
        self.variables = {
            "HOME": str(home),
            "TEMP": str(temporary),
            "TMP": str(temporary),
            "TMPDIR": str(temporary),
            "XDG_CACHE_HOME": str(cache),
            "XDG_CONFIG_HOME": str(home / ".config"),
            "XDG_DATA_HOME": str(home / ".local" / "share"),
            "XDG_STATE_HOME": str(home / ".local" / "state"),
        }
