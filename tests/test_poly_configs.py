"""An ablation in configs/poly/ is its baseline with one line changed: the one that names epsilon."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pcdet_poly.config.load import load_config

FOLDER = Path(__file__).resolve().parent.parent / "configs" / "poly"
FILES = sorted(FOLDER.glob("*"))
BASELINES = {  # what a sweep's files are called -> what they change
    "centerpoint_pillar": "centerpoint_pillar",
    "pointpillars_pedestrian": "pointpillars_polyloss_pedestrian",
    "pointpillars_vehicle": "pointpillars_polyloss_vehicle",
}


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


@pytest.mark.parametrize("sweep", BASELINES)
def test_a_sweep_spans_what_the_papers_authors_advise(sweep: str) -> None:
    values = sorted(load_config(path).classification.epsilon for path in FOLDER.glob(f"{sweep}_eps*"))
    assert values == [-1, -0.8, -0.4, -0.2, 0.5, 1, 2]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_only_epsilon_differs_from_the_baseline(path: Path) -> None:
    baseline = FOLDER / yaml.safe_load(path.read_text())["base"]
    ours, theirs = (_flat(load_config(each).model_dump()) for each in (path, baseline))
    assert {key for key in ours if ours[key] != theirs[key]} == {"classification.epsilon"}
    assert theirs["classification.epsilon"] == 0


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_file_says_no_more_than_that(path: Path) -> None:
    written = yaml.safe_load(path.read_text())
    sweep = path.name.split("_eps")[0]
    assert written == {
        "base": f"../{BASELINES[sweep]}.yaml",
        "classification": {"epsilon": written["classification"]["epsilon"]},
    }
    epsilon = written["classification"]["epsilon"]
    assert path.name == f"{sweep}_eps{epsilon:g}.yaml"
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    assert [line for line in lines if "epsilon" in line] == [f"  epsilon: {epsilon}"]
    assert len(lines) == 3
