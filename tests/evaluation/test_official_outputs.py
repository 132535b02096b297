"""Every value equal to what Waymo's own op gave."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pcdet_poly.config.sections.evaluation import MetricsConfig
from pcdet_poly.evaluation import Evaluator, evaluate_set
from pcdet_poly.evaluation.box_tables import EvaluationSet
from pcdet_poly.evaluation.evaluator import resolve_cutoffs
from pcdet_poly.evaluation.files.flat_arrays import build_set_of_arrays, read_flat_arrays
from pcdet_poly.evaluation.files.waymo_objects import read_label_file, read_prediction_file
from pcdet_poly.evaluation.kernels.outcome_counts import FN_1, FN_2, FP, TP
from tests.evaluation.random_sets import PARTS, find_differences, read_json
from tests.tolerances import SIX_DIGITS

CASES = Path(__file__).resolve().parent.parent / "assets" / "metrics"
DEFAULT = sorted(
    path.name.removesuffix(".json.gz") for path in CASES.glob("[!r]*.json.gz") if path.name.count(".") == 2
)
RANDOM = sorted(path.name.removesuffix(".json.gz") for path in CASES.glob("random_*.json.gz"))
VARIANTS = {
    "velocity_size.gens": {"breakdowns": ("VELOCITY", "SIZE", "ALL_BUT_SIGN", "ONE_SHARD", "CAMERA")},
    "tiny_assignment.scorefirst": {"matcher": "score_first"},
    "tiny_pr.desired11": {"score_cutoffs": 11},
}


@pytest.mark.parametrize("name", DEFAULT)
def test_default_configuration(name: str) -> None:
    table, official = evaluate_set(read_flat_arrays(CASES / f"{name}.npz")), read_json(CASES / f"{name}.json.gz")
    assert {part: find_differences(table, ours, official[part]) for part, ours in PARTS.items()} == {
        "TYPE_3D": {},
        "TYPE_2D": {},
    }


@pytest.mark.parametrize("name", VARIANTS)
def test_other_configurations(name: str) -> None:
    cfg = MetricsConfig(box_types=("3D",), **VARIANTS[name])
    table = evaluate_set(read_flat_arrays(CASES / f"{name.partition('.')[0]}.npz"), cfg)
    assert find_differences(table, "3D", read_json(CASES / f"{name}.json.gz")["TYPE_3D"]) == {}


@pytest.mark.parametrize("name", RANDOM)
def test_random_cases_and_their_counts(name: str) -> None:
    """All breakdowns, box types, ties by the dozen, LET, the other matcher, odd settings: see the case's name."""
    case = read_json(CASES / f"{name}.json.gz")
    boxes = read_flat_arrays(CASES / f"{name}.npz")
    evaluator = Evaluator(resolve_cutoffs(MetricsConfig.model_validate(case["settings"]), boxes))
    evaluator.add(boxes)
    table, counts = evaluator.compute(), evaluator.sum_counts()
    cfg = evaluator.counter.cfg
    for part, of_part in zip(table.entries, counts, strict=True):
        official = case["rows"][part]
        assert find_differences(table, part, official) == {}
        for shard, of_shard in zip(evaluator.counter.layout.shards, of_part, strict=True):
            for level in cfg.levels:
                row = official[f"{shard}_LEVEL_{level}"]
                ours = of_shard[[TP, FP, FN_1 if level == 1 else FN_2]]
                np.testing.assert_array_equal(ours, [row["tp"], row["fp"], row["fn"]], err_msg=f"{part} {shard}")


def test_counts_of_the_default_cases() -> None:
    """tp, fp and fn at every cut-off, of a case with false alarms in no-label zones and one with many breakdowns."""
    for name in ("no_label_zone", "velocity_size"):
        evaluator = Evaluator()
        evaluator.add(read_flat_arrays(CASES / f"{name}.npz"))
        official = read_json(CASES / f"{name}.json.gz")["TYPE_3D"]
        for shard, counts in zip(evaluator.counter.layout.shards, evaluator.sum_counts()[0], strict=True):
            row = official[f"{shard}_LEVEL_1"]
            np.testing.assert_array_equal(
                counts[[TP, FP, FN_1]], [row.get(key, [0] * 101) for key in ("tp", "fp", "fn")]
            )


def published_folder(real_data: Path) -> Path:
    folder = real_data.parent / "oracle" / "metrics"
    if not folder.is_dir():
        pytest.skip(f"no official outputs at {folder}")
    return folder


def test_waymo_s_published_files(real_data: Path) -> None:
    """The files that Waymo's repository ships for trying its tool."""
    folder = published_folder(real_data)
    predictions = read_prediction_file(real_data / "waymo" / "fake_predictions.bin")
    labels = read_label_file(real_data / "waymo" / "fake_ground_truths.bin")
    table, official = evaluate_set(EvaluationSet.join(predictions, labels)), read_json(folder / "official_fake.json.gz")
    assert table["3D"]["OBJECT_TYPE_TYPE_VEHICLE_LEVEL_1"]["ap"] == pytest.approx(0.209682, abs=SIX_DIGITS)
    assert {part: find_differences(table, ours, official[part]) for part, ours in PARTS.items()} == {
        "TYPE_3D": {},
        "TYPE_2D": {},
    }


@pytest.mark.parametrize(
    ("name", "apl", "ap", "aph"),
    [
        ("OBJECT_TYPE_TYPE_VEHICLE", 0.211287, 0.23023, 0.181574),
        ("OBJECT_TYPE_TYPE_PEDESTRIAN", 0.213379, 0.224676, 0.170878),
        ("RANGE_TYPE_VEHICLE_[30, 50)", 0.231184, 0.244745, 0.205553),
        ("CAMERA_TYPE_VEHICLE_FRONT-LEFT", 0.567318, 0.736161, 0.645462),
        ("CAMERA_TYPE_PEDESTRIAN_SIDE-RIGHT", 0.258021, 0.261462, 0.185914),
        ("CAMERA_TYPE_SIGN_FRONT", 0.240335, 0.245807, 0.195759),
    ],
)
def test_published_let_metrics(real_data: Path, name: str, apl: float, ap: float, aph: float) -> None:
    """The camera-only table in the comment of Waymo's compute_detection_let_metrics_main.cc."""
    predictions = read_prediction_file(real_data / "waymo" / "fake_predictions.bin")
    labels = read_label_file(real_data / "waymo" / "fake_ground_truths.bin", camera_only=True)
    cfg = MetricsConfig(levels=(2,), breakdowns=("OBJECT_TYPE", "RANGE", "CAMERA"), box_types=("3D",), let={})
    row = evaluate_set(EvaluationSet.join(predictions, labels), cfg)["LET-3D"][f"{name}_LEVEL_2"]
    assert row == pytest.approx({"apl": apl, "ap": ap, "aph": aph}, abs=SIX_DIGITS)


def test_the_speed_case(real_data: Path) -> None:
    """200 frames, 20,000 objects, 65,483 predictions."""
    folder = published_folder(real_data)
    table, official = (
        evaluate_set(read_flat_arrays(folder / "large_200x100.npz")),
        read_json(folder / "large_200x100.json.gz"),
    )
    assert {part: find_differences(table, ours, official[part]) for part, ours in PARTS.items()} == {
        "TYPE_3D": {},
        "TYPE_2D": {},
    }


def test_difficulty_follows_points_where_nobody_annotated_it() -> None:
    arrays = dict(np.load(CASES / "num_points.npz"))
    arrays["gt_num_points"][arrays["gt_num_points"] > 0] = 6
    hard = build_set_of_arrays(arrays | {"gt_difficulty": arrays["gt_difficulty"] * 0}, "test").objects.level
    assert set(hard.tolist()) == {1}
    arrays["gt_num_points"][arrays["gt_num_points"] > 0] = 5
    easy = build_set_of_arrays(arrays | {"gt_difficulty": arrays["gt_difficulty"] * 0}, "test").objects.level
    assert set(easy.tolist()) == {2}
