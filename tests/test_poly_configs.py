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
    "centerpoint_voxel": "centerpoint_voxel",
    "centerpoint_voxel_residual": "centerpoint_voxel_residual",
    "pointpillars_pedestrian": "pointpillars_polyloss_pedestrian",
    "pointpillars_vehicle": "pointpillars_polyloss_vehicle",
    "rsn_pedestrian": "rsn_pedestrian_l_3frames",
    "rsn_pedestrian_segmentation": "rsn_pedestrian_l_3frames",
    "rsn_vehicle": "rsn_vehicle_xl_3frames",
    "rsn_vehicle_segmentation": "rsn_vehicle_xl_3frames",
}


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


def _key(sweep: str) -> str:
    """The setting that a sweep changes: RSN has two classification losses."""
    return "model.segmentation.epsilon" if sweep.endswith("_segmentation") else "classification.epsilon"


@pytest.mark.parametrize("sweep", BASELINES)
def test_a_sweep_spans_what_the_papers_authors_advise(sweep: str) -> None:
    values = sorted(_flat(load_config(path).model_dump())[_key(sweep)] for path in FOLDER.glob(f"{sweep}_eps*"))
    assert values == [-1, -0.8, -0.4, -0.2, 0.5, 1, 2]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_only_epsilon_differs_from_the_baseline(path: Path) -> None:
    baseline = FOLDER / yaml.safe_load(path.read_text())["base"]
    ours, theirs = (_flat(load_config(each).model_dump()) for each in (path, baseline))
    key = _key(path.name.split("_eps")[0])
    assert {key for key in ours if ours[key] != theirs[key]} == {key}
    assert theirs[key] == 0


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_file_says_no_more_than_that(path: Path) -> None:
    written = _flat(yaml.safe_load(path.read_text()))
    sweep = path.name.split("_eps")[0]
    epsilon = written.pop(_key(sweep))
    assert written == {"base": f"../{BASELINES[sweep]}.yaml"}
    assert path.name == f"{sweep}_eps{epsilon:g}.yaml"
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    assert [line.strip() for line in lines if "epsilon" in line] == [f"epsilon: {epsilon}"]
    assert len(lines) == 2 + _key(sweep).count(".")
