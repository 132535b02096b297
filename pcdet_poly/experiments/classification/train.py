"""Train one arm with one seed and test it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pcdet_poly.experiments.calibration import compute_calibration
from pcdet_poly.experiments.classification.arms import Arm
from pcdet_poly.experiments.classification.data import DataName, ImageSplit, split_images
from pcdet_poly.experiments.classification.gradients import GradientRecord, RunningMatch, record_gradients
from pcdet_poly.experiments.classification.network import build_network

RECORD_EVERY = 10  # steps
_TEST_BATCH = 500  # images
# Cross-entropy learns numbers as well at .6, worse at .1 and at 1. At .1 it learns the noise of digits by heart.
LEARNING_RATES: dict[DataName, float] = {"numbers": 0.3, "noisy digits": 0.1}


@dataclass(frozen=True)
class TrainingSettings:
    """How every arm trains: SGD with momentum and a cosine schedule, as in the paper."""

    num_steps: int = 500
    batch_size: int = 50
    momentum: float = 0.9
    weight_decay: float = 1e-4


@dataclass(frozen=True)
class TrialResult:
    """What one training scored on the test images, and what was measured during training."""

    accuracy: float
    cross_entropy: float
    calibration_error: float
    mean_p_t: float
    records: tuple[GradientRecord, ...]  # one every RECORD_EVERY steps


def train_arm(arm: Arm, seed: int, settings: TrainingSettings) -> TrialResult:
    """Train once and test.

    Args:
        arm: the loss, the data, a factor of the learning rate.
        seed: decides split, noise, first weights and order of the images, the same for every arm.
        settings: length of the training.

    Returns:
        Scores and measurements.
    """
    split = split_images(arm.data, seed)
    torch.manual_seed(seed)
    network = build_network(split.num_classes)
    rate = LEARNING_RATES[arm.data] * arm.rate_factor
    optimizer = torch.optim.SGD(
        network.parameters(), lr=rate, momentum=settings.momentum, weight_decay=settings.weight_decay
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 0.5 + 0.5 * math.cos(math.pi * step / settings.num_steps)
    )
    match, records = RunningMatch() if arm.is_matched else None, []
    for step, batch in enumerate(draw_batches(len(split.train_label), seed, settings)):
        logits, label = network(split.train_image[batch]), split.train_label[batch]
        if step % RECORD_EVERY == 0:
            records.append(record_gradients(arm, logits, label, step=step))
        loss = arm.compute_loss(logits, label).mean()
        if match is not None:
            loss = loss * match.update(arm, logits, label)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return _test_network(network, split, tuple(records))


def draw_batches(num_images: int, seed: int, settings: TrainingSettings) -> list[Tensor]:
    """Draw the images of every step.

    Args:
        num_images: to train on.
        seed: of the order.
        settings: number and size of the batches.

    Returns:
        Per step the places (batch_size,) of its images; each image comes once before any comes again.
    """
    generator = torch.Generator().manual_seed(seed)
    per_epoch = num_images // settings.batch_size
    epochs = -(-settings.num_steps // per_epoch)
    orders = [torch.randperm(num_images, generator=generator) for _ in range(epochs)]
    starts = range(0, per_epoch * settings.batch_size, settings.batch_size)
    batches = [order[start : start + settings.batch_size] for order in orders for start in starts]
    return batches[: settings.num_steps]


@torch.no_grad()
def _test_network(network: nn.Module, split: ImageSplit, records: tuple[GradientRecord, ...]) -> TrialResult:
    network.eval()
    starts = range(0, len(split.test_image), _TEST_BATCH)
    logits = torch.cat([network(split.test_image[start : start + _TEST_BATCH]) for start in starts])
    p = logits.softmax(-1)
    confidence, answer = p.max(-1)
    right = answer == split.test_label
    return TrialResult(
        accuracy=float(right.float().mean()),
        cross_entropy=float(F.cross_entropy(logits, split.test_label)),
        calibration_error=compute_calibration(confidence.numpy(), right.numpy()).error,
        mean_p_t=float(p.gather(-1, split.test_label[:, None]).mean()),
        records=records,
    )
