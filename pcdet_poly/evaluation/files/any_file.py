"""Files that a user may name -> the two sides of an evaluation."""

from __future__ import annotations

from pathlib import Path

from pcdet_poly.errors import UserError, suggest_path
from pcdet_poly.evaluation.box_tables import EvaluationSide, Objects, Predictions
from pcdet_poly.evaluation.files.detections import read_detections
from pcdet_poly.evaluation.files.waymo_objects import read_label_file, read_prediction_file
from pcdet_poly.evaluation.tabulate import tabulate_predictions

DETECTIONS_FILE = "detections.parquet"  # in the folder of a run


def read_predictions(path: Path) -> EvaluationSide[Predictions]:
    """Read predictions of Waymo's .bin, of a detections .parquet, or of the folder of a run that has one."""
    path = find_detections_file(path)
    if path.suffix == ".parquet":
        file = read_detections(path)
        rows = tabulate_predictions(file.detections, class_names=file.class_names, frame_names=file.frame_ids)
        return EvaluationSide(rows, file.frame_ids)
    if path.suffix == ".bin":
        return read_prediction_file(path)
    raise UserError(f"{path}: predictions are read from .bin (Waymo's Objects), .parquet (ours) or a run's folder")


def find_detections_file(path: Path) -> Path:
    """Return `path` itself, or the detections of the run whose folder it is. Raises UserError where there are none."""
    if path.is_dir():
        path = path / DETECTIONS_FILE
    _check_exists(path)
    return path


def read_labels(path: Path, *, camera_only: bool = False) -> EvaluationSide[Objects]:
    """Read labelled objects of Waymo's .bin, with `camera_only` as in Waymo's camera-only challenge."""
    _check_exists(path)
    if path.suffix != ".bin":
        raise UserError(f"{path}: labels are read from .bin (Waymo's Objects) or the folder of a frame store")
    return read_label_file(path, camera_only=camera_only)


def _check_exists(path: Path) -> None:
    if not path.exists():
        raise UserError(f"{path}: no such file{suggest_path(path) or '; check the path'}")
