"""What a trained detector finds in held-out scenes: COCO's AP and AR, and the share of digits found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from pcdet_poly.errors import UserError
from pcdet_poly.experiments.image_detection.coco_files import convert_box, describe_scenes
from pcdet_poly.experiments.image_detection.scenes import Scene
from pcdet_poly.experiments.image_detection.train import prepare_scene

try:
    from faster_coco_eval import COCO, COCOeval_faster
    from faster_coco_eval import mask as mask_tools
except ImportError as error:
    raise UserError("faster-coco-eval is not installed; run: pip install 'pcdet_poly[images]'") from error

BATCH = 16
SURE = 0.5  # from this score on a detection counts for the share of digits found
MATCH_IOU = 0.5  # of boxes
_AP, _AR = 0, 8  # places in COCO's summary: over all IoUs, areas, and up to 100 detections an image


@dataclass(frozen=True)
class FoundObjects:
    """Detections in one image, the best first."""

    boxes: np.ndarray  # (D, 4) x1, y1, x2, y2
    scores: np.ndarray  # (D,)
    labels: np.ndarray  # (D,) 0 to 9
    masks: np.ndarray | None  # (D, H, W) bool; None from a detector without masks


@dataclass(frozen=True)
class DetectionScores:
    """How well a detector does, in per cent, masks NaN where it has none."""

    box_ap: float
    box_ar: float
    mask_ap: float
    mask_ar: float
    found: float  # of all digits: with the right class, a score of SURE and a box IoU of MATCH_IOU
    mask_iou: float  # mean over the digits found
    false_boxes: float  # mean number per image of detections from SURE on that match no digit


@torch.no_grad()
def detect_objects(model: nn.Module, scenes: Sequence[Scene]) -> list[FoundObjects]:
    """Run a detector, in evaluation mode, over scenes."""
    found = []
    for start in range(0, len(scenes), BATCH):
        for result in model([prepare_scene(scene)[0] for scene in scenes[start : start + BATCH]]):
            masks = (result["masks"][:, 0] > 0.5).numpy() if "masks" in result else None
            boxes, scores, labels = (result[name].numpy() for name in ("boxes", "scores", "labels"))
            found.append(FoundObjects(boxes, scores, labels - 1, masks))
    return found


def score_detections(scenes: Sequence[Scene], found: Sequence[FoundObjects]) -> DetectionScores:
    """Compare detections with the scenes they were found in, one to one."""
    box_ap, box_ar = compute_coco_metrics(scenes, found, "bbox")
    has_masks = all(one.masks is not None for one in found)
    mask_ap, mask_ar = compute_coco_metrics(scenes, found, "segm") if has_masks else (float("nan"),) * 2
    matches = [match_objects(scene, one) for scene, one in zip(scenes, found, strict=True)]
    overlaps = np.concatenate([overlap for overlap, _ in matches])
    is_found = ~np.isnan(overlaps)
    mask_iou = 100 * float(overlaps[is_found].mean()) if has_masks and is_found.any() else float("nan")
    false_boxes = float(np.mean([wrong for _, wrong in matches]))
    return DetectionScores(box_ap, box_ar, mask_ap, mask_ar, 100 * float(is_found.mean()), mask_iou, false_boxes)


def compute_coco_metrics(scenes: Sequence[Scene], found: Sequence[FoundObjects], kind: str) -> tuple[float, float]:
    """Compute COCO's AP and AR (IoU .5 to .95, up to 100 detections an image) in per cent.

    Args:
        scenes: with their objects.
        found: the detections in each.
        kind: "bbox" or "segm".

    Returns:
        AP and AR; both 0 without any detection.
    """
    results = list_results(found, with_masks=kind == "segm")
    if not results:
        return 0.0, 0.0
    truth = COCO(describe_scenes(scenes))
    evaluation = COCOeval_faster(truth, truth.loadRes(results), kind, print_function=_say_nothing)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return 100 * float(evaluation.stats[_AP]), 100 * float(evaluation.stats[_AR])


def list_results(found: Sequence[FoundObjects], *, with_masks: bool) -> list[dict[str, Any]]:
    """List detections as COCO's results, masks as compressed runs."""
    rows = []
    for number, one in enumerate(found, start=1):
        for place, (box, score, label) in enumerate(zip(one.boxes, one.scores, one.labels, strict=True)):
            row: dict[str, Any] = {"image_id": number, "category_id": int(label) + 1, "score": float(score)}
            row["bbox"] = convert_box(box)
            if with_masks and one.masks is not None:
                row["segmentation"] = mask_tools.encode(np.asfortranarray(one.masks[place].astype(np.uint8)))
            rows.append(row)
    return rows


def match_objects(scene: Scene, found: FoundObjects) -> tuple[np.ndarray, int]:
    """Match sure detections to digits of their class, the best first, each to the nearest that is free.

    Args:
        scene: the digits.
        found: the detections.

    Returns:
        (M,) the mask IoU of each digit's detection, 0 from a detector without masks, NaN for a digit that was not
        found; and the number of detections that match none.
    """
    overlaps, num_wrong = np.full(len(scene.labels), np.nan), 0
    for place in np.flatnonzero(found.scores >= SURE):
        overlap = compute_box_iou(found.boxes[place], scene.boxes)
        overlap[(scene.labels != found.labels[place]) | ~np.isnan(overlaps)] = 0
        best = int(overlap.argmax())
        if overlap[best] < MATCH_IOU:
            num_wrong += 1
        elif found.masks is None:
            overlaps[best] = 0.0
        else:
            mask, truth = found.masks[place], scene.masks[best]
            overlaps[best] = (mask & truth).sum() / (mask | truth).sum()
    return overlaps, num_wrong


def compute_box_iou(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Compute the IoU of a box (4,) with others (M, 4): (M,)."""
    size = np.clip(np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2]), 0, None).prod(1)
    iou: np.ndarray = size / ((box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(1) - size)
    return iou


def _say_nothing(*_: object) -> None:
    pass
