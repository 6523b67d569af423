"""Whose certificates are trusted."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from massgen_bridge.certificates import trusted_certificates
from massgen_bridge.errors import ConfigError

CERTIFICATE = next((Path(__file__).parent / "docs").rglob("*.pem"))


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_bundle_of_any_usual_name_is_trusted(name: str) -> None:
    context = trusted_certificates({name: str(CERTIFICATE)})

    assert isinstance(context, ssl.SSLContext)
    assert len(context.get_ca_certs()) == 1
    assert isinstance(trusted_certificates({name: str(CERTIFICATE.parent)}), ssl.SSLContext)


def test_what_the_library_reads_by_itself_comes_first(tmp_path: Path) -> None:
    assert trusted_certificates({}) is True
    both = {"SSL_CERT_FILE": str(CERTIFICATE), "REQUESTS_CA_BUNDLE": str(tmp_path / "other.pem")}
    assert trusted_certificates(both) is True


@pytest.mark.parametrize("content", [None, "nothing"])
def test_a_variable_that_names_no_certificate_is_named(content: str | None, tmp_path: Path) -> None:
    file = tmp_path / "bundle.pem"
    if content is not None:
        file.write_text(content)

    with pytest.raises(ConfigError, match=r"CURL_CA_BUNDLE names .* no file of certificates"):
        trusted_certificates({"CURL_CA_BUNDLE": str(file)})
