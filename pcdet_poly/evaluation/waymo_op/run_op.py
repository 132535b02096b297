"""Waymo's own op on the same arrays: a script for the environment in which Waymo's package is installed.

That package needs TensorFlow and old versions of numpy and protobuf, so this file imports nothing of ours and
runs in an environment of its own (requirements-official.txt says how to make it):

    official/bin/python pcdet_poly/evaluation/waymo_op/run_op.py INPUT.npz OUTPUT.json

INPUT holds `pd_frame box type score nlz`, `gt_frame box type difficulty speed` and `settings`, a JSON text with the
fields of MetricsConfig. `comparison.py` writes it, calls this, and compares.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np

_BOX_TYPES = {"3D": "TYPE_3D", "BEV": "TYPE_2D", "AA_2D": "TYPE_AA_2D"}
_MATCHERS = {"hungarian": "TYPE_HUNGARIAN", "score_first": "TYPE_SCORE_FIRST"}
_CURVE_COLUMNS = ("precision", "recall", "tp", "fp", "fn")


@dataclass(frozen=True)
class LetSettings:
    """The fields of LetConfig."""

    sensor_location: list[float]
    tolerance: float
    min_tolerance_m: float
    iou_thresholds: list[float]


@dataclass(frozen=True)
class MetricsSettings:
    """The fields of MetricsConfig, with the cut-offs listed or to be estimated by the op."""

    breakdowns: list[str]
    levels: list[int]
    box_types: list[str]
    iou_thresholds: list[float]
    matcher: str
    score_cutoffs: list[float] | int
    recall_delta: float
    min_precision: float
    min_heading_accuracy: float
    let: LetSettings | None

    @classmethod
    def from_json(cls, text: str) -> MetricsSettings:
        """Return the settings of a JSON text that holds the fields of MetricsConfig."""
        value = json.loads(text)
        let = value.pop("let")
        return _fill_fields(cls, value | {"let": let and _fill_fields(LetSettings, let)})


@dataclass(frozen=True)
class BoxArrays:
    """Both sides, N predictions and M objects, as INPUT holds them."""

    pd_frame: np.ndarray  # (N,) position in the list of frames
    pd_box: np.ndarray  # (N, 7)
    pd_type: np.ndarray  # (N,) Waymo's Label.Type
    pd_score: np.ndarray  # (N,)
    pd_nlz: np.ndarray  # (N,) bool, in a no-label zone
    gt_frame: np.ndarray  # (M,)
    gt_box: np.ndarray  # (M, 7)
    gt_type: np.ndarray  # (M,)
    gt_difficulty: np.ndarray  # (M,)
    gt_speed: np.ndarray  # (M, 2) m/s


Record = TypeVar("Record")


def _fill_fields(record: type[Record], values: Mapping[str, Any]) -> Record:
    """Build a `record` of the entries of `values` that are fields of it."""
    return record(**{field.name: values[field.name] for field in fields(record)})  # type: ignore[arg-type]


def _build_config(settings: MetricsSettings, box_type: str, let: LetSettings | None) -> Any:
    """Return Waymo's Config message for one box type, with LET's rules or without."""
    from waymo_open_dataset import label_pb2
    from waymo_open_dataset.protos import breakdown_pb2, metrics_pb2

    config = metrics_pb2.Config()
    for name in settings.breakdowns:
        config.breakdown_generator_ids.append(breakdown_pb2.Breakdown.GeneratorId.Value(name))
        config.difficulties.add().levels.extend(settings.levels)
    config.matcher_type = metrics_pb2.MatcherProto.Type.Value(_MATCHERS[settings.matcher])
    config.box_type = label_pb2.Label.Box.Type.Value(_BOX_TYPES[box_type])
    config.iou_thresholds.extend([0.0, *(let or settings).iou_thresholds])
    if isinstance(settings.score_cutoffs, int):
        config.num_desired_score_cutoffs = settings.score_cutoffs
    else:
        config.score_cutoffs.extend(settings.score_cutoffs)
    config.desired_recall_delta = settings.recall_delta
    config.min_precision = settings.min_precision
    config.min_heading_accuracy = settings.min_heading_accuracy
    if let:
        tolerant = config.let_metric_config
        tolerant.enabled = True
        tolerant.align_type = tolerant.TYPE_RANGE_ALIGNED
        tolerant.longitudinal_tolerance_percentage = let.tolerance
        tolerant.min_longitudinal_tolerance_meter = let.min_tolerance_m
        tolerant.sensor_location.x, tolerant.sensor_location.y, tolerant.sensor_location.z = let.sensor_location
    return config


def compute_metrics(
    arrays: BoxArrays, settings: MetricsSettings, box_type: str, let: LetSettings | None
) -> dict[str, Any]:
    """Run Waymo's op for one box type.

    Args:
        arrays: both sides.
        settings: what is computed.
        box_type: "3D", "BEV" or "AA_2D".
        let: LET's rules, or None for the plain ones.

    Returns:
        `rows`, official breakdown name -> AP, APH, APL and the counts at every cut-off; `seconds` and
        `cpu_seconds`, those of the op.
    """
    from waymo_open_dataset.metrics.ops import py_metrics_ops
    from waymo_open_dataset.metrics.python import config_util_py

    config = _build_config(settings, box_type, let)
    inputs = {
        "prediction_bbox": arrays.pd_box.astype(np.float32),
        "prediction_type": arrays.pd_type.astype(np.uint8),
        "prediction_score": arrays.pd_score.astype(np.float32),
        "prediction_frame_id": arrays.pd_frame.astype(np.int64),
        "prediction_overlap_nlz": arrays.pd_nlz.astype(bool),
        "ground_truth_bbox": arrays.gt_box.astype(np.float32),
        "ground_truth_type": arrays.gt_type.astype(np.uint8),
        "ground_truth_frame_id": arrays.gt_frame.astype(np.int64),
        "ground_truth_difficulty": arrays.gt_difficulty.astype(np.uint8),
        "ground_truth_speed": arrays.gt_speed.astype(np.float32),
    }
    start, cpu_start = time.perf_counter(), time.process_time()
    ap, aph, apl, curve, _, _, _ = py_metrics_ops.detection_metrics(**inputs, config=config.SerializeToString())
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    names = config_util_py.get_breakdown_names_from_config(config)
    rows = {
        name: {"AP": float(ap[i]), "APH": float(aph[i]), "APL": float(apl[i])}
        | {key: curve[i, :, k].numpy().tolist() for k, key in enumerate(_CURVE_COLUMNS)}
        for i, name in enumerate(names)
    }
    return {"seconds": seconds, "cpu_seconds": cpu_seconds, "rows": rows}


def main() -> int:
    """INPUT.npz -> OUTPUT.json."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    source, target = sys.argv[1:]
    with np.load(source) as file:
        arrays = {name: file[name] for name in file.files}
    settings = MetricsSettings.from_json(str(arrays.pop("settings")))
    boxes = _fill_fields(BoxArrays, arrays)
    results = {name: compute_metrics(boxes, settings, name, None) for name in settings.box_types}
    if settings.let:
        tolerant = [name for name in settings.box_types if name != "AA_2D"]
        results |= {f"LET-{name}": compute_metrics(boxes, settings, name, settings.let) for name in tolerant}
    with open(target, "w", encoding="utf-8") as file:
        json.dump(results, file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
