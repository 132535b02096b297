"""Our decoding of maps beside OpenPCDet's and CenterPoint's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from pcdet_poly.config.sections.output import DecodeConfig
from pcdet_poly.config.sections.pointpillars import WAYMO_ANCHORS, PointPillarsConfig
from pcdet_poly.experiments.reference.arrays import Arrays, read_grid
from pcdet_poly.experiments.reference.output import Output, compare, compare_array, compare_rows
from pcdet_poly.models.decoding.anchor_decoder import AnchorDecoder
from pcdet_poly.models.decoding.center_decoder import CenterDecoder
from pcdet_poly.structures import AnchorMaps, CenterMaps, Detections
from pcdet_poly.targets import AnchorGrid

# Allowed errors; boxes: in units of the largest value. A sigmoid and its power, or a cell's place, a product and a sum:
# a handful of float32 roundings of 6e-8. An anchor's box has exponentials and diagonals besides.
SCORES, CENTER_BOXES, ANCHOR_BOXES = 1e-6, 1e-6, 1e-5
DIRECTION_OFFSET_RAD = 0.78539  # pointpillar_1x's DIR_OFFSET


def compare_openpcdet_center(arrays: Arrays) -> Iterator[Output]:
    """OpenPCDet's centre head: its usual rule, and the one with scores that a predicted IoU changes."""
    grid = read_grid(arrays)
    for prefix, preset in (("agnostic", "openpcdet_center"), ("rectified", "openpcdet_center_iou")):
        decoder = CenterDecoder(grid, DecodeConfig.model_validate({"preset": preset}))
        yield from _compare_frames(arrays, prefix, decoder(read_openpcdet_maps(arrays)), CENTER_BOXES)


def compare_centerpoint_repo(arrays: Arrays) -> Iterator[Output]:
    """The centre head of CenterPoint's repository, whose maps follow another convention."""
    rotation = _read_map(arrays, "rot")  # sine, cosine of -heading - pi / 2
    maps = CenterMaps(
        heatmap=_read_map(arrays, "hm"),
        offset=_read_map(arrays, "reg"),
        z=_read_map(arrays, "height"),
        size=_read_map(arrays, "dim")[:, [1, 0, 2]],  # width, length, height
        heading=-rotation.flip(1),
    )
    decoder = CenterDecoder(read_grid(arrays), DecodeConfig(preset="centerpoint_repo"))
    yield from _compare_frames(arrays, "agnostic", decoder(maps), CENTER_BOXES)


def compare_openpcdet_anchor(arrays: Arrays) -> Iterator[Output]:
    """OpenPCDet's anchor head with the anchors of pointpillar_1x."""
    names = [anchor.name for anchor in WAYMO_ANCHORS]
    anchors = AnchorGrid.from_config(read_grid(arrays), PointPillarsConfig(), names)
    decoder = AnchorDecoder(anchors, DecodeConfig(preset="openpcdet_anchor"), direction_offset_rad=DIRECTION_OFFSET_RAD)
    maps = AnchorMaps(*(_read_map(arrays, name) for name in ("logit", "code", "direction")))
    number = torch.from_numpy(arrays["decoded.anchor"]).long()[0]
    yield compare_array(arrays, "decoded.anchors", anchors.build_boxes(number), relative=1e-6)
    yield from _compare_frames(arrays, "agnostic", decoder(maps), ANCHOR_BOXES)


def read_openpcdet_maps(arrays: Arrays) -> CenterMaps:
    """Read the maps of OpenPCDet's centre head; its headings are cosine, sine."""
    return CenterMaps(
        heatmap=_read_map(arrays, "hm"),
        offset=_read_map(arrays, "center"),
        z=_read_map(arrays, "center_z"),
        size=_read_map(arrays, "dim"),
        heading=_read_map(arrays, "rot").flip(1),
        iou=_read_map(arrays, "iou"),
    )


def _read_map(arrays: Arrays, name: str) -> Tensor:
    return torch.from_numpy(arrays[f"map.{name}"].copy())


def _compare_frames(arrays: Arrays, prefix: str, found: Sequence[Detections], allowed: float) -> Iterator[Output]:
    """Compare the detections of every frame one for one, by score.

    Args:
        arrays: of the file.
        prefix: of the detections' names.
        found: ours, one record per frame, by descending score.
        allowed: largest error of boxes, in units of the largest value.
    """
    for frame, detections in enumerate(found):
        name = f"{prefix}.{frame}"
        score = arrays[f"{name}.scores"]
        order = np.argsort(-score, kind="stable")  # per-class suppression lists them class by class
        yield from compare_rows(
            f"{name}.boxes", detections.box, arrays[f"{name}.boxes"][order], relative=allowed, angle=6
        )
        yield compare(f"{name}.scores", detections.score, score[order], absolute=SCORES)
        yield compare(f"{name}.labels", detections.label, arrays[f"{name}.labels"][order])
