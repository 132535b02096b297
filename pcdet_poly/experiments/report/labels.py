"""What the runs were evaluated on: the labels of the validation frames, read once for all runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pcdet_poly.config.schema import Config
from pcdet_poly.data.load.collate import move_zones_to_vehicle, relabel_objects
from pcdet_poly.data.store.frame_store import Store
from pcdet_poly.evaluation import find_boxes_in_zones
from pcdet_poly.structures import Detections, Frame, GroundTruth


@dataclass(frozen=True)
class ValidationLabels:
    """Labels of the validation frames; entry i of every field is of frame i."""

    frame_ids: tuple[str, ...]
    segments: tuple[str, ...]  # what is resampled: segments, or pieces of them
    ground_truth: tuple[GroundTruth, ...]  # `label` is an index into the config's classes
    zones: tuple[tuple[np.ndarray, ...], ...]  # no-label zones in the vehicle frame
    sources: tuple[tuple[str, int], ...]  # the store, and the frame's position in it

    def find_in_zones(self, detections: Sequence[Detections]) -> list[np.ndarray]:
        """Find, for each frame (N,) bool, which detections lie in a no-label zone."""
        return [find_boxes_in_zones(found.box, zones) for found, zones in zip(detections, self.zones, strict=True)]

    def read_frame(self, index: int) -> Frame:
        """Read frame `index` with its points."""
        store, position = self.sources[index]
        return Store(store)[position]


def read_labels(config: Config, pieces_per_segment: int) -> ValidationLabels:
    """Read the labels of the frames that `config` evaluates on, in the order of evaluation."""
    stores = {folder: Store(folder) for folder in config.data.val}
    every = [(folder, position) for folder, store in stores.items() for position in range(len(store))]
    sources = every[:: config.data.val_every]
    frames = [stores[folder].read_labels(position) for folder, position in sources]
    return ValidationLabels(
        tuple(frame.frame_id for frame in frames),
        cut_into_pieces([frame.segment for frame in frames], pieces_per_segment),
        tuple(relabel_objects(frame, config.data.classes) for frame in frames),
        tuple(move_zones_to_vehicle(frame) for frame in frames),
        tuple(sources),
    )


def cut_into_pieces(segments: Sequence[str], per_segment: int) -> tuple[str, ...]:
    """Name each frame's piece: its segment, or one of `per_segment` equal runs of consecutive frames of it."""
    if per_segment == 1:
        return tuple(segments)
    sizes, counted, names = Counter(segments), Counter[str](), []
    for segment in segments:
        names.append(f"{segment}#{counted[segment] * per_segment // sizes[segment]:03d}")
        counted[segment] += 1
    return tuple(names)
