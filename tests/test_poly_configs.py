"""Examples in configs/poly/ are their base with one line changed, epsilon; sweeps of epsilon hold all other values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pcdet_poly.config.load import load_config
from pcdet_poly.experiments.sweep.schema import list_trials, read_sweep

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
EXAMPLES = sorted((CONFIGS / "poly").iterdir())
ADVISED = {-1, -0.8, -0.4, -0.2, 0, 0.5, 1, 2}  # by the paper's authors, and the plain loss
SWEEPS = {  # file in configs/sweeps/ -> the setting that it moves, the configs that it starts from
    "epsilon_centerpoint": (
        "classification.epsilon",
        {"centerpoint_pillar", "centerpoint_voxel", "centerpoint_voxel_residual"},
    ),
    "epsilon_pointpillars": (
        "classification.epsilon",
        {"pointpillars_polyloss_vehicle", "pointpillars_polyloss_pedestrian"},
    ),
    "epsilon_rsn": ("classification.epsilon", {"rsn_vehicle_xl_3frames", "rsn_pedestrian_l_3frames"}),
    "epsilon_rsn_segmentation": (
        "model.segmentation.epsilon",
        {"rsn_vehicle_xl_3frames", "rsn_pedestrian_l_3frames"},
    ),
}


def _flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flatten(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


def _read(path: Path) -> dict[str, Any]:
    return _flatten(load_config(path).model_dump())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_only_epsilon_differs_from_the_base(path: Path) -> None:
    base = yaml.safe_load(path.read_text())["base"]
    ours, theirs = _read(path), _read(path.parent / base)
    assert {key for key in ours if ours[key] != theirs[key]} == {"classification.epsilon"}
    assert theirs["classification.epsilon"] == 0


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_name_tells_the_base_and_epsilon(path: Path) -> None:
    base, _, epsilon = path.stem.rpartition("_eps")
    written = yaml.safe_load(path.read_text())
    assert written == {"base": f"../{base}.yaml", "classification": {"epsilon": float(epsilon)}}


def test_there_is_at_most_one_example_of_a_detector() -> None:
    kinds = [load_config(path).model.kind for path in EXAMPLES]
    assert len(kinds) == len(set(kinds))


def test_no_sweep_of_epsilon_is_unknown_to_these_tests() -> None:
    found = {path.stem for path in (CONFIGS / "sweeps").glob("epsilon_*")}
    assert found - {"epsilon_x_weight"} == SWEEPS.keys()  # that one moves weight and learning rate, too


@pytest.mark.parametrize("name", SWEEPS)
def test_a_sweep_gives_every_detector_every_advised_epsilon_and_changes_nothing_else(name: str) -> None:
    key, bases = SWEEPS[name]
    path = CONFIGS / "sweeps" / f"{name}.yaml"
    sweep = read_sweep(path)
    assert {Path(file).stem for file in sweep.models.values()} == bases
    base_of = {detector: _read(path.parent / file) for detector, file in sweep.models.items()}
    found: dict[tuple[str, int], set[float]] = {}
    for trial in list_trials(sweep, path.parent):
        ours, theirs = _flatten(trial.config.model_dump()), base_of[trial.detector]
        changed = {key for key in ours if ours[key] != theirs[key]} - {"train.seed", "train.threads"}
        assert changed <= {key}
        assert trial.arm == f"epsilon{ours[key]:g}"
        found.setdefault((trial.detector, trial.seed), set()).add(ours[key])
    assert set(map(frozenset, found.values())) == {frozenset(ADVISED)}
    assert len(found) == len(bases) * len(sweep.seeds)
    assert sweep.baseline == "epsilon0"
