"""The classification losses inside torchvision's detectors: torch's own at epsilon 0, the closed form elsewhere."""

from __future__ import annotations

import math
from importlib.util import find_spec

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

if find_spec("torchvision") is None:
    pytest.skip("torchvision is not installed", allow_module_level=True)
from pcdet_poly.experiments.image_detection.arms import ARMS, LOSSES, Arm, ArmLoss, focal_loss, measure_size
from pcdet_poly.experiments.image_detection.detectors import build_detector
from pcdet_poly.experiments.image_detection.scenes import compose_scenes
from pcdet_poly.experiments.image_detection.train import prepare_scene
from pcdet_poly.losses import poly1_cross_entropy
from tests.tolerances import FLOAT32_SUM


def compute_class_gradients(name: str, epsilon: float, own_loss: object = None) -> tuple[Tensor, dict[str, Tensor]]:
    """Run one batch through a fresh detector: its classification loss, and that loss's gradient on every weight."""
    images, targets = zip(*map(prepare_scene, compose_scenes("train", 2, seed=5)), strict=True)
    torch.manual_seed(0)
    model = build_detector(name, own_loss or ArmLoss(LOSSES[name], Arm(epsilon))).double()
    images = [image.double() for image in images]
    targets = [target | {"boxes": target["boxes"].double()} for target in targets]
    losses = model(images, targets)
    loss = losses["class" if name == "mask_rcnn" else "classification"]
    loss.backward()
    return loss.detach(), {key: value.grad for key, value in model.named_parameters() if value.grad is not None}


def torch_cross_entropy(epsilon: float):
    def compute(logits: Tensor, labels: Tensor) -> Tensor:
        p_t = logits.softmax(-1).gather(1, labels[:, None])[:, 0]
        return F.cross_entropy(logits, labels, reduction="none") + epsilon * (1 - p_t)

    return compute


def torchvision_focal(epsilon: float):
    from torchvision.ops import sigmoid_focal_loss

    def compute(logits: Tensor, answer: Tensor) -> Tensor:
        y = answer.to(logits.dtype)
        p = torch.sigmoid(logits)
        q = y * (1 - p) + (1 - y) * p
        weight = 0.25 * y + 0.75 * (1 - y)
        return sigmoid_focal_loss(logits, y) + epsilon * weight * q**3

    return compute


@pytest.mark.parametrize("epsilon", [0.0, -1.0, 2.0])
@pytest.mark.parametrize(("name", "reference"), [("mask_rcnn", torch_cross_entropy), ("retinanet", torchvision_focal)])
def test_gradients_of_every_weight_are_the_references(name: str, reference, epsilon: float) -> None:
    ours, by_weight = compute_class_gradients(name, epsilon)
    theirs, wanted = compute_class_gradients(name, epsilon, reference(epsilon))
    assert by_weight.keys() == wanted.keys()
    assert any(key.startswith("backbone") for key in wanted)
    # Both are sums over the same answers in float64; the reference loses digits where P_t is near 1, about 1e-12.
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=0)
    largest = max(float(value.abs().max()) for value in wanted.values())
    for key, value in wanted.items():  # a bias before a batch norm has the gradient 0, up to rounding
        torch.testing.assert_close(by_weight[key], value, rtol=1e-8, atol=1e-12 * largest)


def test_plain_mask_rcnn_has_torchvisions_own_loss() -> None:
    from pcdet_poly.experiments.image_detection import detectors, torchvision_parts

    images, targets = zip(*map(prepare_scene, compose_scenes("train", 2, seed=5)), strict=True)
    losses = []
    for heads in (detectors.PolyRoIHeads, torchvision_parts.RoIHeads):
        torch.manual_seed(0)
        model = build_detector("mask_rcnn", ArmLoss(poly1_cross_entropy, Arm(0.0)))
        model.roi_heads.__class__ = heads
        losses.append(model(list(images), list(targets)))
    ours, theirs = losses
    assert len(ours) == len(theirs) == 5  # two of the region proposals, three of the heads
    for mine, its in (("class", "loss_classifier"), ("box", "loss_box_reg"), ("mask", "loss_mask")):
        torch.testing.assert_close(ours[mine], theirs[its], rtol=1e-5, atol=0)  # float32, other order of sums


def test_plain_retinanet_has_torchvisions_own_loss() -> None:
    from pcdet_poly.experiments.image_detection import detectors, torchvision_parts

    images, targets = zip(*map(prepare_scene, compose_scenes("train", 2, seed=5)), strict=True)
    losses = []
    for head in (detectors.PolyClassificationHead, torchvision_parts.RetinaNetClassificationHead):
        torch.manual_seed(0)
        model = build_detector("retinanet", ArmLoss(focal_loss, Arm(0.0)))
        model.head.classification_head.__class__ = head
        losses.append(model(list(images), list(targets))["classification"])
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-5, atol=0)  # float32, other order of sums


@pytest.mark.parametrize("name", ["mask_rcnn", "retinanet"])
def test_a_matched_loss_has_the_plain_gradients_size(name: str) -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(40, 11, generator=generator)
    answer = torch.randint(11, (40,), generator=generator)
    labels = answer if name == "mask_rcnn" else F.one_hot(answer, 11).bool()
    loss = LOSSES[name]
    plain = measure_size(loss, logits, labels, epsilon=0.0)
    assert measure_size(loss, logits, labels, epsilon=-1.0) < 0.97 * plain
    matched = ArmLoss(loss, Arm(-1.0, is_matched=True))
    for _ in range(2):  # the running sums are those of the same batch
        x = logits.clone().requires_grad_()
        matched(x, labels).sum().backward()
        torch.testing.assert_close(x.grad.abs().sum(), plain, rtol=FLOAT32_SUM, atol=0)
    # Between batches of different sizes the weight is that of the running sums.
    matched(logits * 4, labels)
    sizes = [
        0.9 * (1 - 0.9**2) * measure_size(loss, logits, labels, epsilon=epsilon)
        + 0.1 * measure_size(loss, logits * 4, labels, epsilon=epsilon)
        for epsilon in (0.0, -1.0)
    ]
    torch.testing.assert_close(torch.stack(matched.sizes), torch.stack(sizes), rtol=FLOAT32_SUM, atol=0)


def test_an_epsilon_of_the_gradient_is_one_plus_epsilon_p_t() -> None:
    logits, labels = torch.tensor([[2.0, 0.0, -1.0]], dtype=torch.float64), torch.tensor([0])
    p = logits.softmax(-1)[0]
    slope = float((p - torch.eye(3, dtype=torch.float64)[0]).abs().sum())
    for epsilon in (0.0, -1.0, 2.0):
        size = float(measure_size(poly1_cross_entropy, logits, labels, epsilon=epsilon))
        assert math.isclose(size, slope * (1 + epsilon * float(p[0])), rel_tol=1e-12)


def test_arms_have_names_of_their_own() -> None:
    assert [arm.name for arm in ARMS] == ["plain", "eps = -1", "eps = -1, size-matched", "eps = 1", "eps = 2"]
