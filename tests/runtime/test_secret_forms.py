"""Secrets are found in every form that they usually take."""

from __future__ import annotations

import json
import re
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from massgen_bridge.runtime.secret_forms import MASK, SecretForms

SECRET = 'sk-Abc/d+e=f"g ü1234567'  # noqa: S105 - a canary
PLAIN = SECRET.encode()

FORMS = {
    "as it is": SECRET,
    "in JSON": json.dumps({"key": SECRET}, ensure_ascii=False),
    "in ASCII JSON": json.dumps({"key": SECRET}),
    "in JSON in JSON": json.dumps(json.dumps([SECRET], ensure_ascii=False), ensure_ascii=False),
    "in a query": urlencode({"key": SECRET}),
    "in a path": quote(SECRET),
    "in a path, all escaped": quote(SECRET, safe=""),
    "escaped in lower case": re.sub("%..", lambda found: found[0].lower(), quote_plus(SECRET)),
    "in base64": b64encode(PLAIN).decode(),
    "in base64, one byte on": b64encode(b":" + PLAIN + b"tail").decode(),
    "in base64, two bytes on": b64encode(b"me" + PLAIN + b"a tail").decode(),
    "in base64 for URLs": urlsafe_b64encode(b"user:" + PLAIN).decode(),
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_a_secret_is_found(text: str) -> None:
    forms = SecretForms([SECRET])

    assert forms.found_in(json.dumps({"text": text}, ensure_ascii=False))
    assert MASK in forms.mask(text)
    assert not forms.found_in(json.dumps({"text": forms.mask(text)}, ensure_ascii=False))


@given(
    st.binary(max_size=5), st.text(st.characters(codec="utf-8"), min_size=6), st.binary(max_size=5)
)
def test_base64_hides_no_secret_wherever_it_stands(
    before: bytes, secret: str, after: bytes
) -> None:
    assume(len(secret.strip()) >= 6)
    text = b64encode(before + secret.strip().encode() + after).decode()

    assert SecretForms([secret]).mask(text) != text


def test_only_the_secret_goes() -> None:
    assert SecretForms(["abcdef"]).mask("xabcdefyabcdef") == f"x{MASK}y{MASK}"


def test_secrets_that_overlap_go_as_one() -> None:
    assert SecretForms(["abcdef", "defghi"]).mask("-abcdefghi-") == f"-{MASK}-"


def test_a_secret_within_another_leaves_nothing_of_the_longer_one() -> None:
    assert SecretForms(["cdefgh", "abcdefghij"]).mask("abcdefghij") == MASK


def test_each_line_of_a_key_in_several_lines_is_a_secret() -> None:
    key = "-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA\nshort\n-----END KEY-----\n"

    assert SecretForms([key]).mask("log: MIIEpAIBAAKCAQEA, short") == f"log: {MASK}, short"


def test_white_space_around_a_secret_does_not_count() -> None:
    assert SecretForms(["abcdef\n"]).mask("abcdef.") == f"{MASK}."


@pytest.mark.parametrize("secret", ["", "   ", "a", "12345"])
def test_what_is_too_short_is_no_secret(secret: str) -> None:
    assert not SecretForms([secret])


def test_no_secrets_are_found_nowhere() -> None:
    forms = SecretForms([])

    assert not forms
    assert not forms.found_in("anything")
    assert forms.unfinished("anything") == len("anything")


def test_media_lose_their_secrets_too() -> None:
    assert SecretForms(["abcdef"]).mask_data(b"\xff\x00abcdef\xff") == b"\xff\x00[secret]\xff"


@given(st.text("ab", max_size=12))
def test_the_beginning_of_a_secret_is_seen_at_the_end_of_a_text(text: str) -> None:
    secrets = ["abaabb", "bbabab"]
    expected = min(
        (
            len(text) - size
            for secret in secrets
            for size in range(1, len(secret))
            if text.endswith(secret[:size])
        ),
        default=len(text),
    )

    forms = SecretForms(secrets)
    # The other forms of these (base64) have other letters, mostly.
    assert forms.unfinished(text) == expected
    assert forms.may_go_on(text) or expected == len(text)
