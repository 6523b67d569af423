"""Whose certificates are trusted: what the environment says, under any of its usual names."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING

from massgen_bridge.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["trusted_certificates"]

# The HTTP libraries of the SDKs read the first two by themselves, and know none of the others.
_KNOWN = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_OTHERS = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def trusted_certificates(environ: Mapping[str, str] | None = None) -> ssl.SSLContext | bool:
    """What an HTTP client gets as `verify`.

    `SSL_CERT_FILE` and `SSL_CERT_DIR` count first; `REQUESTS_CA_BUNDLE` and then
    `CURL_CA_BUNDLE`, each a file or a folder, only where neither of them is set.

    Args:
        environ: The environment variables; those of this process by default.

    Returns:
        True where the library finds out by itself.

    Raises:
        ConfigError: One of the last two names something that holds no certificate.
    """
    environ = os.environ if environ is None else environ
    if any(environ.get(name) for name in _KNOWN):
        return True
    name = next((name for name in _OTHERS if environ.get(name)), None)
    return True if name is None else _context(name, environ[name])


def _context(name: str, path: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=path)
    except OSError as error:  # an SSLError is one, too
        if os.path.isdir(path):  # noqa: PTH112 - any text may stand in a variable
            return ssl.create_default_context(capath=path)
        raise ConfigError(
            f"the environment variable {name} names {path!r}, which is no file of certificates in "
            f"PEM form ({error}); correct it, or unset it"
        ) from error
