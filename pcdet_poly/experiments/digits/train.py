"""One arm, one seed -> what came of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pcdet_poly.experiments.digits.arms import Arm
from pcdet_poly.experiments.digits.data import NUM_CLASSES, Split, split_digits
from pcdet_poly.experiments.digits.network import residual_net
from pcdet_poly.losses import drop_n_cross_entropy, poly1_cross_entropy

NUM_CALIBRATION_BINS = 10
SHARE_EVERY = 5  # steps


@dataclass(frozen=True)
class Plan:
    """How long every arm trains, and on how much. SGD with momentum 0.9 and a cosine, as in the paper."""

    num_train: int = 500
    epochs: int = 20
    batch_size: int = 50
    learning_rate: float = 0.1
    weight_decay: float = 1e-4

    @property
    def num_steps(self) -> int:
        """Over all epochs."""
        return self.epochs * (self.num_train // self.batch_size)


@dataclass(frozen=True)
class Outcome:
    """Of one training: on the test digits, and of the first polynomial during training."""

    accuracy: float
    cross_entropy: float
    calibration_error: float
    mean_p_t: float
    first_share: tuple[float, ...]  # every SHARE_EVERY steps: sum |dlogit| of 1 - P_t over that of cross-entropy
    expected_share: tuple[float, ...]  # as often: what P_t predicts of it
    largest_error: float  # over those digits and steps: |share of one digit - its P_t|


def train_arm(arm: Arm, seed: int, plan: Plan) -> Outcome:
    """Train and test. The seed decides split, first weights and order, the same for every arm."""
    split = split_digits(seed, num_train=plan.num_train)
    torch.manual_seed(seed)
    net = residual_net(NUM_CLASSES)
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0, momentum=0.9, weight_decay=plan.weight_decay)
    order = torch.Generator().manual_seed(seed)
    shares: list[tuple[float, float, float]] = []
    for step in range(plan.num_steps):
        place = step % (plan.num_train // plan.batch_size)
        if place == 0:
            shuffled = torch.randperm(plan.num_train, generator=order)
        batch = shuffled[place * plan.batch_size : (place + 1) * plan.batch_size]
        rate = plan.learning_rate * arm.rate_factor * (0.5 + 0.5 * math.cos(math.pi * step / plan.num_steps))
        optimizer.param_groups[0]["lr"] = rate
        logits, label = net(split.train_image[batch]), split.train_label[batch]
        if step % SHARE_EVERY == 0:
            shares.append(share_of_first_polynomial(logits.detach(), label))
        optimizer.zero_grad()
        arm.loss(logits, label).mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return _outcome(net, split, shares)


def share_of_first_polynomial(logits: Tensor, label: Tensor) -> tuple[float, float, float]:
    """Share of sum |dCE/dlogit| that the term 1 - P_t carries; the same from P_t alone; largest |share - P_t|."""
    x = logits.double().requires_grad_()
    (first,) = torch.autograd.grad(drop_n_cross_entropy(x, label, num_terms=1).sum(), x)
    (whole,) = torch.autograd.grad(poly1_cross_entropy(x, label, epsilon=0.0).sum(), x)
    p_t = x.detach().softmax(-1).gather(-1, label[:, None])[:, 0]
    first, whole = first.abs().sum(-1), whole.abs().sum(-1)  # (B,)
    expected = (whole * p_t).sum() / whole.sum()
    return float(first.sum() / whole.sum()), float(expected), float((first / whole - p_t).abs().max())


@torch.no_grad()
def _outcome(net: nn.Module, split: Split, shares: list[tuple[float, float, float]]) -> Outcome:
    net.eval()
    logits = net(split.test_image)
    first, expected, errors = zip(*shares, strict=True)
    p = logits.softmax(-1)
    confidence, answer = p.max(-1)
    right = answer == split.test_label
    return Outcome(
        accuracy=float(right.float().mean()),
        cross_entropy=float(F.cross_entropy(logits, split.test_label)),
        calibration_error=_calibration_error(confidence, right),
        mean_p_t=float(p.gather(-1, split.test_label[:, None]).mean()),
        first_share=first,
        expected_share=expected,
        largest_error=max(errors),
    )


def _calibration_error(confidence: Tensor, right: Tensor) -> float:
    """Mean |confidence - accuracy| over bins of confidence, weighted by their digits."""
    bins = (confidence * NUM_CALIBRATION_BINS).long().clamp(max=NUM_CALIBRATION_BINS - 1)
    gap = torch.zeros(NUM_CALIBRATION_BINS).index_add_(0, bins, confidence - right.float())
    return float(gap.abs().sum() / len(right))
