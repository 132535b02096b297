"""torchvision's Mask R-CNN and RetinaNet, small, with a classification loss that is handed in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from pcdet_poly.experiments.image_detection import torchvision_parts as parts
from pcdet_poly.experiments.image_detection.arms import DetectorName
from pcdet_poly.experiments.image_detection.scenes import SCENE_SIDE

ClassLoss = Callable[[Tensor, Tensor], Tensor]  # logits, labels -> one number per answer
CHANNELS = 48
NUM_CLASSES = 11  # the background and ten digits
PIXELS = {"image_mean": [0.45] * 3, "image_std": [0.25] * 3, "min_size": SCENE_SIDE, "max_size": SCENE_SIDE}


class PolyRoIHeads(parts.RoIHeads):  # type: ignore[misc]
    """torchvision's heads of Mask R-CNN, trained with a classification loss of ours; inference is torchvision's."""

    class_loss: ClassLoss

    def forward(
        self, features: Any, proposals: Any, image_shapes: Any, targets: Any = None
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        """Compute losses in training, detections else.

        Args:
            features: maps (B, C, H, W) by name.
            proposals: boxes (N, 4) of each image, in pixels.
            image_shapes: height and width of each image.
            targets: boxes, labels and masks of each image; in training alone.

        Returns:
            Detections of each image, and losses by name; one of both is empty.
        """
        if not self.training:
            return super().forward(features, proposals, image_shapes)
        proposals, matched, labels, offsets = self.select_training_samples(proposals, targets)
        pooled = self.box_head(self.box_roi_pool(features, proposals, image_shapes))
        logits, found_offsets = self.box_predictor(pooled)
        _, box_loss = parts.fastrcnn_loss(logits, found_offsets, labels, offsets)
        class_loss = self.class_loss(logits, torch.cat(labels)).mean()  # torchvision: F.cross_entropy(logits, labels)
        chosen = [(label > 0).nonzero()[:, 0] for label in labels]
        boxes = [own[places] for own, places in zip(proposals, chosen, strict=True)]
        masks = self.mask_predictor(self.mask_head(self.mask_roi_pool(features, boxes, image_shapes)))
        wanted = [target["masks"] for target in targets], [target["labels"] for target in targets]
        places = [own[rows] for own, rows in zip(matched, chosen, strict=True)]
        mask_loss = parts.maskrcnn_loss(masks, boxes, *wanted, places)
        return [], {"class": class_loss, "box": box_loss, "mask": mask_loss}


class PolyClassificationHead(parts.RetinaNetClassificationHead):  # type: ignore[misc]
    """torchvision's head of RetinaNet, trained with a classification loss of ours."""

    class_loss: ClassLoss

    def compute_loss(self, targets: Any, head_outputs: Any, matched_idxs: Any) -> Tensor:
        """Compute the mean over images of the summed loss per positive anchor.

        Args:
            targets: labels (M,) of each image.
            head_outputs: logits (B, A, K) of all anchors.
            matched_idxs: of each image: (A,) the object of an anchor, -1 for background, -2 for neither.

        Returns:
            One number.
        """
        losses = []
        for target, logits, matched in zip(targets, head_outputs["cls_logits"], matched_idxs, strict=True):
            positive, counts = matched >= 0, matched != self.BETWEEN_THRESHOLDS
            answer = torch.zeros(logits.shape, dtype=torch.bool)
            answer[positive, target["labels"][matched[positive]]] = True
            loss = self.class_loss(logits[counts], answer[counts])  # torchvision: sigmoid_focal_loss(logits, answer)
            losses.append(loss.sum() / max(1, int(positive.sum())))
        return torch.stack(losses).mean()


def build_detector(name: DetectorName, class_loss: ClassLoss) -> nn.Module:
    """Build a detector of ten digits; its first weights come from torch's random numbers."""
    return _build_mask_rcnn(class_loss) if name == "mask_rcnn" else _build_retinanet(class_loss)


class Backbone(nn.Module):
    """Three stages of residual blocks that make one map, of an eighth of the image's size or of a quarter.

    The finer map is the second stage's with the third's, enlarged, added: masks need it.
    """

    def __init__(self, *, is_fine: bool) -> None:
        super().__init__()
        self.out_channels = CHANNELS
        self.stem = _build_convolution(3, 16, stride=2)
        self.second = nn.Sequential(_Block(16, 32, stride=2), _Block(32, 32))
        self.third = nn.Sequential(_Block(32, 64, stride=2), _Block(64, 64))
        self.from_second = nn.Conv2d(32, CHANNELS, 1) if is_fine else None
        self.from_third = nn.Conv2d(64, CHANNELS, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, 3, H, W) to (B, C, H/8, W/8), or (B, C, H/4, W/4) for the finer map."""
        second = self.second(self.stem(image))
        deep = self.from_third(self.third(second))
        if self.from_second is None:
            return deep
        return self.from_second(second) + nn.functional.interpolate(deep, scale_factor=2.0)


class _Block(nn.Module):
    def __init__(self, num_in: int, num_out: int, stride: int = 1) -> None:
        super().__init__()
        self.first = _build_convolution(num_in, num_out, stride)
        self.second = nn.Sequential(nn.Conv2d(num_out, num_out, 3, padding=1, bias=False), nn.BatchNorm2d(num_out))
        same = num_in == num_out and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(num_in, num_out, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.second(self.first(x)) + self.shortcut(x))


def _build_convolution(num_in: int, num_out: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(num_in, num_out, 3, stride, 1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(num_out), nn.ReLU())


def _build_mask_rcnn(class_loss: ClassLoss) -> nn.Module:
    model = parts.MaskRCNN(
        Backbone(is_fine=True),
        rpn_anchor_generator=parts.AnchorGenerator(((16, 24, 36),), ((1.0, 2.0),)),
        box_roi_pool=parts.MultiScaleRoIAlign(["0"], 7, 1),
        mask_roi_pool=parts.MultiScaleRoIAlign(["0"], 14, 1),
        box_head=_build_box_head(),
        box_predictor=parts.FastRCNNPredictor(96, NUM_CLASSES),
        mask_head=parts.MaskRCNNHeads(CHANNELS, (32, 32), 1, norm_layer=nn.BatchNorm2d),
        mask_predictor=parts.MaskRCNNPredictor(32, 32, NUM_CLASSES),
        rpn_pre_nms_top_n_train=100,
        rpn_post_nms_top_n_train=50,
        rpn_pre_nms_top_n_test=100,
        rpn_post_nms_top_n_test=30,
        rpn_batch_size_per_image=64,
        box_batch_size_per_image=24,
        box_positive_fraction=0.5,
        **PIXELS,
    )
    model.roi_heads.__class__ = PolyRoIHeads
    model.roi_heads.class_loss = class_loss
    return model


def _build_box_head() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(CHANNELS, 48, 3, bias=False), nn.BatchNorm2d(48), nn.ReLU(),
        nn.Flatten(), nn.Linear(48 * 25, 96), nn.ReLU(),
    )  # fmt: skip


def _build_retinanet(class_loss: ClassLoss) -> nn.Module:
    anchors = parts.AnchorGenerator(((20, 28, 40),), ((1.0, 1.6),))
    head = parts.RetinaNetHead(CHANNELS, 6, NUM_CLASSES, norm_layer=nn.BatchNorm2d)
    head.classification_head.__class__ = PolyClassificationHead
    head.classification_head.class_loss = class_loss
    return parts.RetinaNet(Backbone(is_fine=False), NUM_CLASSES, anchor_generator=anchors, head=head, **PIXELS)
