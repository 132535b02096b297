"""Train one detector with one arm and one seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from pcdet_poly.experiments.image_detection.arms import LOSSES, Arm, ArmLoss, DetectorName
from pcdet_poly.experiments.image_detection.detectors import build_detector
from pcdet_poly.experiments.image_detection.scenes import Scene


@dataclass(frozen=True)
class TrainingSchedule:
    """How long every arm trains: AdamW, one cycle of the learning rate."""

    steps: int
    batch_size: int = 4
    num_scenes: int = 800  # to train on; every seed composes others
    learning_rate: float = 3e-3
    weight_decay: float = 1e-3


def train_detector(
    name: DetectorName, arm: Arm, seed: int, schedule: TrainingSchedule, scenes: Sequence[Scene]
) -> nn.Module:
    """Train a detector.

    Args:
        name: which detector.
        arm: its classification loss.
        seed: of the first weights and the order of the scenes, the same in every arm.
        schedule: length of the training.
        scenes: to train on.

    Returns:
        The detector, ready to detect.
    """
    torch.manual_seed(seed)
    model = build_detector(name, ArmLoss(LOSSES[name], arm)).train()
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=schedule.weight_decay, fused=True)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, schedule.learning_rate, total_steps=schedule.steps, pct_start=0.15
    )
    order = np.random.default_rng(seed)
    prepared = [prepare_scene(scene) for scene in scenes]
    for _ in range(schedule.steps):
        chosen = [prepared[number] for number in order.integers(len(prepared), size=schedule.batch_size)]
        losses = model([image for image, _ in chosen], [target for _, target in chosen])
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        cycle.step()
    return model.eval()


def prepare_scene(scene: Scene) -> tuple[Tensor, dict[str, Tensor]]:
    """Convert a scene to what torchvision's detectors train on: an image (3, H, W) in [0, 1] and its targets."""
    image = torch.from_numpy(scene.image).permute(2, 0, 1) / 255
    target = {
        "boxes": torch.from_numpy(scene.boxes),
        "labels": torch.from_numpy(scene.labels) + 1,  # 0 is the background
        "masks": torch.from_numpy(scene.masks).to(torch.uint8),
    }
    return image, target
