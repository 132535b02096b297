"""Whether objects of Waymo's classes have the sizes of such objects, over a segment."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from pcdet_poly.checks.findings import Finding
from pcdet_poly.structures import Frame

# Bounds of the median length in metres, far beyond any data set's: 4.7, 0.9 and 1.8 in Waymo's.
_LENGTHS_M = {"VEHICLE": (1.2, 25.0), "PEDESTRIAN": (0.15, 2.0), "CYCLIST": (0.6, 4.0)}
_LONG = ("VEHICLE", "CYCLIST")  # whose length is greater than their width
_SOME = 20  # boxes from which on it may be said
_MANY = 50  # and from which on it is sure
_KEPT = 1000  # boxes of a class that are kept


@dataclass
class ClassSizes:
    """Lengths and widths of boxes by class, up to about a thousand of each."""

    sizes: dict[str, list[np.ndarray]] = field(default_factory=lambda: defaultdict(list))

    def add(self, frame: Frame) -> None:
        """Take in the boxes of one frame."""
        objects = frame.ground_truth
        for label in np.unique(objects.label).tolist():
            kept = self.sizes[frame.class_names[label]]
            if sum(map(len, kept)) < _KEPT:
                kept.append(objects.box[objects.label == label, 3:5])

    def merge(self, other: ClassSizes) -> None:
        """Add what another one took in."""
        for name, sizes in other.sizes.items():
            self.sizes[name] += sizes

    def find_faults(self) -> Iterator[Finding]:
        """Yield what the sizes tell."""
        wrong = []
        for name, (low, high) in _LENGTHS_M.items():
            size = np.concatenate([np.zeros((0, 2), np.float32), *self.sizes.get(name, [])])
            if len(size) < _SOME:
                continue
            middle, wide = float(np.median(size[:, 0])), float((size[:, 1] > 1.1 * size[:, 0]).mean())
            if not low <= middle <= high:
                wrong.append((len(size), f"half of the {len(size)} boxes of {name} are {_compare(middle, low)} m long"))
            elif name in _LONG and wide > 0.9:
                wrong.append((len(size), f"{100 * wide:.0f} % of the {len(size)} boxes of {name} are wider than long"))
        if wrong:
            text = f"{' and '.join(text for _, text in wrong)}: other classes, units, or an order of sizes?"
            yield Finding("class-sizes", text, is_error=max(count for count, _ in wrong) >= _MANY)


def _compare(middle: float, low: float) -> str:
    return f"{middle:.2g} or {'less' if middle < low else 'more'}"
