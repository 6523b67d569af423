"""Every page has a place in the site, and every link within the pages leads somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))


def placed(entry: object) -> Iterator[str]:
    """The pages of a part of the navigation."""
    if isinstance(entry, str):
        yield entry
        return
    assert isinstance(entry, dict | list)
    for one in entry.values() if isinstance(entry, dict) else entry:
        yield from placed(one)


def without_code(page: Path) -> str:
    return re.sub(r"^( *)```.*?^\1```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def addresses(page: Path) -> set[str]:
    """The addresses of a page's headings, as Python-Markdown makes them."""
    heads = re.findall(r"^#+ (.+)$", without_code(page), re.MULTILINE)
    plain = (re.sub(r"[^\w\s-]", "", head).strip().lower() for head in heads)
    return {re.sub(r"[-\s]+", "-", head) for head in plain}


def test_every_page_has_one_place_in_the_navigation() -> None:
    site = YAML(typ="safe").load(ROOT / ".mkdocs.yml")
    assert sorted(placed(site["nav"])) == sorted(one.relative_to(DOCS).as_posix() for one in PAGES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_links_lead_to_pages_and_headings(page: Path) -> None:
    links = re.findall(r"\]\(([^):\s]*\.md)?(?:#([^)\s]+))?\)", without_code(page))
    for file, heading in links:
        target = (page.parent / file).resolve() if file else page
        assert target.is_file(), file
        assert not heading or heading in addresses(target), f"{file}#{heading}"
