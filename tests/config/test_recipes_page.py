"""docs/recipes.md says what the configs are: every value of its tables is that of the config."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from pcdet_poly.config.load import load_config

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/recipes.md").read_text(encoding="utf-8")
PAIR = re.compile(r"`(published/\w+\.yaml)` beside `(\w+\.yaml)`")
ROW = re.compile(r"^\| .+ \| `([a-z0-9_.]+)` \| `(.+?)` \| (?:`(.+)`|the same) \|$", re.MULTILINE)
# The files of that folder that others start from, or that add nothing but the number of frames.
WITHOUT_TABLE = {"pillars", "centerpoint_pillar_100"}


def list_rows() -> list[tuple[str, str, str, str, str]]:
    """Published file, our file, setting, and the value in each as the page has it."""
    rows = []
    for section in PAGE.split("\n## "):
        if found := PAIR.search(section):
            for setting, published, ours in ROW.findall(section):
                rows.append((found[1], found[2], setting, published, ours or published))
    return rows


@cache
def load_values(file: str) -> dict[str, Any]:
    return load_config(ROOT / "configs" / file).model_dump(mode="json")


def look_up(file: str, setting: str) -> Any:
    value: Any = load_values(file)
    for name in setting.split("."):
        value = value[name]
    return value


@pytest.mark.parametrize("row", list_rows(), ids=lambda row: f"{Path(row[0]).stem}-{row[2]}")
def test_the_values_are_those_of_the_configs(row: tuple[str, str, str, str, str]) -> None:
    published_file, our_file, setting, published, ours = row
    assert yaml.safe_load(published) == look_up(published_file, setting)
    assert yaml.safe_load(ours) == look_up(our_file, setting)


def test_every_line_of_a_table_is_read_and_every_recipe_has_a_table() -> None:
    lines = [line for line in PAGE.splitlines() if re.match(r"\| (?!OpenPCDet \||CenterPoint \||PillarNeXt \|)", line)]
    assert len(lines) == len(list_rows()) > 100
    recipes = {path.stem for path in (ROOT / "configs/published").glob("*.yaml")}
    assert {Path(row[0]).stem for row in list_rows()} == recipes - WITHOUT_TABLE


def test_only_published_files_quote_the_peers_ap() -> None:
    for path in (ROOT / "configs").glob("*.yaml"):
        assert not re.search(r"as .+ reports it", path.read_text(encoding="utf-8")), path.name
