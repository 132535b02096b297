"""A trained run as one function: points -> detections."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from pcdet_poly.checks.points import drop_broken_points, find_point_faults
from pcdet_poly.config.schema import Config
from pcdet_poly.data.convert.point_clouds import COLUMNS
from pcdet_poly.data.load.loader import make_batch
from pcdet_poly.engine.checkpoint import load_checkpoint, load_model
from pcdet_poly.engine.environment import pick_device
from pcdet_poly.engine.evaluate import detect
from pcdet_poly.engine.run import Run, open_run
from pcdet_poly.engine.state import build_seeded_recipe
from pcdet_poly.errors import UserError
from pcdet_poly.models import Recipe
from pcdet_poly.models.fuse import fuse_for_inference, fuse_recipe
from pcdet_poly.structures import Batch, Detections, Frame, GroundTruth

if TYPE_CHECKING:
    from pcdet_poly.engine.runtimes import Runtime


class Detector:
    """A detector ready to use.

    >>> detector = Detector.load("runs/quick")
    >>> found = detector(points)
    >>> found.box, found.score, [detector.class_names[i] for i in found.label]
    """

    def __init__(self, recipe: Recipe, config: Config, device: torch.device) -> None:
        self.config = config
        self.device = device
        self.class_names = config.data.classes
        self.recipe = recipe
        self.model = recipe.model.eval()  # Batch -> maps
        self._fused = replace(recipe, model=self._fuse())
        self._mixed_precision = config.train.mixed_precision

    @classmethod
    def load(
        cls, run: str | Path, *, checkpoint: str = "last", device: str = "auto", runtime: Runtime = "torch"
    ) -> Detector:
        """Load the detector that a training left in a folder.

        Args:
            run: folder of the run.
            checkpoint: `last`, `best`, or a file.
            device: `auto`, `cpu` or `cuda`.
            runtime: what runs the network on a CPU; see `open_network`.

        Raises:
            UserError: where there is no run or no checkpoint, or the runtime is not installed.
        """
        return cls.from_run(open_run(Path(run), [], pick_device(device)), checkpoint=checkpoint, runtime=runtime)

    @classmethod
    def from_run(cls, run: Run, *, checkpoint: str, runtime: Runtime = "torch") -> Detector:
        """Load the detector of a run that is open, with the settings it was opened with.

        Args:
            run: the run.
            checkpoint: `last`, `best`, or a file.
            runtime: what runs the network on a CPU; see `open_network`.
        """
        path = run.find_checkpoint(checkpoint)
        recipe = build_seeded_recipe(run.config, run.device)
        load_model(recipe.model, load_checkpoint(path), path, run.config)
        detector = cls(recipe, run.config, run.device)
        if runtime != "torch":
            detector._use_runtime(runtime, path)
        return detector

    def _fuse(self) -> nn.Module:
        """Make the network ready for inference; averages over mirror images need maps of all cells."""
        if self.config.evaluation.test_time_flips == "none":
            return fuse_recipe(self.recipe)
        return fuse_for_inference(self.recipe.model)

    def _use_runtime(self, runtime: Runtime, checkpoint: Path) -> None:
        from pcdet_poly.engine.runtimes import open_network

        kind = self.config.train.mixed_precision
        network = open_network(
            self.recipe.model,
            runtime,
            checkpoint=checkpoint,
            mixed_precision=kind,
            device=self.device,
            fused=self._fused.model,
        )
        self._fused = replace(self.recipe, model=network.model)
        self._mixed_precision = network.mixed_precision

    def __call__(self, points: np.ndarray) -> Detections:
        """Detect in one cloud.

        Args:
            points: (P, 3 to 5) x, y, z in metres (x forward, y left, z up, ground near z = 0), raw intensity,
                elongation; columns that are missing count as 0.

        Returns:
            Boxes by descending score, on the host. Labels point into `class_names`.
        """
        return self.detect([build_frame(points)])[0]

    def detect(self, frames: list[Frame]) -> tuple[Detections, ...]:
        """Detect in each frame, in one pass of the network.

        Points that have a number which is not finite are left out: one of them would spoil a fifth of the map. They
        are counted in a warning, and so is what does not look like a cloud in metres with raw intensities.

        Raises:
            UserError: where points are not in metres around the vehicle.
        """
        return self.detect_batch(make_batch([_check_frame(frame) for frame in frames], self.config))

    def detect_batch(self, batch: Batch) -> tuple[Detections, ...]:
        """Detect in each frame of a batch that was made for this config."""
        return detect(
            self._fused,
            batch,
            self.device,
            mixed_precision=self._mixed_precision,
            flips=self.config.evaluation.test_time_flips,
        )


def _check_frame(frame: Frame) -> Frame:
    """Return `frame` without broken points; warn of what may be meant."""
    points = drop_broken_points(frame.points)
    if len(points) < len(frame.points):
        lost = len(frame.points) - len(points)
        warnings.warn(f"{frame.frame_id}: {lost} points are not finite and were left out", stacklevel=4)
    for finding in find_point_faults(points, frame.columns):
        if finding.is_error:
            raise UserError(f"{frame.frame_id}: {finding.text}")
        warnings.warn(f"{frame.frame_id}: {finding.text}", stacklevel=4)
    return frame if points is frame.points else replace(frame, points=points)


def build_frame(points: np.ndarray) -> Frame:
    """Return a frame of nothing but points (P, 3 to 5)."""
    points = np.asarray(points)
    if points.ndim != 2 or not 3 <= points.shape[1] <= len(COLUMNS):
        raise ValueError(f"points: shape {points.shape} given, (P, 3 to 5) needed: {', '.join(COLUMNS)}")
    columns = np.zeros((len(points), len(COLUMNS)), np.float32)
    columns[:, : points.shape[1]] = points
    return Frame(columns, GroundTruth.empty(), np.eye(4), timestamp_us=0, segment="points", columns=COLUMNS)
