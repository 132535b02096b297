"""What the paper (arXiv 2204.12511) reports in its Table 1, and for its detectors in its section on Waymo."""

from __future__ import annotations

from dataclasses import dataclass

from pcdet_poly.experiments.paper.rows import Task


@dataclass(frozen=True)
class PublishedRow:
    """One system of the paper, one training each; the paper gives no intervals."""

    task: Task
    system: str
    metric: str
    loss: str  # the plain one
    epsilon: str  # in words, since one of them is from memory
    plain: float  # in per cent
    poly1: float


PUBLISHED = (
    PublishedRow("classification", "EfficientNetV2-L, ImageNet-21K", "top-1, %", "cross-entropy", "2", 45.8, 46.4),
    PublishedRow("classification", "EfficientNetV2-L, ImageNet-1K", "top-1, %", "cross-entropy", "2", 86.8, 87.2),
    PublishedRow("detection", "Mask R-CNN, COCO", "box AR, %", "cross-entropy", "-1", 47.2, 49.7),
    PublishedRow("masks", "Mask R-CNN, COCO", "mask AR, %", "cross-entropy", "-1", 42.3, 44.4),
    PublishedRow("vehicles", "PointPillars, Waymo", "3D AP L1, %", "focal", "-1 (assumed)", 63.3, 63.7),
    PublishedRow("vehicles", "RSN, Waymo", "3D AP L1, %", "focal", "-0.4", 78.4, 78.9),
    PublishedRow("pedestrians", "PointPillars, Waymo", "3D AP L1, %", "focal", "-1 (assumed)", 68.9, 69.6),
    PublishedRow("pedestrians", "RSN, Waymo", "3D AP L1, %", "focal", "-0.4", 79.4, 80.2),
)
