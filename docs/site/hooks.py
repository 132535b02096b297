"""Brings the pages of the repository's root into the site, and makes their links work there.

README.md is the site's start; CONTRIBUTING.md, CHANGELOG.md and benchmarks/RESULTS.md are pages, so is the notebook,
its cells one below the other. Links to other files
of the repository, which the site does not hold, become plain text.
"""

from __future__ import annotations

import json
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/RESULTS.md": "speed.md",
    "examples/quickstart.ipynb": "quickstart.md",
}
_LINK = re.compile(r"(?P<before>!?\[(?P<text>[^\]]*)\])\((?P<target>[^)\s#]+)(?P<anchor>#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that stand outside docs/."""
    for source, page in PAGES.items():
        if (ROOT / source).is_file():
            files.append(File.generated(config, page, content=read_page(ROOT / source)))
    return files


def read_page(path: Path) -> str:
    """Return a page of the repository's root as Markdown; of a notebook, its texts and its code."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return text
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(text)["cells"]]
    return "\n\n".join(f"```python\n{source}\n```" if kind == "code" else source for kind, source in cells)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links of a page to where the site has their targets."""
    sources = {page_name: source for source, page_name in PAGES.items()}
    here = sources.get(page.file.src_uri, f"docs/{page.file.src_uri}")

    def mend(link: re.Match[str]) -> str:
        target = link["target"]
        if re.match(r"[a-z]+:", target):
            return link[0]
        file = posixpath.normpath(posixpath.join(posixpath.dirname(here), target))
        name = PAGES.get(file, file.removeprefix("docs/") if file.startswith("docs/") else None)
        if name is None or files.get_file_from_path(name) is None:
            return link["text"] if (ROOT / file).exists() else link[0]
        relative = posixpath.relpath(name, posixpath.dirname(page.file.src_uri) or ".")
        return f"{link['before']}({relative}{link['anchor'] or ''})"

    return _LINK.sub(mend, markdown)
