"""Whose certificates are trusted."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from massgen_bridge.errors import ConfigError
from massgen_bridge.models.certificates import trusted_certificates

CERTIFICATE = next((Path(__file__).parents[1] / "docs").rglob("*.pem"))


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


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE"])
def test_a_variable_that_names_nothing_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"{name} names .* does not exist"):
        trusted_certificates({name: str(tmp_path / "nothing.pem")})


def test_a_file_without_a_certificate_is_named(tmp_path: Path) -> None:
    file = tmp_path / "empty.pem"
    file.write_text("nothing")

    with pytest.raises(ConfigError, match=r"REQUESTS_CA_BUNDLE names .* no certificate"):
        trusted_certificates({"REQUESTS_CA_BUNDLE": str(file)})
