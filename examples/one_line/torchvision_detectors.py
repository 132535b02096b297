"""torchvision's Mask R-CNN and RetinaNet, trained with polynomial losses: one line each."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.models.detection import retinanet, roi_heads

from pcdet_poly.losses import poly1_cross_entropy, poly1_focal

_torchvisions_own = roi_heads.fastrcnn_loss


def fastrcnn_loss(
    class_logits: Tensor, box_regression: Tensor, labels: list[Tensor], regression_targets: list[Tensor]
) -> tuple[Tensor, Tensor]:
    """Do what torchvision's function does, with another classification loss."""
    _, box_loss = _torchvisions_own(class_logits, box_regression, labels, regression_targets)
    # was: classification_loss = F.cross_entropy(class_logits, labels)
    classification_loss = poly1_cross_entropy(class_logits, torch.cat(labels), epsilon=-1.0).mean()
    return classification_loss, box_loss


def sigmoid_focal_loss(logits: Tensor, target: Tensor, *, reduction: str = "none") -> Tensor:
    """Do what torchvision's function does where RetinaNet calls it."""
    assert reduction == "sum"
    # was: sigmoid_focal_loss(logits, target, alpha=0.25, gamma=2, reduction="sum")
    return poly1_focal(logits, target, gamma=2.0, alpha=0.25, epsilon=-1.0).sum()


def use_poly_losses() -> None:
    """Let every detector that torchvision trains from now on use them."""
    roi_heads.fastrcnn_loss = fastrcnn_loss  # Faster R-CNN, Mask R-CNN, Keypoint R-CNN
    retinanet.sigmoid_focal_loss = sigmoid_focal_loss
