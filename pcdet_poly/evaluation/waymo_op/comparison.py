"""Our numbers beside those of Waymo's own op, which runs in an environment of its own (see run_op.py)."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pcdet_poly.config.sections.evaluation import MetricsConfig
from pcdet_poly.errors import UserError
from pcdet_poly.evaluation.ap_table import ApTable
from pcdet_poly.evaluation.box_tables import EvaluationSet
from pcdet_poly.evaluation.cutoffs import list_cutoffs
from pcdet_poly.evaluation.files.flat_arrays import flatten_set
from pcdet_poly.evaluation.waymo_op import run_op

_NAMES = {"ap": "AP", "aph": "APH", "apl": "APL"}  # ours -> the op's


@dataclass(frozen=True)
class OpResult:
    """What Waymo's op gave for one box type."""

    seconds: float
    cpu_seconds: float
    rows: Mapping[str, Mapping[str, float]]  # official breakdown name -> "AP", "APH", "APL" and counts


def run_waymo_op(boxes: EvaluationSet, cfg: MetricsConfig, python: str | Path) -> dict[str, OpResult]:
    """Run Waymo's op on a set of frames.

    Args:
        boxes: predictions and objects of the frames.
        cfg: what is computed.
        python: interpreter of the environment in which Waymo's package is installed.

    Returns:
        The results by box type ("3D", "LET-BEV", ...).

    Raises:
        UserError: the op did not run; the message has the last line that it wrote.
    """
    settings = cfg.model_dump(mode="json")
    if cfg.score_cutoffs is None:
        settings |= {"score_cutoffs": list_cutoffs(cfg).tolist()}
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "input.npz", Path(folder) / "output.json"
        np.savez(source, **flatten_set(boxes) | {"settings": np.array(json.dumps(settings))})  # type: ignore[arg-type]
        command = [str(python), "-I", run_op.__file__, str(source), str(target)]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise UserError(
                f"{python}: Waymo's op ended with code {done.returncode} ({last}); see requirements-official.txt"
            )
        if not target.is_file():
            raise UserError(f"{python}: not an interpreter of Python; name one that has Waymo's package")
        return read_results(target)


def read_results(path: Path) -> dict[str, OpResult]:
    """Read what run_op.py wrote. Raises UserError for what is no such file."""
    try:
        results = {name: OpResult(**result) for name, result in json.loads(path.read_bytes()).items()}
        for result in results.values():
            for row in result.rows.values():
                for name in _NAMES.values():
                    float(row[name])
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise UserError(f"{path}: not what Waymo's op gives ({error!r})") from error
    return results


def find_largest_difference(table: ApTable, results: Mapping[str, OpResult]) -> tuple[float, str]:
    """Return the largest |ours - the op's| over all values, and the name of its row."""
    worst, place = 0.0, ""
    for box_type, result in results.items():
        for name, row in result.rows.items():
            for ours, theirs in _NAMES.items():
                value = table[box_type][name].get(ours)
                if value is not None and abs(value - row[theirs]) >= worst:
                    worst, place = abs(value - row[theirs]), f"{box_type} {name} {theirs}"
    return worst, place
