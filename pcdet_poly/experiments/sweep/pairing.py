"""What all arms of a seed must share, as hashes: first weights, order of frames, augmented points."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Self

import numpy as np
import torch
from pydantic import BaseModel, ValidationError
from torch import Tensor

from pcdet_poly.config.schema import Config
from pcdet_poly.data.load.loader import load_training_batches
from pcdet_poly.engine.frames import open_training_frames
from pcdet_poly.engine.state import build_seeded_recipe
from pcdet_poly.engine.timeline import build_timeline
from pcdet_poly.engine.warm_start import warm_start
from pcdet_poly.errors import UserError
from pcdet_poly.files import read_checked_json
from pcdet_poly.structures import Batch

NUM_BATCHES = 2  # of the first epoch, and of the last


class Pairing(BaseModel, frozen=True):
    """The content of pairing.json: what a training starts from."""

    seed: int
    weights: dict[str, str]  # name of a tensor of the network -> hash
    batches: dict[str, dict[str, str]]  # "epoch 0, batch 1" -> "frames", "points" or "boxes" -> hash

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read pairing.json. Raises UserError where it is damaged."""
        try:
            return cls.model_validate(read_checked_json(path))
        except ValidationError:
            raise UserError(f"{path}: not what a trial started from; run the sweep again") from None


def compute_pairing(config: Config, folder: Path) -> Pairing:
    """Hash what the config's training in the new run `folder` starts from.

    An arm may add parts to the network; those that two arms share must be equal.
    """
    recipe = build_seeded_recipe(config, torch.device("cpu"))
    warm_start(recipe.model, config, folder)
    weights = {name: _hash_tensor(tensor) for name, tensor in recipe.model.state_dict().items()}
    batches = {name: _hash_batch(batch) for name, batch in _load_compared_batches(config)}
    return Pairing(seed=config.train.seed, weights=weights, batches=batches)


def find_mismatch(ours: Pairing, theirs: Pairing, *, same_network: bool = True) -> str | None:
    """Say what two trainings that should be paired do not share.

    Args:
        ours: what the one starts from.
        theirs: what the other starts from.
        same_network: whether first weights, points and boxes must be equal, too. Two detectors share the frames and
            their order, each with its own channels, augmentation and number of steps.

    Returns:
        None where they share everything.
    """
    if ours.seed != theirs.seed:
        return f"seed {ours.seed} against {theirs.seed}"
    if not same_network:
        shared = [name for name in ours.batches if name in theirs.batches]
        other = (name for name in shared if ours.batches[name]["frames"] != theirs.batches[name]["frames"])
        return next((f"other frames in {name}" for name in other), None)
    for name in ours.weights.keys() & theirs.weights.keys():
        if ours.weights[name] != theirs.weights[name]:
            return f"other first weights ({name})"
    for name, batch in ours.batches.items():
        for part, value in batch.items():
            if theirs.batches.get(name, {}).get(part) != value:
                return f"other {part} in {name}"
    return None


def _load_compared_batches(config: Config) -> Iterator[tuple[str, Batch]]:
    """Load the first batches of the first and of the last epoch, as training gets them."""
    frames = open_training_frames(config)
    here = config.model_copy(update={"data": config.data.model_copy(update={"workers": 0})})
    for epoch in sorted({0, build_timeline(config, frames).epochs - 1}):
        for number, batch in enumerate(islice(load_training_batches(here, frames, epoch=epoch), NUM_BATCHES)):
            yield f"epoch {epoch}, batch {number}", batch


def _hash_batch(batch: Batch) -> dict[str, str]:
    boxes = [rows.box for rows in batch.ground_truth]
    return {
        "frames": hashlib.sha256("\n".join(batch.frame_ids).encode()).hexdigest()[:16],
        "points": _hash_tensor(batch.points),
        "boxes": _hash_tensor(torch.cat(boxes)),
    }


def _hash_tensor(tensor: Tensor) -> str:
    values = np.ascontiguousarray(tensor.detach().cpu().numpy())
    return hashlib.sha256(str(values.shape).encode() + values.tobytes()).hexdigest()[:16]
