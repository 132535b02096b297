"""docs/training.md against the settings."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from pcdet_poly.config.sections.train import TrainConfig

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "training.md"


def test_every_setting_is_described_with_its_default() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", PAGE.read_text(), flags=re.MULTILINE)
    described = {name: yaml.safe_load(default) for name, default in rows}
    assert described == TrainConfig().model_dump(mode="json")
