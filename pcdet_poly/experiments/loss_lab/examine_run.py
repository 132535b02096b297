"""Run a finished run's detector once more: what its scores mean, and where its gradients came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pcdet_poly.config.schema import Config
from pcdet_poly.config.sections.losses import PolyConfig
from pcdet_poly.data.load.dataset import FrameDataset
from pcdet_poly.data.load.loader import load_evaluation_batches
from pcdet_poly.engine.checkpoint import load_checkpoint, load_model
from pcdet_poly.engine.frames import open_frames_to_evaluate
from pcdet_poly.engine.run import Run, open_run
from pcdet_poly.engine.state import build_seeded_recipe
from pcdet_poly.experiments.calibration import CalibrationCurve, compute_calibration
from pcdet_poly.losses import p_t_by_part
from pcdet_poly.models import Recipe
from pcdet_poly.ops.iou import iou_bev
from pcdet_poly.structures import Detections, GroundTruth

NUM_BINS = 50  # of P_t, over [0, 1]
RIGHT_IOU = 0.5  # a detection is right if it overlaps a label of its class by this much, seen from above
# What the lab calls a part of the heatmap -> what training logs it as: an anchor head has positives in place of peaks.
LOGGED_PARTS = {"peaks": ("peaks", "positives"), "background": ("background",), "all": ("all",)}


@dataclass
class PtHistogram:
    """Heatmap cells by P_t, and the sum of their P_t."""

    counts: np.ndarray = field(default_factory=lambda: np.zeros(NUM_BINS, np.int64))  # (NUM_BINS,) cells per bin
    total: float = 0.0

    def add(self, p_t: torch.Tensor) -> None:
        """Count the cells with these P_t (N,) in [0, 1]."""
        self.counts += torch.histc(p_t.cpu(), NUM_BINS, 0.0, 1.0).long().numpy()
        self.total += float(p_t.double().sum())


@dataclass(frozen=True)
class ShareLog:
    """The first polynomial's share of the gradient, as training logged it."""

    steps: np.ndarray  # (S,) steps with a logged share
    by_part: dict[str, np.ndarray]  # "peaks", "background" and "all" -> (S,); NaN where a step logged none

    def get_last(self) -> dict[str, float]:
        """Get the last share of each part that had one at the last step."""
        last = {part: float(values[-1]) for part, values in self.by_part.items() if len(values)}
        return {part: value for part, value in last.items() if np.isfinite(value)}


@dataclass(frozen=True)
class ExaminedRun:
    """What the lab draws of one run."""

    name: str
    epsilon: str
    peaks: np.ndarray  # (NUM_BINS,) cells with target 1 per bin of P_t = p
    background: np.ndarray  # (NUM_BINS,) the other cells per bin of P_t = 1 - p
    mean_p_t: dict[str, float]  # of "peaks" and "background"
    score: np.ndarray  # (N,) of every detection
    right: np.ndarray  # (N,) bool
    shares: ShareLog

    @cached_property
    def calibration(self) -> CalibrationCurve:
        """How often detections of each score are right."""
        return compute_calibration(self.score, self.right)

    def to_json(self) -> dict[str, object]:
        """Convert the numbers behind the figure to plain types."""
        return {
            "run": self.name,
            "epsilon": self.epsilon,
            "mean_p_t": self.mean_p_t,
            "detections": len(self.score),
            "calibration_error": self.calibration.error,
            "last_first_term_share": self.shares.get_last(),
        }


def examine_run(
    folder: Path, overrides: list[str], device: torch.device, *, num_frames: int, checkpoint: str = "last"
) -> ExaminedRun:
    """Run the detector in `folder` over about `num_frames` evenly spaced frames of its validation data.

    Args:
        folder: run folder that training made.
        overrides: settings that win over the run's, as on the command line: `data.val=["STORE"]`.
        device: where the detector runs.
        num_frames: about how many frames to look at.
        checkpoint: `last`, `best`, or another name that `Run.find_checkpoint` knows.

    Returns:
        Histograms of P_t, scores of all detections, and the shares that training logged.

    Raises:
        UserError: `folder` is not a run, or has no such checkpoint.
    """
    run = open_run(folder, overrides, device)
    frames = pick_frames(run.config, num_frames)
    path = run.find_checkpoint(checkpoint)
    recipe = build_seeded_recipe(run.config, device)
    load_model(recipe.model, load_checkpoint(path), path, run.config)
    peaks, background = PtHistogram(), PtHistogram()
    histograms = {"peaks": peaks, "background": background}
    score, right = _examine_frames(run, recipe, frames, histograms)
    return ExaminedRun(
        name=folder.name,
        epsilon=_format_epsilon(run.config),
        peaks=peaks.counts,
        background=background.counts,
        mean_p_t={part: each.total / each.counts.sum() for part, each in histograms.items() if each.counts.any()},
        score=score,
        right=right,
        shares=read_shares(run),
    )


def read_shares(run: Run) -> ShareLog:
    """Read from a run's log which share of the gradient the first polynomial carried."""
    lines = [line for line in run.read_log() if any(name.startswith("first_term_share/") for name in line)]
    steps = np.array([line["step"] for line in lines], dtype=np.int64)
    shares = {part: np.array([_find_share(line, names) for line in lines]) for part, names in LOGGED_PARTS.items()}
    return ShareLog(steps, shares)


def _find_share(line: Mapping[str, Any], names: tuple[str, ...]) -> float:
    """Find what a log line says under the first of `names` that it has; NaN where it has none."""
    return next((line[key] for name in names if (key := f"first_term_share/{name}") in line), np.nan)


def find_right_detections(detections: Detections, labels: GroundTruth) -> np.ndarray:
    """Find the detections, (N,) bool, that overlap a label of their class with bird's-eye IoU of at least RIGHT_IOU."""
    if not len(detections) or not len(labels):
        return np.zeros(len(detections), bool)
    overlap = iou_bev(detections.box.cpu(), labels.box.cpu()).numpy()  # (N, M)
    same_class = detections.label.cpu().numpy()[:, None] == labels.label.cpu().numpy()[None]
    right: np.ndarray = ((overlap >= RIGHT_IOU) & same_class).any(axis=1)
    return right


@torch.no_grad()
def _examine_frames(
    run: Run, recipe: Recipe, frames: FrameDataset, histograms: Mapping[str, PtHistogram]
) -> tuple[np.ndarray, np.ndarray]:
    """Count the cells of "peaks" and "background", and return score (N,) and rightness (N,) of all detections."""
    recipe.model.eval()
    score, right = [np.zeros(0, np.float32)], [np.zeros(0, bool)]
    for batch in load_evaluation_batches(run.config, frames):
        moved = batch.to(run.device)
        maps = recipe.model(moved)
        for part, p_t in p_t_by_part(maps, recipe.assign(moved)).items():
            histograms[part].add(p_t)
        detections = recipe.decode(maps)
        score.extend(each.score.cpu().numpy() for each in detections)
        right.extend(find_right_detections(*pair) for pair in zip(detections, moved.ground_truth, strict=True))
    return np.concatenate(score), np.concatenate(right)


def pick_frames(config: Config, num_frames: int) -> FrameDataset:
    """Pick about `num_frames` evenly spaced frames of the config's validation data."""
    everything = open_frames_to_evaluate(config)
    every = config.data.val_every * max(len(everything) // num_frames, 1)
    return FrameDataset(config.data.val, every=every)


def _format_epsilon(config: Config) -> str:
    """Format the coefficients of the run's loss; a loss from outside the package may have none, and has its kind."""
    cfg = config.classification
    if not isinstance(cfg, PolyConfig):
        return cfg.kind
    if cfg.num_terms is not None:
        return f"Drop-{cfg.num_terms}"
    value = cfg.epsilons or cfg.epsilon
    listed = value if isinstance(value, tuple) else (value,)
    return "eps " + ", ".join(f"{number:g}" for number in listed)
