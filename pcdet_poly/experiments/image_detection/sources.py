"""Real digits and real photographs, out of the packages that carry them: nothing is fetched."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from pcdet_poly.experiments.mnist_digits import find_package_file, load_mnist_digits

Part = Literal["train", "val"]
TRAIN_SHARE = 0.8  # of the digits of every class
PHOTOGRAPHS: dict[Part, tuple[str, ...]] = {"train": ("china.jpg",), "val": ("flower.jpg",)}


@dataclass(frozen=True)
class Sources:
    """What the scenes of one part are composed from."""

    digits: np.ndarray  # (N, 28, 28) float32 in [0, 1], ink on nothing
    labels: np.ndarray  # (N,) int64, 0 to 9
    photographs: tuple[np.ndarray, ...]  # (H, W, 3) uint8 each


@cache
def load_sources(part: Part) -> Sources:
    """Load the digits and photographs of one part; "train" and "val" share none of either."""
    found = load_mnist_digits()
    digits, labels = found.image.astype(np.float32) / 255, found.label
    chosen = np.concatenate([_choose_digits(labels, label, part) for label in range(10)])
    return Sources(digits[chosen], labels[chosen], tuple(_load_photograph(name) for name in PHOTOGRAPHS[part]))


def _choose_digits(labels: np.ndarray, label: int, part: Part) -> np.ndarray:
    places = np.flatnonzero(labels == label)
    cut = round(TRAIN_SHARE * len(places))
    return places[:cut] if part == "train" else places[cut:]


def _load_photograph(name: str) -> np.ndarray:
    from PIL import Image

    with Image.open(find_package_file("sklearn", "datasets", "images", name)) as image:
        return np.asarray(image.convert("RGB"))
