"""scikit-learn's 1,797 real handwritten digits (8 x 8 pixels), split at random."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from pcdet_poly.errors import UserError

NUM_CLASSES = 10
NUM_DIGITS = 1797  # in the data set


@dataclass(frozen=True)
class DigitsSplit:
    """Images (N, 1, 8, 8) in [0, 1] and labels (N,) int64 to train on, and others to test on."""

    train_image: Tensor
    train_label: Tensor
    test_image: Tensor
    test_label: Tensor


def split_digits(seed: int, *, num_train: int) -> DigitsSplit:
    """Split the digits at random: `num_train` to train on and all others to test on, another split for every seed."""
    image, label = _load_digits()
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(label)))
    train, test = order[:num_train], order[num_train:]
    return DigitsSplit(image[train], label[train], image[test], label[test])


@lru_cache(maxsize=1)
def _load_digits() -> tuple[Tensor, Tensor]:
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise UserError(
            "scikit-learn is not installed, and its digits come with it; pip install scikit-learn"
        ) from None
    data = load_digits()
    return torch.from_numpy(data.images).float().unsqueeze(1) / 16, torch.from_numpy(data.target).long()
