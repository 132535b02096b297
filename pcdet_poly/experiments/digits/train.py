"""Train one arm with one seed, or all arms with all seeds, and test on the held-out digits."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pcdet_poly.experiments.calibration import compute_calibration
from pcdet_poly.experiments.digits.arms import Arm
from pcdet_poly.experiments.digits.data import NUM_CLASSES, DigitsSplit, split_digits
from pcdet_poly.experiments.digits.network import build_residual_net
from pcdet_poly.losses import drop_n_cross_entropy, poly1_cross_entropy
from pcdet_poly.names.shown_names import print_line

SHARE_EVERY = 5  # steps between two measurements of the first polynomial's share


@dataclass(frozen=True)
class TrainingSchedule:
    """How long every arm trains, and on how much: SGD with momentum 0.9 and a cosine schedule, as in the paper."""

    num_train: int = 500
    epochs: int = 20
    batch_size: int = 50
    learning_rate: float = 0.1
    weight_decay: float = 1e-4

    @property
    def batches_per_epoch(self) -> int:
        """Whole batches in one epoch."""
        return self.num_train // self.batch_size

    @property
    def num_steps(self) -> int:
        """Optimizer steps over all epochs."""
        return self.epochs * self.batches_per_epoch

    def compute_rate(self, step: int) -> float:
        """The cosine's share of the learning rate at a step: 1 at the start, towards 0 at the end."""
        return 0.5 + 0.5 * math.cos(math.pi * step / self.num_steps)


@dataclass(frozen=True)
class FirstShare:
    """How much of cross-entropy's gradient the first polynomial, 1 - P_t, carries on one batch."""

    measured: float  # sum |d(1 - P_t)/dlogit| divided by sum |dCE/dlogit|, both by autograd
    expected: float  # what P_t alone predicts of it
    largest_error: float  # over the digits of the batch: |share of the digit - its P_t|


@dataclass(frozen=True)
class TrainingOutcome:
    """What one training scored on the test digits, and what its first polynomial did during training."""

    accuracy: float
    cross_entropy: float
    calibration_error: float
    mean_p_t: float
    first_shares: tuple[FirstShare, ...]  # one every SHARE_EVERY steps


def train_arms(
    arms: Sequence[Arm], seeds: Sequence[int], schedule: TrainingSchedule
) -> dict[Arm, list[TrainingOutcome]]:
    """Train every arm with every seed, one after the other, and tell on stderr how long the rest will take.

    Args:
        arms: losses to compare.
        seeds: seeds of every arm's trainings.
        schedule: length and size of every training.

    Returns:
        For each arm one outcome per seed, in the order of `seeds`.
    """
    torch.set_num_threads(1)  # the network is too small to share
    outcomes: dict[Arm, list[TrainingOutcome]] = {}
    started = time.perf_counter()
    for number, arm in enumerate(arms, start=1):
        outcomes[arm] = [train_arm(arm, seed, schedule) for seed in seeds]
        seconds = time.perf_counter() - started
        left = seconds / number * (len(arms) - number)
        print_line(f"{number}/{len(arms)} {arm.name}: {seconds:.0f} s, about {left:.0f} s to go", file=sys.stderr)
    return outcomes


def train_arm(arm: Arm, seed: int, schedule: TrainingSchedule) -> TrainingOutcome:
    """Train once and test.

    Args:
        arm: the loss, and a factor of the learning rate.
        seed: decides the split, the first weights and the order of the digits, the same for every arm.
        schedule: length and size of the training.

    Returns:
        The scores on the test digits and the shares measured during training.
    """
    split = split_digits(seed, num_train=schedule.num_train)
    torch.manual_seed(seed)
    net = build_residual_net(NUM_CLASSES)
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0, momentum=0.9, weight_decay=schedule.weight_decay)
    order = torch.Generator().manual_seed(seed)
    shares: list[FirstShare] = []
    for step in range(schedule.num_steps):
        number = step % schedule.batches_per_epoch
        if number == 0:
            shuffled = torch.randperm(schedule.num_train, generator=order)
        batch = shuffled[number * schedule.batch_size : (number + 1) * schedule.batch_size]
        for group in optimizer.param_groups:
            group.update(lr=schedule.learning_rate * arm.rate_factor * schedule.compute_rate(step))
        logits, label = net(split.train_image[batch]), split.train_label[batch]
        if step % SHARE_EVERY == 0:
            shares.append(measure_first_share(logits.detach(), label))
        optimizer.zero_grad()
        arm.compute_loss(logits, label).mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return _test_network(net, split, shares)


def measure_first_share(logits: Tensor, label: Tensor) -> FirstShare:
    """Differentiate cross-entropy and its first polynomial at logits (B, K) with labels (B,)."""
    x = logits.double().requires_grad_()
    (first,) = torch.autograd.grad(drop_n_cross_entropy(x, label, num_terms=1).sum(), x)
    (whole,) = torch.autograd.grad(poly1_cross_entropy(x, label, epsilon=0.0).sum(), x)
    p_t = x.detach().softmax(-1).gather(-1, label[:, None])[:, 0]
    first, whole = first.abs().sum(-1), whole.abs().sum(-1)  # (B,)
    expected = (whole * p_t).sum() / whole.sum()
    return FirstShare(float(first.sum() / whole.sum()), float(expected), float((first / whole - p_t).abs().max()))


@torch.no_grad()
def _test_network(net: nn.Module, split: DigitsSplit, shares: Sequence[FirstShare]) -> TrainingOutcome:
    net.eval()
    logits = net(split.test_image)
    p = logits.softmax(-1)
    confidence, answer = p.max(-1)
    right = answer == split.test_label
    return TrainingOutcome(
        accuracy=float(right.float().mean()),
        cross_entropy=float(F.cross_entropy(logits, split.test_label)),
        calibration_error=compute_calibration(confidence.numpy(), right.numpy()).error,
        mean_p_t=float(p.gather(-1, split.test_label[:, None]).mean()),
        first_shares=tuple(shares),
    )
