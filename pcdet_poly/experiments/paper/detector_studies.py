"""Studies of 3D detectors that are there, as reports of sweeps wrote them -> rows of the paper report."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from pcdet_poly.errors import UserError
from pcdet_poly.experiments.paper.compare import ComparedArm, ComparedStudy, compare_arms
from pcdet_poly.experiments.paper.rows import PaperRow, Role, Task
from pcdet_poly.names.shown_names import escape_for_terminal

CLASSES: dict[Task, str] = {"vehicles": "VEHICLE", "pedestrians": "PEDESTRIAN"}
BASELINE = "focal"
PAPER_EPSILONS = (-1.0, -0.4)  # PointPillars (assumed) and RSN
METRIC = "3D AP L1, %"  # the paper's
_HEADS = ("model", "arm", "seed", "class", "part", "level", "metric", "points")  # of runs.csv
_CELL = ("3D", "1", "ap")  # part, level and metric
# eps-1, eps2-constant, eps2@step; what follows the number says how the loss was brought to the plain one's size.
_EPSILON_ARM = re.compile(r"eps(-?\d+(?:\.\d+)?)(?:([-@])(\w+))?")
_MATCHED = ("constant", "step", "start", "matched", "apart")
_CONTROLS = ("half-rate", "third-rate", "tenth-rate")

Points = dict[tuple[str, str], dict[str, dict[str, float]]]  # by (model, class), arm, seed


def find_runs_files(folders: Iterable[Path]) -> list[Path]:
    """Find runs.csv of every study in some folders, written in the study's folder or in its report/."""
    return sorted(
        path for folder in folders for pattern in ("*/runs.csv", "*/report/runs.csv") for path in folder.glob(pattern)
    )


def read_study_rows(path: Path) -> list[PaperRow]:
    """Read a study and compare its arms with the focal loss in the paper's metric.

    Intervals are over seeds, on the study's own validation frames.

    Args:
        path: runs.csv of a report.

    Returns:
        Rows of vehicles and pedestrians; none where the study has no focal loss or not that metric.

    Raises:
        UserError: the file is no such table.
    """
    folder = path.parent.parent if path.parent.name == "report" else path.parent
    rows: list[PaperRow] = []
    for (model, class_name), by_arm in _read_points(path).items():
        (task,) = (task for task, name in CLASSES.items() if name == class_name)
        system = escape_for_terminal(f"detector {model}, study {folder.name}")
        study = ComparedStudy(task, system, METRIC, escape_for_terminal(str(path)))
        arms = _list_complete_arms(by_arm)
        if len(arms) > 1:
            seeds = list(by_arm[BASELINE])
            points = np.array([[by_arm[arm][seed] for arm in arms] for seed in seeds])
            rows += compare_arms(study, [_describe_arm(arm) for arm in arms], points)
    return rows


def _read_points(path: Path) -> Points:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            heads, *lines = list(csv.reader(file)) or [[]]
    except (ValueError, csv.Error) as error:  # no UTF-8, or a cell without an end
        raise UserError(f"{path}: not a table ({error}); write the report of the study again") from error
    if tuple(heads) != _HEADS:
        raise UserError(f"{path}: not a report's table of runs; its columns are {', '.join(_HEADS)}")
    points: Points = {}
    for number, line in enumerate(lines, start=2):
        try:
            model, arm, seed, class_name, *cell, value = line
            if tuple(cell) == _CELL and class_name in CLASSES.values():
                points.setdefault((model, class_name), {}).setdefault(arm, {})[seed] = float(value)
        except ValueError as error:
            raise UserError(f"{path}: line {number}: {error}; write the report of the study again") from error
    return points


def _list_complete_arms(by_arm: dict[str, dict[str, float]]) -> Sequence[str]:
    """List the arms that have every seed of the focal loss, that one first."""
    seeds = by_arm.get(BASELINE, {}).keys()
    if not seeds:
        return ()
    complete = [arm for arm, found in by_arm.items() if seeds <= found.keys() and arm != BASELINE]
    return [BASELINE, *(arm for arm in complete if all(math.isfinite(by_arm[arm][seed]) for seed in seeds))]


def _describe_arm(name: str) -> ComparedArm:
    found = _EPSILON_ARM.fullmatch(name)
    if found is None:
        return ComparedArm(
            escape_for_terminal(name), "control" if name in _CONTROLS else "other", 0.0 if name == BASELINE else None
        )
    epsilon = float(found[1])
    role: Role = "paper" if epsilon in PAPER_EPSILONS and found[3] is None else "other"
    return ComparedArm(name, "matched" if found[3] in _MATCHED and epsilon in PAPER_EPSILONS else role, epsilon)
