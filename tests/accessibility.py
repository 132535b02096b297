"""axe-core in a browser's page: what would keep somebody from using it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from benchmarks.chromium import Page


def find_axe() -> Path | None:
    """The script in a package that brings axe-core along; importing the package might ask for a driver of browsers."""
    for name in ("axe_playwright_python", "axe_core_python"):  # the newer axe-core first
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            return Path(spec.origin).parent / "axe.min.js"
    return None


AXE = find_axe()


def list_serious_issues(page: Page) -> list[str]:
    """Rule, element and advice of each serious or critical issue."""
    assert AXE is not None
    page.evaluate(f"{AXE.read_text(encoding='utf-8')};0")
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    assert len(found["passes"]) > 10  # axe has looked
    return [
        f"{one['id']}: {node['html'][:200]}: {node['failureSummary']}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]
