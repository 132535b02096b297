"""A training loop as timm's, with a polynomial loss; run as a program it trains a network of timm on random images."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from pcdet_poly.losses import poly1_cross_entropy


def compute_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute the loss of a batch; labels are class numbers, or the distributions that mixup makes."""
    # was: LabelSmoothingCrossEntropy(smoothing=0.1)(logits, labels), or SoftTargetCrossEntropy() after mixup
    smoothing = 0.0 if labels.is_floating_point() else 0.1  # mixup has smoothed already
    return poly1_cross_entropy(logits, labels, epsilon=2.0, label_smoothing=smoothing).mean()


def train_one_epoch(
    model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], optimizer: torch.optim.Optimizer
) -> float:
    """Train over the batches once and return the mean loss."""
    losses = []
    for images, labels in batches:
        loss = compute_loss(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return sum(losses) / len(losses)


if __name__ == "__main__":
    import timm

    network = timm.create_model("resnet18", num_classes=10)
    data = [(torch.rand(8, 3, 64, 64), torch.randint(10, (8,))) for _ in range(4)]
    print(train_one_epoch(network, data, torch.optim.AdamW(network.parameters())))
