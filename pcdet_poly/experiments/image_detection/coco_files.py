"""Scenes in COCO's format: a folder of PNG images, and a JSON file of annotations that COCO's own tools read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pcdet_poly.experiments.image_detection.scenes import Scene
from pcdet_poly.files import atomic_path, write_json

ANNOTATIONS = "annotations.json"


def write_coco_folder(folder: Path, scenes: Sequence[Scene]) -> None:
    """Write images/000001.png and so on, and annotations.json; category k + 1 is the digit k."""
    from PIL import Image

    (folder / "images").mkdir(parents=True, exist_ok=True)
    for number, scene in enumerate(scenes, start=1):
        with atomic_path(folder / "images" / name_image(number)) as temporary:
            Image.fromarray(scene.image).save(temporary, format="PNG")
    write_json(folder / ANNOTATIONS, describe_scenes(scenes))


def read_coco_folder(folder: Path) -> list[Scene]:
    """Read what `write_coco_folder` wrote."""
    from PIL import Image

    tables = json.loads((folder / ANNOTATIONS).read_text("utf-8"))
    scenes = []
    for row in tables["images"]:
        with Image.open(folder / "images" / row["file_name"]) as image:
            pixels = np.asarray(image.convert("RGB"))
        own = [one for one in tables["annotations"] if one["image_id"] == row["id"]]
        masks = np.stack([decode_mask(one["segmentation"]) for one in own])
        x, y, width, height = np.array([one["bbox"] for one in own], np.float32).T
        labels = np.array([one["category_id"] - 1 for one in own])
        scenes.append(Scene(pixels, labels, masks, np.stack([x, y, x + width, y + height], 1)))
    return scenes


def describe_scenes(scenes: Sequence[Scene]) -> dict[str, Any]:
    """Describe scenes by COCO's tables of images, categories and annotations, numbered from 1."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, scene in enumerate(scenes, start=1):
        height, width = scene.image.shape[:2]
        images.append({"id": number, "file_name": name_image(number), "height": height, "width": width})
        for label, mask, box in zip(scene.labels, scene.masks, scene.boxes, strict=True):
            row = {"id": len(annotations) + 1, "image_id": number, "category_id": int(label) + 1, "iscrowd": 0}
            place = {"bbox": convert_box(box), "area": int(mask.sum()), "segmentation": encode_mask(mask)}
            annotations.append(row | place)
    categories = [{"id": digit + 1, "name": str(digit), "supercategory": "digit"} for digit in range(10)]
    info = {"description": "MNIST digits over a photograph"}
    return {"info": info, "images": images, "categories": categories, "annotations": annotations}


def name_image(number: int) -> str:
    """Name the file of an image."""
    return f"{number:06d}.png"


def convert_box(box: np.ndarray) -> list[float]:
    """Convert x1, y1, x2, y2 to COCO's x, y, width, height."""
    x1, y1, x2, y2 = (float(side) for side in box)
    return [x1, y1, x2 - x1, y2 - y1]


def encode_mask(mask: np.ndarray) -> dict[str, Any]:
    """Encode a mask (H, W) as COCO's runs: down the columns, lengths of nothing and of object in turn."""
    line = np.concatenate([[False], mask.T.ravel(), [True]])  # runs begin with nothing, if of length 0
    ends = np.flatnonzero(np.diff(line))
    counts = np.diff(np.concatenate([[0], ends, [mask.size]]))
    return {"size": list(mask.shape), "counts": [int(count) for count in counts[: len(counts) - (counts[-1] == 0)]]}


def decode_mask(runs: dict[str, Any]) -> np.ndarray:
    """Decode what `encode_mask` wrote: (H, W) bool."""
    height, width = runs["size"]
    counts = runs["counts"]
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(width, height).T
