"""The forms in which a secret value can stand in text, and how to find and mask them."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["MASK", "SecretForms"]

MASK = "[secret]"

_SHORTEST = 6
_SHORTEST_LINE = 16


class SecretForms:
    """Every form of some secrets: as they are, as lines, in JSON, in URLs and in base64.

    A value of fewer than 6 characters is not looked for: masking it would shred ordinary text.

    Args:
        secrets: The values, in any order; surrounding white space does not count.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        values = {value for secret in secrets for value in _values(secret)}
        forms = {form for value in values for form in _forms(value)}
        self._texts = tuple(sorted(forms, key=len, reverse=True))
        self._encoded = tuple({*forms, *(_in_json(form) for form in forms)})
        self._data = {form: form.encode(errors="surrogatepass") for form in self._texts}
        self._longest = max(map(len, self._texts), default=0)
        self._by_first: dict[str, list[str]] = {}
        for form in self._texts:
            self._by_first.setdefault(form[0], []).append(form)
        self._pairs = {form[i : i + 2] for form in self._texts for i in range(len(form) - 1)}

    def __bool__(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self._texts)

    def found_in(self, encoded: str) -> bool:
        """Whether a secret stands in JSON text."""
        return any(form in encoded for form in self._encoded)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where secrets stand in `text`, in order; what overlaps is one span."""
        hits = sorted(hit for form in self._texts for hit in _hits(text, form))
        spans: list[tuple[int, int]] = []
        for start, end in hits:
            if spans and start < spans[-1][1]:
                spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
            else:
                spans.append((start, end))
        return spans

    def may_go_on(self, text: str) -> bool:
        """Whether the end of `text` looks like a piece of a secret: quick, and right in its no."""
        return text[-1:] in self._by_first or text[-2:] in self._pairs

    def unfinished(self, text: str) -> int:
        """Where the end of `text` may be the beginning of a secret; `len(text)` if nowhere."""
        best = len(text)
        if not self.may_go_on(text):
            return best
        lowest = max(0, best - self._longest + 1)
        for first, forms in self._by_first.items():
            at = text.find(first, lowest, best)
            while at != -1:
                rest = text[at:]
                if any(len(form) > len(rest) and form.startswith(rest) for form in forms):
                    best = at
                    break
                at = text.find(first, at + 1, best)
        return best

    def mask(self, text: str, mask: str = MASK) -> str:
        """`text` without its secrets."""
        pieces: list[str] = []
        after = 0
        for start, end in self.spans(text):
            pieces += (text[after:start], mask)
            after = end
        return "".join((*pieces, text[after:])) if pieces else text

    def mask_data(self, data: bytes, mask: str = MASK) -> bytes:
        """`data` without its secrets, which count in UTF-8."""
        for form in self._data.values():
            data = data.replace(form, mask.encode())
        return data


def _values(secret: str) -> Iterator[str]:
    """The value, and the lines of one that has several, such as a private key."""
    value = secret.strip()
    if len(value) >= _SHORTEST:
        yield value
    lines = [line.strip() for line in value.splitlines()]
    yield from (line for line in lines if len(line) >= _SHORTEST_LINE)


def _forms(value: str) -> Iterator[str]:
    yield value
    yield _in_json(value)
    yield _in_json(_in_json(value))
    yield json.dumps(value)[1:-1]
    for quoted in (quote(value, safe=""), quote(value), quote_plus(value)):
        yield quoted
        yield _lower_escapes(quoted)
    for form in _base64(value.encode(errors="surrogatepass")):
        yield form
        yield form.replace("+", "-").replace("/", "_")


def _base64(data: bytes) -> Iterator[str]:
    """What stays the same of `data` in base64, whatever stands before and after it."""
    for offset, spoilt in ((0, 0), (1, 2), (2, 3)):
        whole = b64encode(bytes(offset) + data).decode().rstrip("=")
        yield whole[spoilt:-1] if (offset + len(data)) % 3 else whole[spoilt:]


def _in_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _lower_escapes(quoted: str) -> str:
    head, *tails = quoted.split("%")
    return "%".join((head, *(tail[:2].lower() + tail[2:] for tail in tails)))


def _hits(text: str, form: str) -> Iterator[tuple[int, int]]:
    at = text.find(form)
    while at != -1:
        yield at, at + len(form)
        at = text.find(form, at + 1)
