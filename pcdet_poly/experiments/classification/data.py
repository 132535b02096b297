"""What the network learns: two-digit numbers, which are 100 classes, and digits some of whose labels are wrong."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pcdet_poly.experiments.mnist_digits import load_mnist_digits

DataName = Literal["numbers", "noisy digits"]
NUM_DIGITS = 10
NOISE = 0.4  # share of the training labels of "noisy digits" that are drawn anew from all ten
NUM_NUMBERS = 5000  # images of two digits to train on, composed from one half of the digits
NUM_TEST_NUMBERS = 4000  # composed from the other half
NUM_NOISY = 1000  # digits to train on


@dataclass(frozen=True)
class ImageSplit:
    """Images (N, 1, H, W) in [0, 1] with labels (N,) int64 to train on, and others to test on, with right labels."""

    train_image: Tensor
    train_label: Tensor
    test_image: Tensor
    test_label: Tensor
    num_classes: int


def split_images(data: DataName, seed: int) -> ImageSplit:
    """Split the digits at random into those to train on and those to test on, another split for every seed."""
    rng = np.random.default_rng(seed)
    image, label = load_small_digits()
    order = torch.from_numpy(rng.permutation(len(label)))
    if data == "noisy digits":
        train, test = order[:NUM_NOISY], order[NUM_NOISY:]
        return ImageSplit(image[train], spoil_labels(label[train], rng), image[test], label[test], NUM_DIGITS)
    train, test = order[: len(order) // 2], order[len(order) // 2 :]
    return ImageSplit(
        *compose_numbers(image[train], label[train], NUM_NUMBERS, rng),
        *compose_numbers(image[test], label[test], NUM_TEST_NUMBERS, rng),
        NUM_DIGITS**2,
    )


@cache
def load_small_digits() -> tuple[Tensor, Tensor]:
    """Load all digits at half their size, (N, 1, 14, 14) in [0, 1], with labels (N,)."""
    digits = load_mnist_digits()
    image = torch.from_numpy(digits.image).float().unsqueeze(1) / 255
    return F.avg_pool2d(image, 2), torch.from_numpy(digits.label)


def compose_numbers(image: Tensor, label: Tensor, num: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Put pairs of digits drawn at random beside each other.

    Args:
        image: (N, 1, H, W) digits.
        label: (N,) their values.
        num: pairs.
        rng: draws them.

    Returns:
        Images (num, 1, H, 2 W) and the numbers (num,), 0 to 99, that they show.
    """
    left, right = torch.from_numpy(rng.integers(len(label), size=(2, num)))
    return torch.cat([image[left], image[right]], dim=-1), NUM_DIGITS * label[left] + label[right]


def spoil_labels(label: Tensor, rng: np.random.Generator) -> Tensor:
    """Draw a share NOISE of the labels (N,) anew, so that nine tenths of these become wrong."""
    drawn = torch.from_numpy(rng.integers(NUM_DIGITS, size=len(label)))
    return torch.where(torch.from_numpy(rng.random(len(label)) < NOISE), drawn, label)
