"""What the frames of a store hold, counted in bins: distances, intensities, sizes, headings, times."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from pcdet_poly.structures import Frame

_SAMPLE = 4096  # points of a frame that are counted
_EDGES: dict[str, tuple[str, np.ndarray]] = {  # quantity -> unit, edges of its bins
    "distance of points": ("m", np.array([0, 5, 10, 20, 30, 40, 50, 75, 100, 200, 1000.0])),
    "height of points": ("m", np.array([-100, -5, -2, -1, -0.5, 0.5, 1, 2, 4, 8, 100.0])),
    "intensity": ("", np.array([-1e6, 0, 1e-3, 0.01, 0.1, 0.3, 1, 3, 10, 255, 1e6])),
    "elongation": ("", np.array([-1e6, 0, 1e-3, 0.1, 0.5, 1, 1.5, 2, 4, 255, 1e6])),
    "points in a box": ("", np.array([-1e9, 0, 1, 5, 10, 20, 50, 100, 500, 1000, 1e9])),
    "distance of boxes": ("m", np.array([0, 5, 10, 20, 30, 40, 50, 75, 100, 200, 1000.0])),
    "heading": ("rad", np.array([-13, *np.arange(-8, 9) * math.pi / 4, 13])),
    "time between frames": ("s", np.array([0, 1e-3, 0.02, 0.05, 0.09, 0.11, 0.2, 0.3, 0.6, 1, 60, 3600, 1e9])),
    "points in a frame": ("", np.array([0, 1, 1e3, 1e4, 3e4, 1e5, 1.5e5, 2e5, 3e5, 1e6, 1e9])),
    "boxes in a frame": ("", np.array([0, 1, 2, 5, 10, 20, 40, 80, 160, 1e6])),
}
_SIZES = ("length", "width", "height")
_SIZE_EDGES = np.array([0, 0.05, 0.3, 0.6, 1, 1.5, 2, 3, 4, 5, 7, 10, 20, 100.0])


@dataclass
class Histograms:
    """Counts in bins by quantity; those of sizes are named after the class, too."""

    counts: dict[str, np.ndarray] = field(default_factory=dict)
    _last_us: int | None = None

    def add(self, frame: Frame) -> None:
        """Count one frame; frames of a segment come in their order."""
        sample = frame.points[:: max(len(frame.points) // _SAMPLE, 1)]
        self._count("distance of points", np.hypot(sample[:, 0], sample[:, 1]))
        self._count("height of points", sample[:, 2])
        for name in ("intensity", "elongation"):
            if name in frame.columns:
                self._count(name, sample[:, frame.columns.index(name)])
        objects = frame.ground_truth
        self._count("points in a box", objects.num_points)
        self._count("distance of boxes", np.hypot(objects.box[:, 0], objects.box[:, 1]))
        self._count("heading", objects.box[:, 6])
        self._count("points in a frame", np.array([len(frame.points)]))
        self._count("boxes in a frame", np.array([len(objects)]))
        if self._last_us is not None:
            self._count("time between frames", np.array([(frame.timestamp_us - self._last_us) / 1e6]))
        self._last_us = frame.timestamp_us
        for label, class_name in enumerate(frame.class_names):
            for i, name in enumerate(_SIZES):
                self._count(f"{class_name} {name}", objects.box[objects.label == label, 3 + i])

    def merge(self, other: Histograms) -> None:
        """Add what another one counted."""
        for name, counts in other.counts.items():
            self.counts[name] = self.counts.get(name, 0) + counts

    def list_filled(self) -> Iterator[tuple[str, str, list[tuple[str, int]]]]:
        """Yield name, unit, and the bins with their counts, from the first filled one to the last, of what was seen."""
        for name, counts in self.counts.items():
            unit, edges = _find_edges(name)
            if not counts.any():
                continue
            filled = np.flatnonzero(counts)
            bins = range(filled[0], filled[-1] + 1)
            yield name, unit, [(_name_bin(edges, i), int(counts[i])) for i in bins]

    def _count(self, name: str, values: np.ndarray) -> None:
        """Count values; what lies beyond the edges goes into the outer bins, what is no number nowhere."""
        edges = _find_edges(name)[1]
        kept = np.asarray(values, np.float64)
        kept = np.clip(kept[np.isfinite(kept)], edges[0], np.nextafter(edges[-1], -np.inf))
        self.counts[name] = self.counts.get(name, 0) + np.bincount(
            np.searchsorted(edges, kept, side="right") - 1, minlength=len(edges) - 1
        )


def _name_bin(edges: np.ndarray, i: int) -> str:
    """Name a bin; the outer ones hold whatever is beyond."""
    if i == len(edges) - 2:
        return f"from {edges[i]:.4g}"
    return f"below {edges[1]:.4g}" if i == 0 and edges[0] < 0 else f"{edges[i]:.4g} to {edges[i + 1]:.4g}"


def _find_edges(name: str) -> tuple[str, np.ndarray]:
    return _EDGES.get(name, ("m", _SIZE_EDGES))


def draw_bars(bins: Mapping[str, int] | list[tuple[str, int]], width: int = 40) -> list[str]:
    """Draw counts as lines of text: the bin, a bar, the count."""
    rows = list(bins.items()) if isinstance(bins, Mapping) else bins
    most, widest = max(count for _, count in rows), max(len(name) for name, _ in rows)
    return [f"{name:>{widest}}  {'#' * -(-count * width // most):<{width}}  {count}" for name, count in rows]
