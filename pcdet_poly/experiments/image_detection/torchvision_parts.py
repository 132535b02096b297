"""torchvision's detectors: the one home of their import, and the two operators that they miss beside the CPU build.

The detectors are torchvision's because theirs is the code that people train: what is to be shown is that a loss of ours
takes one line there. Its wheel is linked against CUDA and does not load beside torch's CPU build. Then the operators
that an import asks for are declared here, and the two that our detectors call, nms and roi_align, are computed from
torch's own operations. Where the wheel loads, nothing is replaced.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from pcdet_poly.errors import UserError
from pcdet_poly.experiments.image_detection.region_operators import pool_regions, suppress_boxes

_KEPT: list[Any] = []  # what is declared lives as long as this list


def _load_operators() -> bool:
    """Load torchvision's own operators; False where they need another build of torch."""
    spec = find_spec("torchvision")
    if spec is None or spec.origin is None:
        raise UserError("torchvision is not installed; run: pip install 'pcdet_poly[images]'")
    try:
        for file in Path(spec.origin).parent.glob("_C.*"):
            torch.ops.load_library(file)  # type: ignore[no-untyped-call]
    except OSError:
        return False
    return hasattr(torch.ops.torchvision, "nms")


def _declare_operators() -> None:
    library: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    numbers = "float spatial_scale, int pooled_height, int pooled_width, int sampling_ratio, bool aligned"
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define(f"roi_align(Tensor input, Tensor rois, {numbers}) -> Tensor")
    library.impl("nms", suppress_boxes, "CPU")
    library.impl("roi_align", pool_regions, "CompositeImplicitAutograd")
    _KEPT.append(library)


IS_COMPLETE = _load_operators()
if not IS_COMPLETE:
    _declare_operators()

import torchvision.ops  # noqa: E402, F401

if not IS_COMPLETE:
    for _name in ("torchvision.extension", "torchvision.ops.roi_align"):
        vars(sys.modules[_name])["_has_ops"] = lambda: True

from torchvision.models.detection import MaskRCNN, RetinaNet  # noqa: E402
from torchvision.models.detection.anchor_utils import AnchorGenerator  # noqa: E402
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor  # noqa: E402
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor  # noqa: E402
from torchvision.models.detection.retinanet import RetinaNetClassificationHead, RetinaNetHead  # noqa: E402
from torchvision.models.detection.roi_heads import RoIHeads, fastrcnn_loss, maskrcnn_loss  # noqa: E402
from torchvision.ops import MultiScaleRoIAlign  # noqa: E402

__all__ = [
    "IS_COMPLETE",
    "AnchorGenerator",
    "FastRCNNPredictor",
    "MaskRCNN",
    "MaskRCNNHeads",
    "MaskRCNNPredictor",
    "MultiScaleRoIAlign",
    "RetinaNet",
    "RetinaNetClassificationHead",
    "RetinaNetHead",
    "RoIHeads",
    "fastrcnn_loss",
    "maskrcnn_loss",
]
