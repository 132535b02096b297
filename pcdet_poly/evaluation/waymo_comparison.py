"""Our numbers against Waymo's own op, which runs in an environment of its own (see official.py)."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pcdet_poly.config.sections.evaluation import MetricsConfig
from pcdet_poly.errors import UserError
from pcdet_poly.evaluation import waymo_op as official
from pcdet_poly.evaluation.ap_table import ApTable
from pcdet_poly.evaluation.box_tables import EvaluationSet
from pcdet_poly.evaluation.cutoffs import list_cutoffs

_JSON_OF_OURS = {"ap": "AP", "aph": "APH", "apl": "APL"}


def run_waymo_op(problem: EvaluationSet, cfg: MetricsConfig, python: str | Path) -> dict[str, Any]:
    """Box type -> {"seconds", "rows": official name -> AP, APH, APL, counts}, by the interpreter `python`."""
    settings = cfg.model_dump(mode="json")
    if cfg.score_cutoffs is None:
        settings["score_cutoffs"] = list_cutoffs(cfg).tolist()
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "input.npz", Path(folder) / "output.json"
        np.savez(source, **flatten_set(problem) | {"settings": np.array(json.dumps(settings))})  # type: ignore[arg-type]
        command = [str(python), "-I", official.__file__, str(source), str(target)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise UserError(
                f"{python}: Waymo's op ended with code {done.returncode} ({last}); see requirements-official.txt"
            )
        return dict(json.loads(target.read_text()))


def flatten_set(problem: EvaluationSet) -> dict[str, np.ndarray]:
    """The problem in the array form that `arrays.py` reads and the op takes."""
    predictions, objects = problem.predictions, problem.objects
    return {
        "pd_frame": predictions.frame,
        "pd_box": predictions.box,
        "pd_type": predictions.type,
        "pd_score": predictions.score,
        "pd_nlz": predictions.in_no_label_zone,
        "gt_frame": objects.frame,
        "gt_box": objects.box,
        "gt_type": objects.type,
        "gt_difficulty": objects.level,
        "gt_speed": np.nan_to_num(objects.speed, nan=0.0),
    }


def find_largest_difference(table: ApTable, official_results: Mapping[str, Any]) -> tuple[float, str]:
    """The largest |ours - official| over all values, and the row it stands in."""
    worst, place = 0.0, ""
    for box_type, result in official_results.items():
        for name, row in result["rows"].items():
            for ours, theirs in _JSON_OF_OURS.items():
                value = table[box_type][name].get(ours)
                if value is not None and abs(value - row[theirs]) >= worst:
                    worst, place = abs(value - row[theirs]), f"{box_type} {name} {theirs}"
    return worst, place
