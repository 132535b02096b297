"""The table of kinds: which adapter runs our code on a reference file.

A file's kind is its name without what follows the last underscore: `mean_vfe_A.npz` is of kind `mean_vfe`.
An adapter takes the file's arrays by name and yields an `Output` for each that our code has to reproduce.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

from pcdet_poly.errors import UserError, suggest_word
from pcdet_poly.experiments.reference.output import Output

Arrays = Mapping[str, np.ndarray]
Adapter = Callable[[Arrays], Iterable[Output]]

ADAPTERS: dict[str, Adapter] = {}
# Known, but nothing of ours corresponds to them.
WITHOUT_COUNTERPART = (
    "pillarnext_augment",
    "pillarnext_backbone",
    "pillarnext_decode",
    "pillarnext_head",
    "pillarnext_loss",
    "pillarnext_neck",
    "pillarnext_reader",
    "pillarnext_schedule",
    "pillarnext_targets",
)


def find_kind(file: Path) -> str:
    """Return the kind of a reference file. Raises UserError where its name tells none."""
    known = (*ADAPTERS, *WITHOUT_COUNTERPART)
    kind = file.stem if file.stem in known else file.stem.rpartition("_")[0]
    if kind not in known:
        nearest = suggest_word(kind or file.stem, known) or f"; known kinds: {', '.join(known)}"
        raise UserError(f"{file}: the name of a reference file begins with its kind, as in mean_vfe_A.npz{nearest}")
    return kind
