"""Files that a user may name -> the two sides of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pcdet_poly.config.sections.evaluation import MetricsConfig
from pcdet_poly.errors import UserError, suggest_path
from pcdet_poly.evaluation.box_tables import EvaluationSide, Objects, Predictions
from pcdet_poly.evaluation.files.detections import read_detections
from pcdet_poly.evaluation.files.provenance import UNKNOWN, Provenance
from pcdet_poly.evaluation.files.waymo_objects import read_label_file, read_prediction_file
from pcdet_poly.evaluation.tabulate import tabulate_predictions

DETECTIONS_FILE = "detections.parquet"  # in the folder of a run


@dataclass(frozen=True)
class PredictionsFile:
    """What a file of predictions holds, and what is known of them."""

    side: EvaluationSide[Predictions]
    class_names: tuple[str, ...] = ()  # that the detector tells apart; empty: not known
    has_zones: bool = True  # whether it is known which predictions lie in no-label zones
    provenance: Provenance = UNKNOWN


def read_predictions(path: Path) -> EvaluationSide[Predictions]:
    """Read predictions of Waymo's .bin, of a detections .parquet, or of the folder of a run that has one."""
    return read_predictions_file(path).side


def read_predictions_file(path: Path, type_names: Sequence[str] | None = None) -> PredictionsFile:
    """Read predictions, as `read_predictions` does, and what is known of them.

    `type_names` are the types of objects that the metrics know; by default those that the run asked for, or Waymo's.
    """
    path = find_detections_file(path)
    if path.suffix == ".parquet":
        file = read_detections(path)
        zones = file.in_no_label_zone
        asked = file.provenance.read_metrics() or MetricsConfig()
        rows = tabulate_predictions(
            file.detections,
            class_names=file.class_names,
            frame_names=file.frame_ids,
            no_label_zone=zones,
            type_names=type_names or asked.type_names,
        )
        return PredictionsFile(
            EvaluationSide(rows, file.frame_ids), file.class_names, zones is not None, file.provenance
        )
    if path.suffix == ".bin":
        return PredictionsFile(read_prediction_file(path))
    raise UserError(f"{path}: predictions are read from .bin (Waymo's Objects), .parquet (ours) or a run's folder")


def find_detections_file(path: Path) -> Path:
    """Return `path` itself, or the detections of the run whose folder it is. Raises UserError where there are none."""
    if path.is_dir():
        path = path / DETECTIONS_FILE
    check_exists(path)
    return path


def read_labels(path: Path, *, camera_only: bool = False) -> EvaluationSide[Objects]:
    """Read labelled objects of Waymo's .bin, with `camera_only` as in Waymo's camera-only challenge."""
    check_exists(path)
    if path.suffix != ".bin":
        raise UserError(f"{path}: labels are read from .bin (Waymo's Objects) or the folder of a frame store")
    return read_label_file(path, camera_only=camera_only)


def check_exists(path: Path) -> None:
    """Raise UserError where there is no such file or folder; it names the nearest one."""
    if not path.exists():
        raise UserError(f"{path}: no such file{suggest_path(path) or '; check the path'}")
