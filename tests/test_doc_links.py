"""The documentation hangs together: every page is in the site's table of contents, every link leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "benchmarks").glob("*.md")),
]
# [text](target) and ![text](target), but not in code.
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def read_without_code(page: Path) -> str:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "", text)


def list_anchors(page: Path) -> set[str]:
    """What headings are called in links: lower case, words joined by hyphens."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for target in LINK.findall(read_without_code(page)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in list_anchors(file)):
            broken.append(target)
    assert broken == []


def test_the_site_has_every_page_once() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    entries = re.findall(r"[\w/]+\.md", str(site["nav"]))
    assert len(entries) == len(set(entries))
    own = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    # Reports of studies are reached from studies/README.md.
    reports = {name for name in own if re.fullmatch(r"studies/\w+/report\.md", name)}
    added = {
        "index.md",
        "contributing.md",
        "changelog.md",
        "speed.md",
        "quickstart.md",
    }  # from the repository's root: docs/site/hooks.py
    assert set(entries) == (own - reports) | added
