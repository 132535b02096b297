"""Finished runs: what their scores mean, and where their gradients came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pcdet_poly.config.schema import Config
from pcdet_poly.data.load.dataset import FrameDataset
from pcdet_poly.data.load.loader import evaluation_batches
from pcdet_poly.engine.checkpoint import load_checkpoint, load_model
from pcdet_poly.engine.frames import frames_to_evaluate
from pcdet_poly.engine.run import Run, open_run
from pcdet_poly.engine.state import seeded_recipe
from pcdet_poly.losses import p_t_by_part
from pcdet_poly.models import Recipe
from pcdet_poly.ops.iou import iou_bev
from pcdet_poly.structures import Detections, GroundTruth

NUM_BINS = 50  # of P_t, over [0, 1]
NUM_SCORE_BINS = 10
RIGHT_IOU = 0.5  # a detection is right if it overlaps a label of its class by this much, seen from above


@dataclass(frozen=True)
class RunStudy:
    """What the lab draws of one run."""

    name: str
    epsilon: str
    peaks: np.ndarray  # (NUM_BINS,) cells with target 1 per bin of P_t = p
    background: np.ndarray  # (NUM_BINS,) the other cells per bin of P_t = 1 - p
    mean_p_t: dict[str, float]  # of "peaks" and "background"
    score: np.ndarray  # (N,) of every detection
    right: np.ndarray  # (N,) bool
    share_steps: np.ndarray  # (S,) steps with a logged share
    shares: dict[str, np.ndarray]  # "peaks", "background", "all" -> (S,); NaN where a step logged none

    def calibration(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As the function `calibration`."""
        return calibration(self.score, self.right)

    def calibration_error(self) -> float:
        """As the function `calibration_error`."""
        return calibration_error(self.score, self.right)

    def summary(self) -> dict[str, object]:
        """The numbers behind the figure, as plain types."""
        last = {name: float(values[-1]) for name, values in self.shares.items() if len(values)}
        return {
            "run": self.name,
            "epsilon": self.epsilon,
            "mean_p_t": self.mean_p_t,
            "detections": len(self.score),
            "calibration_error": self.calibration_error(),
            "last_first_term_share": {name: value for name, value in last.items() if np.isfinite(value)},
        }


def calibration(score: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean score, share of right detections and number of detections per score bin; empty bins left out."""
    bins = np.minimum((score * NUM_SCORE_BINS).astype(int), NUM_SCORE_BINS - 1)
    count = np.bincount(bins, minlength=NUM_SCORE_BINS)
    some = count > 0
    mean_score = np.bincount(bins, score, minlength=NUM_SCORE_BINS)[some] / count[some]
    share_right = np.bincount(bins, right, minlength=NUM_SCORE_BINS)[some] / count[some]
    return mean_score, share_right, count[some]


def calibration_error(score: np.ndarray, right: np.ndarray) -> float:
    """Mean |score - share of right ones| over detections, by bins (the usual expected calibration error)."""
    mean_score, share_right, count = calibration(score, right)
    return float(np.sum(np.abs(mean_score - share_right) * count) / max(count.sum(), 1))


def study_run(
    folder: Path, overrides: list[str], device: torch.device, *, num_frames: int, checkpoint: str = "last"
) -> RunStudy:
    """Run the detector in `folder` over about `num_frames` evenly spaced frames of its validation data."""
    run = open_run(folder, overrides, device)
    frames = _some(run.config, num_frames)
    path = run.find_checkpoint(checkpoint)
    recipe = seeded_recipe(run.config, device)
    load_model(recipe.model, load_checkpoint(path), path, run.config)
    cells, score, right = _over_frames(run, recipe, frames)
    steps, shares = logged_shares(run)
    return RunStudy(
        name=folder.name,
        epsilon=_named_epsilon(run.config),
        peaks=cells["peaks"].counts,
        background=cells["background"].counts,
        mean_p_t={name: tally.total / tally.counts.sum() for name, tally in cells.items() if tally.counts.any()},
        score=score,
        right=right,
        share_steps=steps,
        shares=shares,
    )


def logged_shares(run: Run) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Steps, and the first polynomial's share of the gradient that training logged there."""
    lines = [line for line in run.read_log() if any(name.startswith("first_term_share/") for name in line)]
    steps = np.array([line["step"] for line in lines], dtype=np.int64)
    names = {"peaks": ("peaks", "positives"), "background": ("background",), "all": ("all",)}
    return steps, {name: np.array([_share(line, logged) for line in lines]) for name, logged in names.items()}


def _share(line: Mapping[str, Any], names: tuple[str, ...]) -> float:
    """What a log line says under the first of `names` that it has; NaN where it has none."""
    return next((line[key] for name in names if (key := f"first_term_share/{name}") in line), np.nan)


def right_detections(detections: Detections, labels: GroundTruth) -> np.ndarray:
    """(N,) bool: overlaps a label of its class with bird's-eye IoU of at least RIGHT_IOU."""
    if not len(detections) or not len(labels):
        return np.zeros(len(detections), bool)
    overlap = iou_bev(detections.box.cpu(), labels.box.cpu()).numpy()  # (N, M)
    same = detections.label.cpu().numpy()[:, None] == labels.label.cpu().numpy()[None]
    found: np.ndarray = ((overlap >= RIGHT_IOU) & same).any(axis=1)
    return found


@dataclass
class _Tally:
    """Counts per bin of P_t, and its sum, over the cells seen so far."""

    counts: np.ndarray = field(default_factory=lambda: np.zeros(NUM_BINS, np.int64))
    total: float = 0.0

    def add(self, p_t: torch.Tensor) -> None:
        self.counts += torch.histc(p_t.cpu(), NUM_BINS, 0.0, 1.0).long().numpy()
        self.total += float(p_t.double().sum())


@torch.no_grad()
def _over_frames(run: Run, recipe: Recipe, frames: FrameDataset) -> tuple[dict[str, _Tally], np.ndarray, np.ndarray]:
    """Tallies of "peaks" and "background", and score and rightness of all detections."""
    recipe.model.eval()
    cells = {"peaks": _Tally(), "background": _Tally()}
    score, right = [np.zeros(0, np.float32)], [np.zeros(0, bool)]
    for batch in evaluation_batches(run.config, frames):
        moved = batch.to(run.device)
        maps = recipe.model(moved)
        for name, p_t in p_t_by_part(maps, recipe.assign(moved)).items():
            cells[name].add(p_t)
        found = recipe.decode(maps)
        score.extend(each.score.cpu().numpy() for each in found)
        right.extend(right_detections(*pair) for pair in zip(found, moved.ground_truth, strict=True))
    return cells, np.concatenate(score), np.concatenate(right)


def _some(config: Config, num_frames: int) -> FrameDataset:
    everything = frames_to_evaluate(config)
    every = config.data.val_every * max(len(everything) // num_frames, 1)
    return FrameDataset(config.data.val, every=every)


def _named_epsilon(config: Config) -> str:
    cfg = config.classification
    if cfg.num_terms is not None:
        return f"Drop-{cfg.num_terms}"
    value = cfg.epsilons or cfg.epsilon
    listed = value if isinstance(value, tuple) else (value,)
    return "eps " + ", ".join(f"{number:g}" for number in listed)
