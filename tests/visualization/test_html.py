"""Pages whose names try to break out of their place."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import numpy as np
import pytest

from pcdet_poly.visualization.html import build_html_page, escape_json, escape_text

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "<!-- <SCRIPT src=//x>",
    "-->",
    "]]>",
    "</title><h1>",
    "</style>",
    "a\u2028b\u2029c",
    '" onload="alert(1)',
    "'&lt;&amp;&#60;",
    "/*DATA*/ /*SCRIPT*/ /*TITLE*/",
    "\\u003c \\\\ \\1 \\g<0>",
    "caf\u00e9 \U0001f697 \u202e",
)
UNPRINTABLE = ("half \ud83d", "nul \x00 bell \x07 delete \x7f")  # what no page can hold as it is


class PageReader(HTMLParser):
    """What a page consists of: the text of each element that holds one, and all tags."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.texts: dict[str, list[str]] = {}
        self.inside: str | None = None
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(attrs)))
        self.texts.setdefault(tag, []).append("")
        self.inside = tag

    def handle_endtag(self, tag: str) -> None:
        self.inside = None

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.texts[self.inside][-1] += data


def read_page(name: str) -> PageReader:
    data = {"name": name, name: [name, {"list": [name]}]}
    return PageReader(build_html_page("pcdet_poly.visualization.viewer", ["viewer.js"], title=name, data=data))


@pytest.mark.parametrize("name", [*HOSTILE, *UNPRINTABLE, "".join(HOSTILE)])
def test_a_page_has_the_same_elements_whatever_names_are_in_it(name: str) -> None:
    page, harmless = read_page(name), read_page("name")
    assert page.tags == harmless.tags
    data, script = page.texts["script"]
    assert json.loads(data) == {"name": name, name: [name, {"list": [name]}]}
    assert script == harmless.texts["script"][1]
    assert page.texts["style"] == harmless.texts["style"]
    assert not set(data) & set("<>&\u2028\u2029"), "no state of a browser's parser begins without one of them"


@pytest.mark.parametrize("name", HOSTILE)
def test_the_title_is_the_name(name: str) -> None:
    assert read_page(name).texts["title"] == [name]


@pytest.mark.parametrize("name", UNPRINTABLE)
def test_a_title_that_no_page_can_hold_shows_what_was_lost(name: str) -> None:
    shown = escape_text(name)
    shown.encode("utf-8")
    assert "\ufffd" in shown
    assert not any(ord(letter) < 32 for letter in shown)


@pytest.mark.parametrize("seed", range(20))
def test_any_text_survives(seed: int) -> None:
    """Characters at random, half of them from those that mean something to a parser."""
    rng = np.random.default_rng(seed)
    points = np.where(
        rng.random(200) < 0.5, rng.choice([ord(c) for c in "<>&/!-'\"script]\\"], 200), rng.integers(0, 0xD800, 200)
    )
    text = "".join(map(chr, points))
    assert json.loads(escape_json(text)) == text
    assert not set(escape_json(text)) & set("<>&")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_json_lacks_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        escape_json([value])
