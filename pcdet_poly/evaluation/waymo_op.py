"""Waymo's own op on the same arrays: a script for the environment in which Waymo's package is installed.

That package needs TensorFlow and old versions of numpy and protobuf, so this file imports nothing of ours and
runs in an environment of its own (requirements-official.txt says how to make it):

    official/bin/python pcdet_poly/evaluation/waymo_op.py INPUT.npz OUTPUT.json

INPUT holds `pd_frame box type score nlz`, `gt_frame box type difficulty speed` and `settings`, a JSON text with the
fields of MetricsConfig. `cross_check.py` writes it, calls this, and compares.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

_BOX_TYPES = {"3D": "TYPE_3D", "BEV": "TYPE_2D", "AA_2D": "TYPE_AA_2D"}
_MATCHERS = {"hungarian": "TYPE_HUNGARIAN", "score_first": "TYPE_SCORE_FIRST"}


def _build_config(settings: Mapping[str, Any], box_type: str, let: Mapping[str, Any] | None) -> Any:
    from waymo_open_dataset import label_pb2
    from waymo_open_dataset.protos import breakdown_pb2, metrics_pb2

    config = metrics_pb2.Config()
    for name in settings["breakdowns"]:
        config.breakdown_generator_ids.append(breakdown_pb2.Breakdown.GeneratorId.Value(name))
        config.difficulties.add().levels.extend(settings["levels"])
    config.matcher_type = metrics_pb2.MatcherProto.Type.Value(_MATCHERS[settings["matcher"]])
    config.box_type = label_pb2.Label.Box.Type.Value(_BOX_TYPES[box_type])
    config.iou_thresholds.extend([0.0, *(let or settings)["iou_thresholds"]])
    if isinstance(settings["score_cutoffs"], int):
        config.num_desired_score_cutoffs = settings["score_cutoffs"]
    else:
        config.score_cutoffs.extend(settings["score_cutoffs"])
    config.desired_recall_delta = settings["recall_delta"]
    config.min_precision = settings["min_precision"]
    config.min_heading_accuracy = settings["min_heading_accuracy"]
    if let:
        tolerant = config.let_metric_config
        tolerant.enabled = True
        tolerant.align_type = tolerant.TYPE_RANGE_ALIGNED
        tolerant.longitudinal_tolerance_percentage = let["tolerance"]
        tolerant.min_longitudinal_tolerance_meter = let["min_tolerance_m"]
        tolerant.sensor_location.x, tolerant.sensor_location.y, tolerant.sensor_location.z = let["sensor_location"]
    return config


def compute_metrics(
    arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any], box_type: str, let: Mapping[str, Any] | None
) -> dict[str, Any]:
    """`rows`: official breakdown name -> AP, APH, APL, counts at every cut-off; `seconds`, `cpu_seconds`: the op's."""
    from waymo_open_dataset.metrics.ops import py_metrics_ops
    from waymo_open_dataset.metrics.python import config_util_py

    config = _build_config(settings, box_type, let)
    inputs = {
        "prediction_bbox": arrays["pd_box"].astype(np.float32),
        "prediction_type": arrays["pd_type"].astype(np.uint8),
        "prediction_score": arrays["pd_score"].astype(np.float32),
        "prediction_frame_id": arrays["pd_frame"].astype(np.int64),
        "prediction_overlap_nlz": arrays["pd_nlz"].astype(bool),
        "ground_truth_bbox": arrays["gt_box"].astype(np.float32),
        "ground_truth_type": arrays["gt_type"].astype(np.uint8),
        "ground_truth_frame_id": arrays["gt_frame"].astype(np.int64),
        "ground_truth_difficulty": arrays["gt_difficulty"].astype(np.uint8),
        "ground_truth_speed": arrays["gt_speed"].astype(np.float32),
    }
    start, cpu_start = time.perf_counter(), time.process_time()
    ap, aph, apl, curve, _, _, _ = py_metrics_ops.detection_metrics(**inputs, config=config.SerializeToString())
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    names = config_util_py.get_breakdown_names_from_config(config)
    columns_of_curve = ("precision", "recall", "tp", "fp", "fn")
    rows = {
        name: {"AP": float(ap[i]), "APH": float(aph[i]), "APL": float(apl[i])}
        | {key: curve[i, :, k].numpy().tolist() for k, key in enumerate(columns_of_curve)}
        for i, name in enumerate(names)
    }
    return {"seconds": seconds, "cpu_seconds": cpu_seconds, "rows": rows}


def main() -> int:
    """INPUT.npz -> OUTPUT.json."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    source, target = sys.argv[1:]
    with np.load(source) as file:
        arrays = {name: file[name] for name in file.files}
    settings = json.loads(str(arrays.pop("settings")))
    results = {name: compute_metrics(arrays, settings, name, None) for name in settings["box_types"]}
    if settings["let"]:
        tolerant = [name for name in settings["box_types"] if name != "AA_2D"]
        results |= {f"LET-{name}": compute_metrics(arrays, settings, name, settings["let"]) for name in tolerant}
    with open(target, "w") as file:
        json.dump(results, file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
