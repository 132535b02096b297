"""A detector over a dataset -> AP table, detections, pictures."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pcdet_poly.config.schema import Config
from pcdet_poly.data.dataset import FrameDataset
from pcdet_poly.data.loader import evaluation_batches
from pcdet_poly.engine.progress import progress
from pcdet_poly.evaluation import ApTable, Evaluator, write_detections
from pcdet_poly.files import write_json
from pcdet_poly.models import Recipe
from pcdet_poly.structures import Batch, Detections, GroundTruth
from pcdet_poly.visualization.bev import draw_bev


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found."""

    table: ApTable
    frame_ids: tuple[str, ...]
    detections: tuple[Detections, ...]  # one per frame, on the host


@torch.inference_mode()
def detect(recipe: Recipe, batch: Batch, device: torch.device, *, mixed_precision: bool) -> tuple[Detections, ...]:
    """Detections of each frame of `batch`, on the host."""
    recipe.model.eval()
    with torch.autocast(device.type, torch.bfloat16, enabled=mixed_precision):
        maps = recipe.model(batch.to(device, non_blocking=True))
    return tuple(found.numpy() for found in recipe.decode(maps))
