"""What all arms of a seed must share, as hashes: first weights, order of frames, augmented points."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pcdet_poly.config.schema import Config
from pcdet_poly.data.load.loader import training_batches
from pcdet_poly.engine.frames import training_frames
from pcdet_poly.engine.plan import plan_of
from pcdet_poly.engine.state import seeded_recipe
from pcdet_poly.engine.warm_start import warm_start
from pcdet_poly.structures import Batch

NUM_BATCHES = 2  # of the first epoch, and of the last


def pairing_of(config: Config, folder: Path) -> dict[str, Any]:
    """Hashes of what the config's training in the new run `folder` starts from: by tensor of the network, by batch.

    An arm may add parts to the network; those that two arms share must be equal.
    """
    recipe = seeded_recipe(config, torch.device("cpu"))
    warm_start(recipe.model, config, folder)
    weights = {name: _hash(tensor) for name, tensor in recipe.model.state_dict().items()}
    batches = {place: _hash_of_batch(batch) for place, batch in _some_batches(config)}
    return {"seed": config.train.seed, "weights": weights, "batches": batches}


def first_mismatch(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str | None:
    """What two trainings that should be paired do not share, in words; None where they share everything."""
    if ours["seed"] != theirs["seed"]:
        return f"seed {ours['seed']} against {theirs['seed']}"
    for name in ours["weights"].keys() & theirs["weights"].keys():
        if ours["weights"][name] != theirs["weights"][name]:
            return f"other first weights ({name})"
    for place, batch in ours["batches"].items():
        for part, value in batch.items():
            if theirs["batches"].get(place, {}).get(part) != value:
                return f"other {part} in {place}"
    return None


def _some_batches(config: Config) -> Iterator[tuple[str, Batch]]:
    """The first batches of the first and of the last epoch, as training gets them."""
    frames = training_frames(config)
    here = config.model_copy(update={"data": config.data.model_copy(update={"workers": 0})})
    for epoch in sorted({0, plan_of(config, frames).epochs - 1}):
        for number, batch in enumerate(islice(training_batches(here, frames, epoch=epoch), NUM_BATCHES)):
            yield f"epoch {epoch}, batch {number}", batch


def _hash_of_batch(batch: Batch) -> dict[str, str]:
    boxes = [rows.box for rows in batch.ground_truth]
    return {
        "frames": hashlib.sha256("\n".join(batch.frame_ids).encode()).hexdigest()[:16],
        "points": _hash(batch.points),
        "boxes": _hash(torch.cat(boxes)),
    }


def _hash(tensor: Tensor) -> str:
    values = np.ascontiguousarray(tensor.detach().cpu().numpy())
    return hashlib.sha256(str(values.shape).encode() + values.tobytes()).hexdigest()[:16]
