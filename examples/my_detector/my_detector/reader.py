"""A reader of our own: a folder of CSV files is a segment, a file's rows are points x, y, z, intensity.

Beside NAME.csv, NAME.boxes.csv has a row per object: class, x, y, z, length, width, height, heading.
"""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from pcdet_poly.config.kinds import ReaderKind
from pcdet_poly.errors import UserError
from pcdet_poly.ops.points_in_boxes import count_points
from pcdet_poly.structures import WAYMO_CLASSES, Frame, GroundTruth


def read_segment(path: Path, advance: Callable[[int], None], report: Callable[[UserError], None]) -> Iterator[Frame]:
    """Yield the frames of a folder; `advance` moves the progress bar, `report` takes what cannot be read."""
    for number, file in enumerate(sorted(file for file in path.glob("*.csv") if ".boxes" not in file.name)):
        advance(file.stat().st_size)
        try:
            rows = np.loadtxt(file, delimiter=",", dtype=np.float32, ndmin=2)
            points = np.zeros((len(rows), 5), np.float32)
            points[:, :4] = rows[:, :4]
            labels = read_labels(file.with_suffix(".boxes.csv"), points)
        except ValueError as error:
            report(UserError(f"{file}: {error}"))
            continue
        yield Frame(
            points=points,
            ground_truth=labels,
            world_from_vehicle=np.eye(4),
            timestamp_us=number * 100_000,
            segment=path.name,
            columns=("x", "y", "z", "intensity", "elongation"),
        )


def read_labels(file: Path, points: np.ndarray) -> GroundTruth:
    """Return the objects in a file, with their numbers of points; none where there is no file."""
    rows = list(csv.reader(file.open())) if file.exists() else []
    count = len(rows)
    box = np.array([row[1:8] for row in rows], np.float32).reshape(count, 7)
    return GroundTruth(
        box=box,
        label=np.array([WAYMO_CLASSES.index(row[0]) for row in rows], np.int64),
        level=np.zeros(count, np.int64),
        num_points=count_points(torch.from_numpy(points), torch.from_numpy(box)).numpy(),
        track=np.full(count, "", np.str_),
        speed=np.full((count, 2), np.nan, np.float32),
    )


# import-frames calls it --reader my_detector.reader:CsvFolder, or csv where this package is installed.
CsvFolder = ReaderKind(read_segment)
