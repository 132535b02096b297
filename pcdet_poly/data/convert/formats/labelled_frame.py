"""Points and boxes of a known format -> a frame with labels of the user's classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from pcdet_poly.data.convert.formats.class_names import DROPPED, ClassNames
from pcdet_poly.ops.arrays.points_in_boxes import count_points
from pcdet_poly.structures import POINT_COLUMNS, Frame, GroundTruth

COLUMNS = POINT_COLUMNS[:5]  # x y z intensity elongation


@dataclass(frozen=True)
class FileBoxes:
    """The boxes of one frame, as a file names them."""

    box: np.ndarray  # (N, 7) float32, vehicle frame
    names: Sequence[str]  # N names of classes, the format's own
    track: Sequence[str] | None = None  # N ids, where the format has them
    speed: np.ndarray | None = None  # (N, 2) m/s along the world's x and y

    @classmethod
    def empty(cls) -> Self:
        """No boxes."""
        return cls(np.zeros((0, 7), np.float32), [])


def make_labelled_frame(
    points: np.ndarray,
    boxes: FileBoxes,
    names: ClassNames,
    *,
    where: str,
    segment: str,
    timestamp_us: int,
    pose: np.ndarray,
) -> Frame:
    """Make a frame; points are counted in its boxes, because formats count other points than a frame holds.

    Args:
        points: (P, 5) float32 x, y, z, intensity, elongation, vehicle frame.
        boxes: as the file names them.
        names: which classes they are.
        where: the file of the boxes, for messages.
        segment: name of the frame's segment.
        timestamp_us: of the frame.
        pose: (4, 4) world from vehicle.

    Raises:
        UserError: for a name that `names` does not know.
    """
    label = names.find_labels(boxes.names, where)
    kept = label != DROPPED
    box = boxes.box[kept]
    track = np.array(boxes.track if boxes.track is not None else [""] * len(label), np.str_)
    speed = boxes.speed if boxes.speed is not None else np.full((len(label), 2), np.nan)
    return Frame(
        points=points,
        ground_truth=GroundTruth(
            box=box,
            label=label[kept],
            level=np.zeros(len(box), np.int64),
            num_points=count_points(points, box),
            track=track.reshape(-1)[kept],
            speed=np.asarray(speed, np.float32).reshape(-1, 2)[kept],
        ),
        world_from_vehicle=pose,
        timestamp_us=timestamp_us,
        segment=segment,
        columns=COLUMNS,
        class_names=names.classes,
    )
