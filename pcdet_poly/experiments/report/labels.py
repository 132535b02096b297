"""What the runs were evaluated on: the labels of the validation frames, read once for all runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pcdet_poly.config.schema import Config
from pcdet_poly.data.load.collate import relabel, zones_around_vehicle
from pcdet_poly.data.store.frame_store import Store
from pcdet_poly.evaluation import in_zones
from pcdet_poly.structures import Detections, Frame, GroundTruth


@dataclass(frozen=True)
class Labels:
    """Frame i has everything number i."""

    frame_ids: tuple[str, ...]
    segments: tuple[str, ...]  # what is resampled: segments, or pieces of them
    ground_truth: tuple[GroundTruth, ...]  # labels point into the config's classes
    zones: tuple[tuple[np.ndarray, ...], ...]  # no-label zones in the vehicle frame
    places: tuple[tuple[str, int], ...]  # store and position in it

    def in_zone(self, detections: Sequence[Detections]) -> list[np.ndarray]:
        """Per frame (N,) bool: which detections lie in a no-label zone."""
        return [in_zones(found.box, zones) for found, zones in zip(detections, self.zones, strict=True)]

    def frame(self, index: int) -> Frame:
        """Frame `index` with its points."""
        store, position = self.places[index]
        return Store(store)[position]


def read_labels(config: Config, pieces_per_segment: int) -> Labels:
    """Labels of the frames that `config` evaluates on, in the order of evaluation."""
    stores = {folder: Store(folder) for folder in config.data.val}
    every = [(folder, position) for folder, store in stores.items() for position in range(len(store))]
    places = every[:: config.data.val_every]
    frames = [stores[folder].labels(position) for folder, position in places]
    return Labels(
        tuple(frame.frame_id for frame in frames),
        pieces([frame.segment for frame in frames], pieces_per_segment),
        tuple(relabel(frame, config.data.classes) for frame in frames),
        tuple(zones_around_vehicle(frame) for frame in frames),
        tuple(places),
    )


def pieces(segments: Sequence[str], per_segment: int) -> tuple[str, ...]:
    """Name of each frame's piece: its segment, or one of `per_segment` equal runs of the segment's frames."""
    if per_segment == 1:
        return tuple(segments)
    sizes, seen, names = Counter(segments), Counter[str](), []
    for segment in segments:
        names.append(f"{segment}#{seen[segment] * per_segment // sizes[segment]:03d}")
        seen[segment] += 1
    return tuple(names)
