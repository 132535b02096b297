"""examples/one_line: each loss call is the loss it replaces at epsilon 0 and the closed form at its own."""

from __future__ import annotations

import importlib.util
import types
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.tolerances import FLOAT64_CANCELLED, FLOAT64_SUM

FOLDER = Path(__file__).resolve().parent.parent / "examples" / "one_line"


def load_example(name: str) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(f"one_line_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def openpcdets_focal(logits: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """OpenPCDet's SigmoidFocalClassificationLoss, alpha .25 and gamma 2, written out."""
    p = torch.sigmoid(logits)
    alpha = target * 0.25 + (1 - target) * 0.75
    q = target * (1 - p) + (1 - target) * p
    return alpha * q**2 * F.binary_cross_entropy_with_logits(logits, target, reduction="none") * weights[..., None]


def openpcdets_center_focal(logits: Tensor, heatmap: Tensor, mask: Tensor | None) -> Tensor:
    """OpenPCDet's neg_loss_cornernet, written out; its clamp of p to [1e-4, 1 - 1e-4] does not act on these logits."""
    p = torch.sigmoid(logits)
    peak = heatmap.eq(1).to(logits)
    positive = p.log() * (1 - p) ** 2 * peak
    negative = (1 - p).log() * p**2 * (1 - heatmap) ** 4 * (1 - peak)
    if mask is not None:
        wide = mask[:, None].to(logits)
        positive, negative, peak = positive * wide, negative * wide, peak * wide
    return -(positive.sum() + negative.sum()) / peak.sum() if peak.sum() else -negative.sum()


def test_openpcdets_anchor_loss() -> None:
    loss = load_example("openpcdet_head").PolyFocalClassificationLoss
    logits = torch.randn(2, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    target = F.one_hot(torch.tensor([[0, 1, 2, 0, 1]] * 2), 3).double()
    weights = torch.tensor([[1, 1, 0, 2, 1]] * 2, dtype=torch.float64)
    plain = openpcdets_focal(logits, target, weights)
    torch.testing.assert_close(loss()(logits, target, weights), plain, rtol=FLOAT64_SUM, atol=0)
    p = torch.sigmoid(logits)
    added = torch.where(target == 1, 0.25 * (1 - p) ** 3, 0.75 * p**3) * weights[..., None]
    torch.testing.assert_close(
        loss(epsilon=-1.0)(logits, target, weights), plain - added, rtol=FLOAT64_CANCELLED, atol=0
    )


@pytest.mark.parametrize("num_peaks", [0, 2])
@pytest.mark.parametrize("is_masked", [False, True])
def test_openpcdets_center_loss(num_peaks: int, is_masked: bool) -> None:
    loss = load_example("openpcdet_head").PolyFocalLossCenterNet
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 4, 4, dtype=torch.float64, generator=generator)
    heatmap = torch.rand(2, 3, 4, 4, dtype=torch.float64, generator=generator) * 0.9
    heatmap[0, 0, 0, :num_peaks] = 1
    mask = torch.arange(32).reshape(2, 4, 4) % 5 != 1 if is_masked else None
    plain = openpcdets_center_focal(logits, heatmap, mask)
    torch.testing.assert_close(loss()(logits, heatmap, mask), plain, rtol=FLOAT64_SUM, atol=0)
    assert loss(epsilon=1.0)(logits, heatmap, mask) > plain


@pytest.mark.parametrize("epsilon", [0.0, 2.0])
def test_timms_loss(epsilon: float, monkeypatch: pytest.MonkeyPatch) -> None:
    example = load_example("timm_loop")
    ours = example.poly1_cross_entropy
    chosen = {"epsilon": epsilon}
    monkeypatch.setattr(example, "poly1_cross_entropy", lambda *args, **named: ours(*args, **named | chosen))
    logits = torch.randn(6, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(6)
    q = 1 - logits.softmax(-1)
    smooth = 0.9 * F.one_hot(labels, 10).double() + 0.01
    wanted = F.cross_entropy(logits, labels, label_smoothing=0.1) + epsilon * (smooth * q).sum(-1).mean()
    torch.testing.assert_close(example.compute_loss(logits, labels), wanted, rtol=FLOAT64_SUM, atol=0)
    mixed = 0.7 * F.one_hot(labels, 10).double() + 0.3 * F.one_hot(labels + 1, 10)
    wanted = F.cross_entropy(logits, mixed) + epsilon * (mixed * q).sum(-1).mean()
    torch.testing.assert_close(example.compute_loss(logits, mixed), wanted, rtol=FLOAT64_SUM, atol=0)


def test_timms_loop_learns() -> None:
    example = load_example("timm_loop")
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    labels = torch.arange(30) % 3
    images = torch.rand(30, 3, 2, 2) + labels[:, None, None, None]
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    losses = [example.train_one_epoch(network, [(images, labels)] * 4, optimizer) for _ in range(5)]
    assert losses[-1] < losses[0]


@pytest.fixture
def torchvision_example(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """The example in use; torchvision is as it was afterwards."""
    if find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    # It completes torchvision beside the CPU build, before the first import.
    importlib.import_module("pcdet_poly.experiments.image_detection.torchvision_parts")
    from torchvision.models.detection import retinanet, roi_heads

    monkeypatch.setattr(roi_heads, "fastrcnn_loss", roi_heads.fastrcnn_loss)
    monkeypatch.setattr(retinanet, "sigmoid_focal_loss", retinanet.sigmoid_focal_loss)
    example = load_example("torchvision_detectors")
    example.use_poly_losses()
    return example


def test_torchvisions_detectors_train_with_it(torchvision_example: types.ModuleType) -> None:
    """The losses of whole detectors at epsilon -1 are those that our own heads compute."""
    from pcdet_poly.experiments.image_detection import torchvision_parts as parts
    from pcdet_poly.experiments.image_detection.arms import LOSSES, Arm, ArmLoss
    from pcdet_poly.experiments.image_detection.detectors import build_detector
    from pcdet_poly.experiments.image_detection.scenes import compose_scenes
    from pcdet_poly.experiments.image_detection.train import prepare_scene

    images, targets = zip(*map(prepare_scene, compose_scenes("train", 2, seed=5)), strict=True)
    for name, ours, theirs in (("mask_rcnn", "class", "loss_classifier"), ("retinanet", *["classification"] * 2)):
        found = []
        for is_example in (False, True):
            torch.manual_seed(0)
            model = build_detector(name, ArmLoss(LOSSES[name], Arm(-1.0)))
            if is_example and name == "mask_rcnn":
                model.roi_heads.__class__ = parts.RoIHeads
            elif is_example:
                model.head.classification_head.__class__ = parts.RetinaNetClassificationHead
            found.append(model(list(images), list(targets))[theirs if is_example else ours])
        torch.testing.assert_close(found[0], found[1], rtol=1e-5, atol=0)  # float32, other order of sums
