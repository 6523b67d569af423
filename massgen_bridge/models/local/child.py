"""The process that serves the local model; `server.py` starts it by path.

It is a process of its own because llama.cpp's threads starve an event loop, and because killing
it frees everything. It imports nothing of massgen_bridge, so that it is ready sooner.

Protocol: one JSON line of settings on stdin; one JSON line with the URL on stdout when the model
is loaded; the end of stdin ends the process.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
from typing import IO, Any

__all__ = ["main"]

_PR_SET_PDEATHSIG = 1
_ERRORS_ONLY = 1


def main() -> None:
    """Serve until stdin ends."""
    protocol = _private_stdout()
    _die_with_parent()
    with os.fdopen(0, "rb", buffering=0, closefd=False) as stdin:
        settings = json.loads(stdin.readline())
        # Started before the model is loaded: the parent may go while it loads.
        watch = threading.Thread(target=_exit_at_end, args=(stdin,), daemon=True)
        watch.start()
        server = _serve(settings)
        os.write(protocol, json.dumps({"url": server.listening_address}).encode() + b"\n")
        os.close(protocol)
        watch.join()


def _private_stdout() -> int:
    """Keep stdout for the protocol; whatever C++ prints goes to stderr."""
    protocol = os.dup(1)
    os.dup2(2, 1)
    return protocol


def _die_with_parent() -> None:
    """Let the kernel kill this process should its parent be killed; stdin is the other way."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _exit_at_end(stdin: IO[bytes]) -> None:
    while stdin.read(4096):
        pass
    # Nothing here is worth an orderly end, which takes llama.cpp seconds.
    os._exit(0)


def _serve(settings: dict[str, Any]) -> Any:
    # Imported late: by now the parent's end is being watched.
    import xllamacpp  # type: ignore[import-untyped]  # noqa: PLC0415  # see above

    params = xllamacpp.CommonParams()
    params.model.path = settings["weights"]
    params.model_alias = {settings["model"]}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = settings["slots"]
    params.n_ctx = settings["slots"] * settings["context_per_slot"]
    params.n_predict = settings["default_max_tokens"]
    params.cpuparams.n_threads = settings["threads"]
    params.cpuparams_batch.n_threads = settings["threads"]
    params.use_jinja = True
    params.api_keys = [settings["api_key"]]
    # An empty origin matches none: no web page may read an answer.
    params.cors_origins = ""
    params.cors_credentials = False
    params.ui = False
    params.endpoint_slots = False
    params.endpoint_metrics = False
    params.endpoint_props = False
    # Each slot keeps its own last prompt; the shared store beside it takes up to 8 GB otherwise.
    params.cache_ram_mib = 0
    # Nothing is to be fitted to the machine in silence: the slots are what was asked for.
    params.fit_params = False
    params.verbosity = _ERRORS_ONLY
    try:
        return xllamacpp.Server(params)
    except RuntimeError:
        # llama.cpp has said why on stderr; a traceback would push that out of sight.
        sys.exit(1)


if __name__ == "__main__":
    main()
